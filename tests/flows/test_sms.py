"""SMS and MMS from POST to the receipt, and what people answer, on real processes."""

from __future__ import annotations

import pytest

from deploy.smoke.client import Failed, until
from deploy.smoke.platform import Platform
from libs.simulator.socialmessaging.seeds import PNG

SEND = {"service": "pinpoint-sms-voice-v2", "operation": "SendTextMessage"}
TEXT = {"kind": "text", "body": "Your parcel is here."}
#: At the simulated carriers nothing can be sent to it: it does not exist.
NO_NUMBER = "+12025550190"
#: It is on the provider's own opt-out list.
LISTED = "+12025550192"


def sms(on: Platform, contact: str, content: object = TEXT, **more: object) -> str:
    return on.send_when_known(contact, content, channel="sms", **more)  # type: ignore[arg-type]


def test_a_text_goes_out_once_and_ends_delivered(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="sms")
    message = sms(on, contact)
    on.reaches(message, "delivered")
    (accepted,) = on.accepted(message_id=message)
    assert accepted["payload"]["MessageBody"] == TEXT["body"]
    assert accepted["payload"]["Context"]["messageId"] == message


def test_a_picture_goes_out_as_mms(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="sms")
    # Somebody's bucket is refused; a file of ours goes by its id.
    content = {"kind": "media", "mediaType": "image", "caption": "Look"}
    elsewhere = {**content, "file": {"url": "s3://example-media-bucket/photo.jpg", "contentType": "image/jpeg"}}
    body = {"contactId": contact, "channel": "sms", "content": elsewhere}
    assert on.operator.call("POST", "/api/messages", body, expect=422)["errors"][0]["field"] == "content.file"
    file_id = on.upload(PNG, "image/png", "photo.png", channel="sms")
    message = sms(on, contact, {**content, "file": {"fileId": file_id}})
    on.reaches(message, "delivered")
    assert [accepted["kind"] for accepted in on.accepted(message_id=message)] == ["mms"]


@pytest.mark.parametrize("fault", ["accept_then_reset", "accept_then_500", "half_body", "accept_then_hang"])
def test_a_send_whose_answer_is_lost_is_accepted_once_and_ends_in_its_true_state(
    on: Platform, phone: str, fault: str
) -> None:
    contact = on.contact(phone, "Ann Example", channel="sms")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": fault, "to": phone, "times": 1})
    message = sms(on, contact)
    on.reaches(message, "delivered")
    assert len(on.accepted(message_id=message)) == 1


def test_a_text_that_is_too_long_is_refused_before_the_provider_is_asked(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="sms")
    message = sms(on, contact, {"kind": "text", "body": "я" * 631})
    on.reaches(message, "failed")
    reported = on.operator.get(f"/api/messages/{message}")
    assert reported["errorCode"] == "invalid_content"
    assert "631 UCS-2 units" in reported["errorDetail"]
    assert on.accepted(message_id=message) == []


def test_a_number_that_does_not_exist_fails_with_the_reason(on: Platform) -> None:
    contact = on.contact(NO_NUMBER, "Nobody Example", channel="sms")
    message = sms(on, contact)
    on.reaches(message, "failed")
    assert on.operator.get(f"/api/messages/{message}")["errorCode"] == "invalid_recipient"


def test_who_is_on_the_providers_own_list_has_opted_out_with_us_too(on: Platform) -> None:
    contact = on.contact(LISTED, "Out Example", channel="sms")
    message = sms(on, contact)
    on.reaches(message, "failed")
    assert on.operator.get(f"/api/messages/{message}")["errorCode"] == "opted_out"
    evidence = on.opted_out(contact, "sms")
    assert (evidence["who"], evidence["words"]) == ("provider", "DESTINATION_PHONE_NUMBER_OPTED_OUT")


def test_stop_by_sms_wins_over_the_next_send(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="sms")
    on.reaches(sms(on, contact), "delivered")
    on.writes_in(phone, " Stop ", times=3, channel="sms")
    evidence = on.opted_out(contact, "sms")
    assert (evidence["how"], evidence["words"].strip()) == ("keyword", "Stop")

    def refused() -> bool:
        try:
            return bool(on.send(contact, TEXT, channel="sms", expect=422)["code"] == "OPTED_OUT")
        except Failed:
            return False

    until("the refusal", refused)
    (inbound,) = on.inbound_of(contact)
    assert (inbound["channel"], inbound["content"]["body"]) == ("sms", " Stop ")


def test_receipts_shuffled_and_doubled_never_move_a_status_back(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="sms")
    on.simulator.call("PATCH", "/control/behaviour", {"delay_ms": [10, 300], "duplicate": 3, "shuffle": True})
    message = sms(on, contact)
    on.reaches(message, "delivered")
    until("quiet carriers", lambda: not on.simulator.get("/control/events/pending")["pending"])
    assert on.status(message) == "delivered"
