"""Calls and answers as recorded: a recorded request is taken, and an answer has the members of the recorded one."""

from __future__ import annotations

import base64
import socket
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from libs.simulator import demo
from tests.simulator.conftest import Control
from tests.simulator.test_sms_voice import snake
from tests.simulator.test_whatsapp_sends import sample

#: A recorded request by its name, or an operation and its members.
Call = str | tuple[str, dict[str, Any]]

NUMBER = {"originationPhoneNumberId": demo.PHONE_NUMBER_ID}
TWO_WAY = {"TwoWayEnabled": True, "TwoWayChannelArn": "arn:aws:sns:us-east-1:111122223333:inbound"}
MEDIA = {"mediaId": demo.MEDIA_IMAGE_ID, **NUMBER}
TEMPLATE = "socialmessaging.CreateWhatsAppMessageTemplate.request"
MAIL: Call = ("CreateConfigurationSet", {"ConfigurationSetName": "messaging-email"})
EVENTS = "sms-voice.CreateConfigurationSet.request"
DESTINATIONS = "socialmessaging.PutWhatsAppBusinessAccountEventDestinations.request"
OUT = "sms-voice.PutOptedOutNumber.request"

#: Recorded answer -> what is asked before, and what is asked.
ANSWERS: dict[str, list[Call]] = {
    "sesv2.GetAccount": [("GetAccount", {})],
    "sesv2.SendBulkEmail": [MAIL, "sesv2.SendBulkEmail.request"],
    "sesv2.SendEmail": [MAIL, "sesv2.SendEmail.simple.request"],
    "sms-voice.CreateConfigurationSet": [EVENTS],
    "sms-voice.CreateEventDestination": [EVENTS, "sms-voice.CreateEventDestination.request"],
    "sms-voice.PutOptedOutNumber": [OUT],
    "sms-voice.DescribeOptedOutNumbers": [OUT, "sms-voice.DescribeOptedOutNumbers.request"],
    "sms-voice.DeleteOptedOutNumber": [OUT, "sms-voice.DeleteOptedOutNumber.request"],
    "sms-voice.DescribePhoneNumbers": [
        ("UpdatePhoneNumber", {"PhoneNumberId": demo.SMS_PHONE_NUMBER_ID, **TWO_WAY}),
        ("DescribePhoneNumbers", {"PhoneNumberIds": [demo.SMS_PHONE_NUMBER_ID]}),
    ],
    "sms-voice.DescribeRcsAgents": [
        ("UpdateRcsAgent", {"RcsAgentId": demo.RCS_AGENT_ID, **TWO_WAY}),
        ("DescribeRcsAgents", {"RcsAgentIds": [demo.RCS_AGENT_ID]}),
    ],
    "sms-voice.SendTextMessage": [EVENTS, "sms-voice.SendTextMessage.minimal.request"],
    "sms-voice.SendMediaMessage": [EVENTS, "sms-voice.SendMediaMessage.request"],
    "sms-voice.SendVoiceMessage": [EVENTS, "sms-voice.SendVoiceMessage.text.request"],
    "sms-voice.SendRcsMessage": [EVENTS, "sms-voice.SendRcsMessage.file.request"],
    "sms-voice.SendNotifyTextMessage": [EVENTS, "sms-voice.SendNotifyTextMessage.request"],
    "sms-voice.SendNotifyVoiceMessage": [EVENTS, "sms-voice.SendNotifyVoiceMessage.request"],
    "socialmessaging.SendWhatsAppMessage": ["socialmessaging.SendWhatsAppMessage.contacts.request"],
    "socialmessaging.CreateWhatsAppMessageTemplate": [
        ("DeleteWhatsAppMessageTemplate", {"id": demo.WABA_ID, "templateName": "order_shipped_v1"}), TEMPLATE,
    ],
    "socialmessaging.ListWhatsAppMessageTemplates": [("ListWhatsAppMessageTemplates", {"id": demo.WABA_ID})],
    "socialmessaging.GetLinkedWhatsAppBusinessAccount": [DESTINATIONS, ("GetLinkedWhatsAppBusinessAccount", {"id": demo.WABA_ID})],
    "socialmessaging.PutWhatsAppBusinessAccountEventDestinations": [DESTINATIONS],
    "socialmessaging.PostWhatsAppMessageMedia": ["socialmessaging.PostWhatsAppMessageMedia.request"],
    "socialmessaging.GetWhatsAppMessageMedia": [("GetWhatsAppMessageMedia", {**MEDIA, "metadataOnly": True})],
    "socialmessaging.DeleteWhatsAppMessageMedia": ["socialmessaging.DeleteWhatsAppMessageMedia.request"],
}  # fmt: skip


@pytest.fixture
def photo(bucket: dict[str, tuple[str, bytes]]) -> None:
    """The file that the recorded requests name."""
    bucket["/example-media-bucket/tenant-1/outbound/photo.jpg"] = ("image/jpeg", b"\xff\xd8\xff\xe0 synthetic")


async def asked(call: Call, service: str, clients: dict[str, Any]) -> Any:
    """Make one call; a request as recorded carries bytes in base64."""
    operation, members = (call.split(".")[1], sample(f"{call}.json")) if isinstance(call, str) else call
    for name in {"message", "templateDefinition"} & set(members):
        members[name] = base64.b64decode(members[name])
    client = clients["pinpoint-sms-voice-v2" if service == "sms-voice" else service]
    return await getattr(client, snake(operation).replace("whats_app", "whatsapp"))(**members)


def members(value: Any) -> Any:
    """Names and kinds; a time is a number on the wire."""
    if isinstance(value, dict):
        return {name: members(each) for name, each in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list):
        return [members(each) for each in value[:1]]
    return (
        "number" if isinstance(value, int | float | datetime) and not isinstance(value, bool) else type(value).__name__
    )


def lacking(ours: Any, recorded: Any, where: str = "") -> list[str]:
    """What of the recorded answer ours does not have, or has otherwise."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        return [each for name, value in recorded.items() for each in lacking(ours.get(name), value, f"{where}.{name}")]
    if isinstance(recorded, list) and isinstance(ours, list) and recorded and ours:
        return lacking(ours[0], recorded[0], f"{where}[]")
    return [] if ours == recorded else [f"{where}: {ours} instead of {recorded}"]


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_has_the_members_of_the_recorded_one(name: str, clients: dict[str, Any], photo: None) -> None:
    for call in ANSWERS[name]:
        answer = await asked(call, name.split(".")[0], clients)
    assert lacking(members(answer), members(sample(f"{name}.response.json"))) == []


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("sesv2.CreateConfigurationSetEventDestination", [MAIL]), ("sesv2.PutSuppressedDestination", []),
        ("sms-voice.PutKeyword", []),
    ],
)  # fmt: skip
async def test_a_recorded_request_is_taken(name: str, before: list[Call], clients: dict[str, Any], photo: None) -> None:
    for call in (*before, f"{name}.request"):
        answer = await asked(call, name.split(".")[0], clients)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("name", ["GetWhatsAppMessageMedia.metadata-only", "GetWhatsAppMessageMedia"])
async def test_a_recorded_request_for_a_file_that_was_sent_to_us_is_taken(
    name: str, clients: dict[str, Any], control: Control, bucket: dict[str, tuple[str, bytes]]
) -> None:
    picture = {"from": demo.CUSTOMER, "type": "image", "mime_type": "image/jpeg", "data": "/9j/4AAQ"}
    come = await control.post("/inbound/whatsapp", **picture)
    request = {**sample(f"socialmessaging.{name}.request.json"), "mediaId": come["mediaId"]}
    answer = await asked((name.split(".")[0], request), "socialmessaging", clients)
    assert (answer["mimeType"], answer["fileSize"]) == ("image/jpeg", 6)
    assert any(path.startswith("/example-media-bucket/tenant-1/inbound_") for path in bucket) == ("." not in name)


async def test_a_recorded_link_is_of_the_kind_that_is_fetched(
    clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is there: what is refused is the file, not the request."""

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror("the tests ask nobody outside")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(ClientError, match="The presigned URL could not be reached"):
        await asked("socialmessaging.PostWhatsAppMessageMedia.presigned.request", "socialmessaging", clients)
