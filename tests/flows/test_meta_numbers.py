"""A number that is connected at Meta itself, at the running platform: Meta's own webhook in, Meta's own API out, nothing by AWS."""

from __future__ import annotations

import base64

from deploy.smoke.client import until
from deploy.smoke.platform import Platform
from libs.simulator import demo
from libs.simulator.socialmessaging.seeds import PNG
from tests.flows.test_media import message_from


def test_a_picture_comes_and_one_goes_by_meta_and_the_receipts_come_back(on: Platform, phone: str) -> None:
    picture = {"from": phone, "type": "image", "mime_type": "image/png", "data": base64.b64encode(PNG).decode()}
    on.simulator.call("POST", "/control/inbound/whatsapp", {**picture, "direct": True, "times": 3})
    message = message_from(on, phone)
    (ref,) = until("the file", lambda: on.operator.get(f"/api/messages/{message['messageId']}")["mediaRefs"])
    assert on.download(ref).content == PNG
    file_id = on.upload(PNG, "image/png", "photo.png", channel="whatsapp")
    content = {"kind": "media", "mediaType": "image", "file": {"fileId": file_id}}
    answer = on.send_when_known(message["contactId"], content, sender=demo.META_PHONE_NUMBER_ID)
    on.reaches(answer, "read")
    (accepted,) = on.accepted(message_id=answer)
    assert (accepted["service"], accepted["provider_id"]) == ("graph", accepted["wamid"])
