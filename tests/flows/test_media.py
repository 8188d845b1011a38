"""Files from the front entry point to the carriers' ledger and back, between real processes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from deploy.smoke.client import until
from deploy.smoke.platform import Platform
from libs.simulator.socialmessaging.seeds import PDF, PNG


def message_from(on: Platform, phone: str) -> dict[str, Any]:
    def look() -> Any:
        found = on.operator.get("/api/contacts/search", q=phone)["items"]
        messages = on.inbound_of(found[0]["contactId"]) if found else []
        return messages[0] if messages else None

    message: dict[str, Any] = until("the message", look)
    return message


def test_a_picture_that_a_customer_sends_three_times_over_is_one_file_of_one_message(on: Platform, phone: str) -> None:
    on.picture_in(phone, PNG, times=3)
    message = message_from(on, phone)
    refs = until("the file", lambda: on.operator.get(f"/api/messages/{message['messageId']}")["mediaRefs"])
    assert len(refs) == 1
    got = on.download(refs[0])
    assert got.content == PNG
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-disposition"].startswith("attachment")


def test_a_program_sent_as_a_picture_is_rejected_and_the_message_stays(on: Platform, phone: str) -> None:
    on.picture_in(phone, b"MZ\x90\x00" + bytes(60), times=3)
    message = message_from(on, phone)
    listed = until("the decision", lambda: on.viewer.get("/api/media", messageId=message["messageId"])["items"])
    assert [(item["state"], item["reason"]) for item in listed] == [("rejected", "type")]
    assert on.operator.get(f"/api/messages/{message['messageId']}")["mediaRefs"] == []


def test_a_file_that_was_uploaded_once_goes_out_twice_and_is_handed_in_once(on: Platform, phone: str) -> None:
    file_id = on.upload(PNG, "image/png", "photo.png", channel="whatsapp")
    content = {"kind": "media", "mediaType": "image", "file": {"fileId": file_id}, "caption": "Your order"}
    on.writes_in(phone, "Send me a picture")
    contact = message_from(on, phone)["contactId"]
    first = on.send_when_known(contact, content)
    on.reaches(first, "read")
    second = on.send_when_known(contact, content)
    on.reaches(second, "read")
    (one,), (two,) = on.accepted(message_id=first), on.accepted(message_id=second)
    assert one["payload"]["image"] == two["payload"]["image"]
    assert set(one["payload"]["image"]) == {"id", "caption"}


def test_a_file_too_large_for_the_channel_is_refused_when_the_message_is_asked_for(on: Platform, phone: str) -> None:
    large = PNG + bytes(5 * 1024 * 1024)
    file_id = on.upload(large, "image/png", "large.png")
    on.writes_in(phone, "Send me a picture")
    contact = message_from(on, phone)["contactId"]
    content = {"kind": "media", "mediaType": "image", "file": {"fileId": file_id}}

    def refused() -> Any:
        body = {"contactId": contact, "channel": "whatsapp", "content": content}
        code = on.operator.call("POST", "/api/messages", body, expect=422)
        return code if code["code"] == "INVALID_CONTENT" else None

    answer = until("the refusal", refused)
    assert answer["errors"][0]["field"] == "content.file"


def test_what_is_not_what_it_says_is_rejected_when_it_is_uploaded(on: Platform) -> None:
    file_id = on.upload(b"<svg onload='alert(1)'/>", "image/png", "x.png", state="rejected")
    assert on.viewer.get(f"/api/media/{file_id}")["reason"] == "type"


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_a_file_goes_out_by_mms_and_as_an_attachment(on: Platform, phone: str, channel: str) -> None:
    file_id = on.upload(PDF, "application/pdf", "bill.pdf")
    if channel == "sms":
        contact = on.contact(phone, "Ann Example", channel="sms")
        content: dict[str, Any] = {"kind": "media", "mediaType": "document", "file": {"fileId": file_id}}
    else:
        contact = on.mailbox(f"ann{phone[-4:]}@example.com", "Ann Example")
        content = {
            "kind": "email",
            "subject": "Your bill",
            "text": "See attached.",
            "attachments": [{"fileId": file_id}],
        }
    message = on.send_when_known(contact, content, channel=channel)
    on.reaches(message, "delivered")
    (accepted,) = on.accepted(message_id=message)
    wanted = f"s3://wecare-local-media-files/files/{file_id}.pdf" if channel == "sms" else "bill.pdf"
    payload = json.dumps(accepted["payload"])
    if channel == "email":
        payload = base64.b64decode(accepted["payload"]["Content"]["Raw"]["Data"]).decode()
    assert wanted in payload
