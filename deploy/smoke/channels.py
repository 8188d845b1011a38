"""The other channels, one line each way: out to the carrier and back as a receipt, in from a person and into the inbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.smoke.client import require, until
from deploy.smoke.platform import Platform

PHONE = "+12025550115"
TEXT = {"kind": "text", "body": "Your parcel is here."}
SPEECH = {"kind": "speech", "text": "Your code is 4 8 2 9 1 3."}
CARD = {
    "kind": "rich",
    "cards": [{"title": "Order 1001", "description": "Arrives tomorrow"}],
    "suggestions": [{"action": "reply", "text": "Confirm", "postback": "confirm"}],
}

Say = Callable[[str], None]


def tell(on: Platform, say: Say) -> None:
    """Every channel but WhatsApp, whose story is told at length."""
    contact = on.contact(PHONE, "Dora Example", channel="sms")
    for channel in ("voice", "rcs"):
        on.opt_in(contact, channel)
    for channel, content, end in (("sms", TEXT, "delivered"), ("voice", SPEECH, "delivered"), ("rcs", CARD, "read")):
        say(f"{channel} out: {' → '.join(_out(on, contact, channel, content, end))}")
    say(f"voice: the call on record, {_call(on, contact)}")
    for channel in ("sms", "rcs"):
        say(f"{channel} in: {_in(on, contact, channel)}")


def _out(on: Platform, contact: str, channel: str, content: dict[str, Any], end: str) -> list[str]:
    message = on.send_when_known(contact, content, channel=channel, messageClass="transactional")
    seen = on.reaches(message, end)
    require(len(on.accepted(message_id=message)) == 1, f"{channel}: accepted more than once, or not at all")
    return seen


def _call(on: Platform, contact: str) -> str:
    def ended() -> Any:
        calls = on.operator.get("/api/voice-calls", contactId=contact, status="completed")["items"]
        return calls[0] if calls else None

    call = until("the record of the call", ended)
    return f"completed after {call['durationSeconds']} s"


def _in(on: Platform, contact: str, channel: str) -> str:
    def received() -> list[Any]:
        return [message for message in on.inbound_of(contact) if message["channel"] == channel]

    on.writes_in(PHONE, "Thanks!", times=2, channel=channel)
    (message,) = until(f"the answer by {channel}", received)
    on.writes_in(PHONE, "STOP", channel=channel)
    evidence = on.opted_out(contact, channel)
    return f"“{message['content']['body']}” came twice and is one message; STOP is in force ({evidence['how']})"
