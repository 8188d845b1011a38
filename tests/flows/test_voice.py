"""A voice message and what becomes of the call, on real processes."""

from __future__ import annotations

from typing import Any

from deploy.smoke.client import until
from deploy.smoke.platform import Platform

SEND = {"service": "pinpoint-sms-voice-v2", "operation": "SendVoiceMessage"}
SPEECH = {"kind": "speech", "text": "Your code is 4 8 2 9 1 3.", "voice": "JOANNA"}
#: At the simulated carriers nobody ever answers there.
NO_ANSWER = "+12025550183"


def call(on: Platform, contact: str, content: dict[str, Any] = SPEECH) -> str:
    return on.send_when_known(contact, content, channel="voice", messageClass="transactional")


def record(on: Platform, message: str, status: str) -> Any:
    def look() -> Any:
        items = on.viewer.get("/api/voice-calls", status=status)["items"]
        return next((item for item in items if item["callId"] == message), None)

    return until(f"the call to be {status}", look)


def test_a_call_is_made_once_and_its_record_tells_how_it_went(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="voice")
    message = call(on, contact)
    on.reaches(message, "delivered")
    (accepted,) = on.accepted(message_id=message)
    assert accepted["payload"]["VoiceId"] == "JOANNA"
    reported = record(on, message, "completed")
    assert (reported["contactId"], reported["number"], reported["direction"]) == (contact, phone, "outbound")
    assert reported["durationSeconds"] >= 1
    until("all reports", lambda: len(record(on, message, "completed")["events"]) == 4)
    (mine,) = on.viewer.get("/api/voice-calls", contactId=contact)["items"]
    assert mine["callId"] == message
    assert mine["answeredAt"] <= mine["endedAt"]


def test_a_call_that_nobody_answers_fails_and_is_not_made_again(on: Platform) -> None:
    contact = on.contact(NO_ANSWER, "Bob Example", channel="voice")
    message = call(on, contact)
    on.reaches(message, "failed")
    assert on.operator.get(f"/api/messages/{message}")["errorCode"] == "undeliverable"
    assert record(on, message, "no_answer")["durationSeconds"] == 0
    assert len(on.accepted(message_id=message)) == 1


def test_a_call_whose_answer_is_lost_is_never_made_twice(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="voice")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": "accept_then_reset", "to": phone, "times": 1})
    message = call(on, contact)
    on.reaches(message, "delivered")
    assert len(on.accepted(message_id=message)) == 1


def test_markup_that_is_not_well_formed_is_refused_before_anybody_is_called(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="voice")
    message = call(on, contact, {"kind": "speech", "ssml": True, "text": "<speak>Hello"})
    on.reaches(message, "failed")
    assert on.operator.get(f"/api/messages/{message}")["errorCode"] == "invalid_content"
    assert on.accepted(message_id=message) == []
