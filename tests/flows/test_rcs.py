"""RCS both ways, and what goes out by SMS where RCS cannot, on real processes."""

from __future__ import annotations

from typing import Any

from deploy.smoke.client import Failed, until
from deploy.smoke.platform import Platform

SEND = {"service": "pinpoint-sms-voice-v2", "operation": "SendRcsMessage"}
CARD = {
    "kind": "rich",
    "cards": [
        {"title": "Order 1001", "description": "Arrives tomorrow", "mediaUrl": "https://cdn.example.com/order.jpg"}
    ],
    "suggestions": [{"action": "reply", "text": "Confirm", "postback": "action:confirm:1001"}],
}
#: At the simulated carriers it has no RCS.
NO_RCS = "+12025550191"


def rcs(on: Platform, contact: str, content: dict[str, Any] = CARD) -> str:
    return on.send_when_known(contact, content, channel="rcs", messageClass="transactional")


def test_a_card_goes_out_once_and_ends_read(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="rcs")
    message = rcs(on, contact)
    on.reaches(message, "read")
    (accepted,) = on.accepted(message_id=message)
    assert accepted["payload"]["RcsMessageContent"]["Content"]["RichCard"]["CardContent"]["Title"] == "Order 1001"


def test_what_rcs_cannot_deliver_goes_out_as_sms_and_is_still_this_message(on: Platform) -> None:
    contact = on.contact(NO_RCS, "Bob Example", channel="rcs")
    message = rcs(on, contact, {**CARD, "fallbackText": "Order 1001 arrives tomorrow."})
    on.reaches(message, "delivered")
    assert len(on.accepted(message_id=message)) == 1
    assert on.operator.get(f"/api/messages/{message}")["channel"] == "rcs"


def test_a_send_whose_answer_is_lost_is_accepted_once(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="rcs")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": "accept_then_500", "to": phone, "times": 1})
    message = rcs(on, contact)
    on.reaches(message, "read")
    assert len(on.accepted(message_id=message)) == 1


def test_a_tap_comes_back_as_the_choice_it_was_and_typing_as_no_message(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="rcs")
    tap = {"text": "Confirm", "postbackData": "action:confirm:1001"}
    on.simulator.call("POST", "/control/inbound/rcs", {"from": phone, "type": "typing"})
    on.simulator.call("POST", "/control/inbound/rcs", {"from": phone, "type": "suggestion", "body": tap, "times": 2})
    (inbound,) = until("the tap", lambda: on.inbound_of(contact))
    assert inbound["content"] == {"kind": "choice", "id": "action:confirm:1001", "title": "Confirm", "data": {}}
    on.writes_in(phone, "Thanks", channel="rcs")
    until("the words", lambda: len(on.inbound_of(contact)) > 1)
    assert [message["content"]["kind"] for message in on.inbound_of(contact)] == ["text", "choice"]


def test_stop_by_rcs_wins_over_the_next_send(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="rcs")
    on.reaches(rcs(on, contact), "read")
    on.writes_in(phone, "STOP", channel="rcs")
    assert on.opted_out(contact, "rcs")["how"] == "keyword"

    def refused() -> bool:
        try:
            return bool(on.send(contact, CARD, channel="rcs", expect=422)["code"] == "OPTED_OUT")
        except Failed:
            return False

    until("the refusal", refused)


def test_a_card_that_the_service_would_not_take_is_refused_before_it_is_asked(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="rcs")
    message = rcs(on, contact, {**CARD, "cards": [{}]})
    on.reaches(message, "failed")
    reported = on.operator.get(f"/api/messages/{message}")
    assert (reported["errorCode"], reported["errorDetail"]) == (
        "invalid_content",
        "cards.0: a card needs a title, a description or media.",
    )
    assert on.accepted(message_id=message) == []
