"""The other channels, one step each way: a message to the carrier and its receipt, and an inbound message."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx

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
    """Every channel except WhatsApp, which has its own steps."""
    contact = on.contact(PHONE, "Dora Example", channel="sms")
    for channel in ("voice", "rcs"):
        on.opt_in(contact, channel)
    for channel, content, end in (("sms", TEXT, "delivered"), ("voice", SPEECH, "delivered"), ("rcs", CARD, "read")):
        say(f"{channel} out: {' → '.join(_out(on, contact, channel, content, end))}")
    say(f"voice: the call on record, {_call(on, contact)}")
    for channel in ("sms", "rcs"):
        say(f"{channel} in: {_in(on, contact, channel)}")
    say(f"email out: {' → '.join(_mail(on))}")
    say(f"email in: {_mail_in(on)}")
    say(f"email, one click: {_one_click(on)}")


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


MAIL = {
    "kind": "email",
    "subject": "Your order 1001",
    "text": "It has shipped.",
    "html": "<p>It has <b>shipped</b>.</p>",
}
MAILBOX = "dora@example.com"


def _mail(on: Platform) -> list[str]:
    """An e-mail is sent, opened, and accepted once."""
    return _out(on, on.mailbox(MAILBOX, "Dora Example"), "email", MAIL, "read")


def _mail_in(on: Platform) -> str:
    """A reply that is delivered three times is one message in its thread."""
    (contact,) = on.operator.get("/api/contacts/search", q=MAILBOX)["items"]
    (sent,) = on.operator.get("/api/messages", contactId=contact["contactId"])["items"]
    answered = f"<{sent['providerIds'][0]}@email.amazonses.com>"
    on.mails_in(f"Dora <{MAILBOX}>", "Thanks!", in_reply_to=answered, times=3)
    (message,) = until("the answer by email", lambda: on.inbound_of(contact["contactId"]))
    require(message["inReplyTo"] == sent["messageId"], f"not in the thread: {message}")
    return f"“{message['content']['text']}” came three times, is one message and in its thread"


def _one_click(on: Platform) -> str:
    """The link of a marketing mail unsubscribes when it is posted to, not when it is opened (RFC 8058)."""
    contact = on.mailbox("emil@example.com", "Emil Example")
    message = on.send_when_known(contact, MAIL, channel="email", messageClass="transactional", purpose="marketing")
    on.reaches(message, "read")
    (entry,) = on.accepted(message_id=message)
    headers = {header["Name"]: header["Value"] for header in entry["payload"]["Content"]["Simple"]["Headers"]}
    link = re.sub(r"^<|>$", "", headers["List-Unsubscribe"])
    opened = httpx.get(link, trust_env=False)
    require(opened.status_code == 200, f"the page answered {opened.status_code}")
    before = on.operator.get(f"/api/contacts/{contact}")["consents"]["email"]
    require(before["optedIn"], "opening the link unsubscribed")
    posted = httpx.post(link, data={"List-Unsubscribe": "One-Click"}, trust_env=False)
    require(posted.status_code == 200, f"the post was answered {posted.status_code}")
    evidence = on.opted_out(contact, "email")
    return f"opening the link changes nothing, posting to it unsubscribes ({evidence['how']})"
