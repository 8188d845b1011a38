"""WhatsApp accounts, templates and media through real clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.simulator import demo
from tests.simulator.conftest import TOPIC, Control, body_parameters, send, template_body
from tests.simulator.fake_sns import FakeSns, whatsapp
from tests.simulator.test_whatsapp_sends import fate, sample, shape


async def test_the_account_names_its_numbers_and_destination(whatsapp_client: Any) -> None:
    answer = await whatsapp_client.get_linked_whatsapp_business_account(id=demo.waba_arn())
    account = answer["account"]
    assert [n["phoneNumberId"] for n in account["phoneNumbers"]] == [demo.PHONE_NUMBER_ID, demo.SECOND_PHONE_NUMBER_ID]
    assert account["eventDestinations"] == [{"eventDestinationArn": TOPIC}]
    listed = await whatsapp_client.list_linked_whatsapp_business_accounts()
    assert [a["id"] for a in listed["linkedAccounts"]] == [demo.WABA_ID]
    number = await whatsapp_client.get_linked_whatsapp_business_account_phone_number(id=demo.PHONE_NUMBER_ID)
    assert number["phoneNumber"]["phoneNumber"] == demo.PHONE_NUMBER


@pytest.mark.parametrize(
    "destinations",
    [
        [{"eventDestinationArn": TOPIC + ".fifo"}],
        [{"eventDestinationArn": "arn:aws:sqs:us-east-1:111122223333:queue"}],
    ],
)
async def test_only_standard_topics_can_be_destinations(destinations: Any, whatsapp_client: Any) -> None:
    with pytest.raises(whatsapp_client.exceptions.InvalidParametersException):
        await whatsapp_client.put_whatsapp_business_account_event_destinations(
            id=demo.WABA_ID, eventDestinations=destinations
        )


async def test_more_than_one_destination_is_refused_by_the_model(whatsapp_client: Any) -> None:
    with pytest.raises(whatsapp_client.exceptions.ValidationException, match="eventDestinations"):
        await whatsapp_client.put_whatsapp_business_account_event_destinations(
            id=demo.WABA_ID, eventDestinations=[{"eventDestinationArn": TOPIC}] * 2
        )


def definition(**changes: Any) -> bytes:
    body = {"type": "BODY", "text": "Hello {{1}}, welcome.", "example": {"body_text": [["Alex"]]}}
    base = {"name": "greeting", "language": "en_US", "category": "UTILITY", "components": [body]}
    return json.dumps(base | changes).encode()


async def test_a_new_template_is_pending_then_approved_and_can_be_sent(whatsapp_client: Any, sns: FakeSns) -> None:
    answer = await whatsapp_client.create_whatsapp_message_template(id=demo.WABA_ID, templateDefinition=definition())
    assert answer["templateStatus"] == "PENDING"
    await sns.until(lambda s: s.on(TOPIC))
    recorded = sample("eum-social.event.template_status.approved.json")
    assert shape(sns.on(TOPIC)[0]) == shape(recorded)
    assert shape(whatsapp(sns.on(TOPIC)[0])) == shape(whatsapp(recorded))
    await send(whatsapp_client, template_body("greeting", body_parameters("Alex")))
    assert await fate(sns, "delivered")


async def test_a_template_can_be_read_changed_and_deleted(whatsapp_client: Any, control: Control) -> None:
    await control.behave(template_review="hold")
    made = await whatsapp_client.create_whatsapp_message_template(id=demo.WABA_ID, templateDefinition=definition())
    with pytest.raises(whatsapp_client.exceptions.ConflictException):
        await whatsapp_client.create_whatsapp_message_template(id=demo.WABA_ID, templateDefinition=definition())
    got = await whatsapp_client.get_whatsapp_message_template(id=demo.WABA_ID, metaTemplateId=made["metaTemplateId"])
    assert json.loads(got["template"])["name"] == "greeting"
    components = json.dumps([{"type": "BODY", "text": "Good day."}]).encode()
    await whatsapp_client.update_whatsapp_message_template(
        id=demo.WABA_ID, metaTemplateId=made["metaTemplateId"], templateComponents=components
    )
    await whatsapp_client.delete_whatsapp_message_template(id=demo.WABA_ID, templateName="greeting")
    with pytest.raises(whatsapp_client.exceptions.ResourceNotFoundException):
        await whatsapp_client.get_whatsapp_message_template(id=demo.WABA_ID, templateName="greeting")


async def test_lists_come_in_pages(whatsapp_client: Any) -> None:
    names, token = [], None
    while True:
        more = {"nextToken": token} if token else {}
        page = await whatsapp_client.list_whatsapp_message_templates(id=demo.WABA_ID, maxResults=4, **more)
        assert len(page["templates"]) <= 4
        names += [t["templateName"] for t in page["templates"]]
        token = page.get("nextToken")
        if not token:
            break
    assert len(names) == len(set(names)) > 4
    assert demo.TEMPLATE_ORDER_UPDATE in names


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Not Lower"},
        {"language": "english"},
        {"category": "OTHER"},
        {"components": []},
        {"components": [{"type": "BODY", "text": "x" * 1025}]},
        {"components": [{"type": "BODY", "text": "Hi {{1}} there"}]},
        {"components": [{"type": "BODY", "text": "Hi {{2}} there", "example": {}}]},
        {"components": [{"type": "BODY", "text": "{{1}} hello", "example": {}}]},
        {
            "components": [
                {"type": "BODY", "text": "x"},
                {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "x" * 26}]},
            ]
        },
        {"components": [{"type": "BODY", "text": "x"}, {"type": "FOOTER", "text": "{{1}}", "example": {}}]},
    ],
)
async def test_a_definition_that_meta_would_refuse_is_refused(changes: dict[str, Any], whatsapp_client: Any) -> None:
    with pytest.raises(whatsapp_client.exceptions.InvalidParametersException):
        await whatsapp_client.create_whatsapp_message_template(
            id=demo.WABA_ID, templateDefinition=definition(**changes)
        )


async def test_a_paused_template_stops_working_and_the_event_says_so(
    whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    info = {"title": "FIRST_PAUSE", "description": "Template paused for 3 hours because of low quality"}
    await control.post("/templates/order_update/status", status="PAUSED", other_info=info)
    await sns.until(lambda s: s.on(TOPIC))
    recorded = sample("eum-social.event.template_status.paused.json")
    assert shape(whatsapp(sns.on(TOPIC)[0])) == shape(whatsapp(recorded))


@pytest.mark.parametrize(
    ("path", "body", "recording"),
    [
        ("/templates/order_update/category", {"category": "MARKETING"}, "template_category_update"),
        ("/quality", {"quality_rating": "RED"}, "phone_number_quality_update"),
        ("/account", {"state": "RESTRICTED"}, "account_update.restriction"),
    ],
)
async def test_account_events_have_the_shape_of_the_recorded_ones(
    path: str, body: dict[str, Any], recording: str, whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.post(path, **body)
    await sns.until(lambda s: s.on(TOPIC))
    recorded = sample(f"eum-social.event.{recording}.json")
    assert shape(whatsapp(sns.on(TOPIC)[0])) == shape(whatsapp(recorded))


async def test_media_go_from_s3_to_whatsapp_and_back(
    whatsapp_client: Any, bucket: dict[str, tuple[str, bytes]]
) -> None:
    bucket["/media/photo.png"] = ("image/png", b"\x89PNG synthetic")
    source = {"bucketName": "media", "key": "photo.png"}
    made = await whatsapp_client.post_whatsapp_message_media(
        originationPhoneNumberId=demo.PHONE_NUMBER_ID, sourceS3File=source
    )
    asked = {"mediaId": made["mediaId"], "originationPhoneNumberId": demo.PHONE_NUMBER_ID}
    got = await whatsapp_client.get_whatsapp_message_media(**asked, metadataOnly=True)
    assert (got["mimeType"], got["fileSize"]) == ("image/png", 14)
    target = {"bucketName": "media", "key": "in/inbound_"}
    await whatsapp_client.get_whatsapp_message_media(**asked, destinationS3File=target)
    assert bucket[f"/media/in/inbound_{made['mediaId']}.png"][1] == b"\x89PNG synthetic"
    assert (await whatsapp_client.delete_whatsapp_message_media(**asked))["success"] is True
    with pytest.raises(whatsapp_client.exceptions.ResourceNotFoundException):
        await whatsapp_client.get_whatsapp_message_media(**asked, metadataOnly=True)


async def test_a_received_file_can_be_fetched(
    whatsapp_client: Any, control: Control, bucket: dict[str, tuple[str, bytes]]
) -> None:
    intent = {"from": demo.CUSTOMER, "type": "image", "mime_type": "image/jpeg", "data": "/9j/4AAQ"}
    media_id = (await control.post("/inbound/whatsapp", **intent))["mediaId"]
    await whatsapp_client.get_whatsapp_message_media(
        mediaId=media_id, originationPhoneNumberId=demo.PHONE_NUMBER_ID,
        destinationS3File={"bucketName": "media", "key": "inbound_"},
    )  # fmt: skip
    assert bucket[f"/media/inbound_{media_id}.jpeg"][1] == b"\xff\xd8\xff\xe0\x00\x10"


@pytest.mark.parametrize(
    ("kind", "size"),
    [("image/gif", 10), ("image/png", 5 * 1024 * 1024 + 1), ("image/webp", 500 * 1024 + 1), ("image/png", 0)],
)
async def test_files_of_a_wrong_type_or_size_are_refused(
    kind: str, size: int, whatsapp_client: Any, bucket: dict[str, tuple[str, bytes]]
) -> None:
    bucket["/media/file"] = (kind, b"x" * size)
    with pytest.raises(whatsapp_client.exceptions.InvalidParametersException, match="131053"):
        await whatsapp_client.post_whatsapp_message_media(
            originationPhoneNumberId=demo.PHONE_NUMBER_ID, sourceS3File={"bucketName": "media", "key": "file"}
        )


async def test_source_and_destination_are_exclusive(whatsapp_client: Any) -> None:
    with pytest.raises(whatsapp_client.exceptions.InvalidParametersException):
        await whatsapp_client.post_whatsapp_message_media(originationPhoneNumberId=demo.PHONE_NUMBER_ID)
    with pytest.raises(whatsapp_client.exceptions.ValidationException, match="pattern"):
        await whatsapp_client.post_whatsapp_message_media(
            originationPhoneNumberId=demo.PHONE_NUMBER_ID,
            sourceS3PresignedUrl={"url": "http://127.0.0.1/x", "headers": {}},
        )


async def test_an_operation_that_is_not_simulated_says_so(whatsapp_client: Any) -> None:
    with pytest.raises(whatsapp_client.exceptions.ClientError, match="not simulated") as caught:
        await whatsapp_client.list_whatsapp_flows(id=demo.WABA_ID)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
