"""SMS, MMS, voice and RCS: sends, refusals, events, opt-outs and inbound, through real clients."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from libs.simulator import demo
from libs.simulator.app import Simulator
from tests.simulator.conftest import (
    RCS_INBOUND,
    SMS_INBOUND,
    SMS_TOPIC,
    Control,
    blocking_client,
    in_thread,
)
from tests.simulator.fake_sns import FakeSns
from tests.simulator.test_whatsapp_sends import SAMPLES, sample, shape

SENDS = sorted(p.name for p in SAMPLES.glob("sms-voice.Send*.request.json"))


def snake(operation: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()


def text(**changes: Any) -> dict[str, Any]:
    base = {
        "DestinationPhoneNumber": demo.CUSTOMER, "OriginationIdentity": demo.PHONE_NUMBER, "MessageBody": "hello",
        "ConfigurationSetName": "messaging-events", "Context": {"messageId": "m-1"},
    }  # fmt: skip
    return {k: v for k, v in (base | changes).items() if v is not None}


def rcs(**changes: Any) -> dict[str, Any]:
    content = {"Content": {"TextMessage": {"Body": "hello"}}}
    return text(OriginationIdentity=demo.RCS_AGENT_ID, MessageBody=None, RcsMessageContent=content) | changes


async def types(sns: FakeSns, count: int) -> list[str]:
    await sns.until(lambda s: len(s.on(SMS_TOPIC)) >= count)
    return [e["eventType"] for e in sns.on(SMS_TOPIC)]


@pytest.mark.parametrize("name", SENDS)
async def test_every_recorded_send_is_accepted(name: str, sms_client: Any, control: Control) -> None:
    operation = name.split(".")[1]
    answer = await getattr(sms_client, snake(operation))(**sample(name))
    (entry,) = (await control.get("/ledger"))["entries"]
    assert entry["provider_id"] == answer["MessageId"]
    assert entry["operation"] == operation


async def test_boto3_sends_a_text_too(sms_client: Any, simulator: Simulator, control: Control) -> None:
    client = blocking_client("pinpoint-sms-voice-v2", simulator.url)
    answer = await in_thread(lambda: client.send_text_message(**text()))
    assert (await control.get("/ledger?message_id=m-1"))["entries"][0]["provider_id"] == answer["MessageId"]


async def test_a_text_is_pending_then_delivered_with_its_context(sms_client: Any, sns: FakeSns) -> None:
    answer = await sms_client.send_text_message(**text(Context={"messageId": "m-1", "job": "j"}))
    assert await types(sns, 2) == ["TEXT_PENDING", "TEXT_DELIVERED"]
    event = sns.on(SMS_TOPIC)[1]
    assert event["messageId"] == answer["MessageId"]
    assert event["context"] == {"messageId": "m-1", "job": "j"}
    recorded = sample("sms.event.TEXT_DELIVERED.json")
    assert shape(event | {"context": recorded["context"]}) == shape(recorded)


RECORDED = sorted(p.name for kind in ("sms", "mms", "voice", "rcs") for p in SAMPLES.glob(f"{kind}.event.*.json"))


@pytest.mark.parametrize("name", RECORDED)
async def test_every_recorded_event_can_be_brought_about(
    name: str, sms_client: Any, sns: FakeSns, control: Control
) -> None:
    recorded = sample(name)
    wanted = "RCS_REJECTED" if name == "rcs.event.RCS_FAILED.rejected.json" else recorded["eventType"]
    status, _ = await control.call(
        "PUT", "/outcomes", {"service": "pinpoint-sms-voice-v2", "to": demo.CUSTOMER, "events": [wanted]}
    )
    assert status == 200
    context = {"Context": {"tenantId": "t", "messageRef": "r"}}
    if wanted.startswith("TEXT"):
        await sms_client.send_text_message(**text(**context))
    elif wanted.startswith("MEDIA"):
        await sms_client.send_media_message(**text(MediaUrls=["s3://example-media-bucket/a.jpg"], **context))
    elif wanted.startswith("VOICE"):
        await sms_client.send_voice_message(**text(**context))
    else:
        await sms_client.send_rcs_message(**rcs(**context))
    await types(sns, 1)
    (event,) = sns.on(SMS_TOPIC)
    if "in-conversation" in name:
        recorded = {k: v for k, v in recorded.items() if not k.startswith("conversation")}
    if wanted == "RCS_DELIVERED":
        assert event["rcsMetadata"]["billingEventType"] == "BASIC"
    assert shape(event) == shape(recorded)
    same = ("eventType", "eventVersion", "isFinal", "messageStatus", "messageStatusDescription", "messageEncoding")
    assert {k: event.get(k) for k in same} == {k: recorded.get(k) for k in same}


@pytest.mark.parametrize(
    ("to", "events"),
    [
        ("+12025550190", ["TEXT_INVALID"]),
        ("+12025550182", ["TEXT_PENDING", "TEXT_CARRIER_BLOCKED"]),
        ("+12025550183", ["TEXT_PENDING", "TEXT_UNREACHABLE"]),
        ("+14254147755", ["TEXT_PENDING", "TEXT_DELIVERED"]),
        ("+14254147167", ["TEXT_INVALID"]),
    ],
)
async def test_magic_numbers_have_their_fate(to: str, events: list[str], sms_client: Any, sns: FakeSns) -> None:
    await sms_client.send_text_message(**text(DestinationPhoneNumber=to))
    assert await types(sns, len(events)) == events


async def test_without_a_configuration_set_no_event_comes(sms_client: Any, sns: FakeSns, control: Control) -> None:
    await sms_client.send_text_message(**text(ConfigurationSetName=None))
    await control.get("/events/pending?wait_s=2")
    assert sns.messages == []


async def test_a_call_rings_is_answered_and_ends(sms_client: Any, sns: FakeSns) -> None:
    await sms_client.send_voice_message(**text(MessageBody="word " * 200))
    assert await types(sns, 4) == ["VOICE_INITIATED", "VOICE_RINGING", "VOICE_ANSWERED", "VOICE_COMPLETED"]
    end = sns.on(SMS_TOPIC)[3]
    assert (end["callDurationInSeconds"], end["totalDurationInMinutes"]) == (71, 2)


async def test_an_rcs_message_falls_back_to_sms(sms_client: Any, sns: FakeSns) -> None:
    fallback = {"Channel": "SMS", "MessageBody": "hello", "OriginationIdentity": demo.PHONE_NUMBER}
    await sms_client.send_rcs_message(**rcs(DestinationPhoneNumber="+12025550183", FallbackConfiguration=fallback))
    assert await types(sns, 4) == ["RCS_SENT", "RCS_FALLEN_BACK_TO_SMS", "TEXT_PENDING", "TEXT_DELIVERED"]
    assert [e["originationPhoneNumber"] for e in sns.on(SMS_TOPIC)] == [demo.RCS_AGENT_ID] * 2 + [demo.PHONE_NUMBER] * 2


@pytest.mark.parametrize("url", ["missing.jpg", "photo.tiff", "huge.jpg"])
async def test_unusable_media_have_their_event(url: str, sms_client: Any, sns: FakeSns) -> None:
    await sms_client.send_media_message(**text(MediaUrls=[f"s3://example-media-bucket/{url}"]))
    assert (await types(sns, 1))[0].startswith("MEDIA_FILE_")


async def test_a_text_beyond_ten_parts_is_accepted_and_invalid(sms_client: Any, sns: FakeSns) -> None:
    await sms_client.send_text_message(**text(MessageBody="a" * 1531))
    assert await types(sns, 1) == ["TEXT_INVALID_MESSAGE"]


async def refusal(client: Any, operation: str, params: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(ClientError) as caught:
        await getattr(client, operation)(**params)
    return caught.value.response["Error"]["Code"], caught.value.response.get("Reason")


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"DestinationPhoneNumber": "abc"}, "ValidationException", "FIELD_VALIDATION_FAILED"),
        ({"MessageBody": "a" * 1601}, "ValidationException", "FIELD_VALIDATION_FAILED"),
        ({"MessageBody": None}, "ValidationException", "MISSING_PARAMETER"),
        ({"TimeToLive": 259201}, "ValidationException", "FIELD_VALIDATION_FAILED"),
        ({"Context": {str(i): "x" for i in range(6)}}, "ValidationException", "FIELD_VALIDATION_FAILED"),
        ({"Context": {"a": " x"}}, "ValidationException", "FIELD_VALIDATION_FAILED"),
        ({"MessageType": "OTHER"}, "ValidationException", "FIELD_VALIDATION_FAILED"),
        ({"MessageType": "PROMOTIONAL"}, "ConflictException", "MESSAGE_TYPE_MISMATCH"),
        ({"MaxPrice": "0.001"}, "ValidationException", "PRICE_OVER_THRESHOLD"),
        ({"OriginationIdentity": demo.SENDER_ID}, "ValidationException", "SENDER_ID_NOT_SUPPORTED"),
        ({"OriginationIdentity": "+12025550155"}, "ResourceNotFoundException", None),
        ({"OriginationIdentity": "pool-" + "0" * 32}, "ResourceNotFoundException", None),
        ({"ConfigurationSetName": "nothing"}, "ResourceNotFoundException", None),
        ({"DestinationPhoneNumber": "+12025550192"}, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT"),
    ],
)
async def test_a_text_is_refused_with_awss_reason(
    change: dict[str, Any], code: str, reason: str | None, sms_client: Any, control: Control
) -> None:
    assert await refusal(sms_client, "send_text_message", text(**change)) == (code, reason)
    assert (await control.get("/ledger/summary"))["accepted"] == 0


CARD = {"Title": "x", "Media": {"FileUrl": "https://example.com/a.jpg", "Height": "SHORT"}}


@pytest.mark.parametrize(
    "change",
    [
        {"RcsMessageContent": {"Content": {"TextMessage": {"Body": "x" * 3073}}}},
        {"RcsMessageContent": {"Content": {"RichCard": {"CardOrientation": "DIAGONAL", "CardContent": CARD}}}},
        {"RcsMessageContent": {"Content": {"Carousel": {"CardWidth": "MEDIUM", "CardContents": [CARD] * 11}}}},
        {"RcsMessageContent": {"Content": {"FileMessage": {"FileUrl": "http://example.com/a.jpg"}}}},
        {"FallbackConfiguration": {"Channel": "SMS"}},
        {"FallbackConfiguration": {"Channel": "MMS", "MediaUrls": ["https://example.com/a.jpg"]}},
        {"FallbackConfiguration": {"Channel": "FAX", "MessageBody": "x"}},
        {"TimeToLive": 172801},
    ],
)
async def test_a_wrong_rcs_message_is_refused(change: dict[str, Any], sms_client: Any) -> None:
    code, _ = await refusal(sms_client, "send_rcs_message", rcs(**change))
    assert code == "ValidationException"


async def test_a_union_with_two_members_is_refused_on_the_wire(simulator: Simulator) -> None:
    import aiohttp

    content = {"TextMessage": {"Body": "x"}, "FileMessage": {"FileUrl": "https://example.com/a"}}
    body = {"DestinationPhoneNumber": "+1", "OriginationIdentity": "x", "RcsMessageContent": {"Content": content}}
    headers = {"X-Amz-Target": "PinpointSMSVoiceV2.SendRcsMessage", "Content-Type": "application/x-amz-json-1.0"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(simulator.url, json=body, headers=headers) as answer,
    ):
        found = await answer.json(content_type=None)
        assert (answer.status, found["__type"]) == (400, "ValidationException")
        assert "exactly one member" in found["Message"]
        assert {f["Name"] for f in found["Fields"]} == {"DestinationPhoneNumber", "RcsMessageContent.Content"}


async def test_a_dry_run_validates_and_sends_nothing(sms_client: Any, control: Control) -> None:
    assert (await sms_client.send_text_message(**text(DryRun=True)))["MessageId"]
    assert (await control.get("/ledger/summary"))["accepted"] == 0
    assert (await control.get("/events/pending"))["pending"] == 0


async def test_the_monthly_spend_limit_ends_sending(sms_client: Any, control: Control) -> None:
    await sms_client.set_text_message_spend_limit_override(MonthlyLimit=10)
    await control.post("/spend", channel="TEXT", spent=9.999)
    assert await refusal(sms_client, "send_text_message", text()) == (
        "ServiceQuotaExceededException", "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT",
    )  # fmt: skip
    limits = {x["Name"]: x for x in (await sms_client.describe_spend_limits())["SpendLimits"]}
    assert limits["TEXT_MESSAGE_MONTHLY_SPEND_LIMIT"]["EnforcedLimit"] == 10
    await sms_client.delete_text_message_spend_limit_override()
    await sms_client.send_text_message(**text())


async def test_the_sandbox_takes_verified_numbers_only(sms_client: Any, control: Control) -> None:
    await control.behave(sandbox=True)
    reason = "DESTINATION_PHONE_NUMBER_NOT_VERIFIED"
    assert await refusal(sms_client, "send_text_message", text()) == ("ConflictException", reason)
    await control.post("/verified", number=demo.CUSTOMER)
    await sms_client.send_text_message(**text())


async def test_stop_opts_out_and_the_next_send_conflicts(sms_client: Any, sns: FakeSns, control: Control) -> None:
    sent = await sms_client.send_text_message(**text())
    answer = await control.post("/inbound/sms", **{"from": demo.CUSTOMER, "text": "Stop please"})
    assert answer["keyword"] == "STOP"
    assert "unsubscribed" in answer["autoReply"]
    await sns.until(lambda s: s.on(SMS_INBOUND))
    event = sns.on(SMS_INBOUND)[0]
    assert shape(event) == shape(sample("sms.inbound.stop.json"))
    assert event["previousPublishedMessageId"] == sent["MessageId"]
    assert (await refusal(sms_client, "send_text_message", text()))[1] == "DESTINATION_PHONE_NUMBER_OPTED_OUT"
    listed = await sms_client.describe_opted_out_numbers(OptOutListName="Default")
    assert [(n["OptedOutNumber"], n["EndUserOptedOut"]) for n in listed["OptedOutNumbers"]] == [(demo.CUSTOMER, True)]
    await control.post("/inbound/sms", **{"from": demo.CUSTOMER, "text": "START"})
    await sms_client.send_text_message(**text())


async def test_self_managed_opt_outs_are_left_to_the_sender(sms_client: Any, sns: FakeSns, control: Control) -> None:
    await sms_client.update_phone_number(PhoneNumberId=demo.SMS_PHONE_NUMBER_ID, SelfManagedOptOutsEnabled=True)
    answer = await control.post("/inbound/sms", **{"from": demo.CUSTOMER, "text": "STOP"})
    assert answer["autoReply"] is None
    await sms_client.send_text_message(**text())


async def test_a_message_without_a_keyword_is_delivered_as_often_as_asked(
    sms_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.post("/inbound/sms", **{"from": demo.CUSTOMER, "text": "Where is my order? stop", "times": 3})
    await sns.until(lambda s: len(s.on(SMS_INBOUND)) == 3)
    assert {e["messageKeyword"] for e in sns.on(SMS_INBOUND)} == {"KEYWORD_111122223333"}
    assert len({e["inboundMessageId"] for e in sns.on(SMS_INBOUND)}) == 1


async def test_numbers_are_put_on_and_taken_off_a_list_once_in_30_days(sms_client: Any, control: Control) -> None:
    number = {"OptOutListName": "Default", "OptedOutNumber": demo.CUSTOMER}
    assert (await sms_client.put_opted_out_number(**number))["EndUserOptedOut"] is False
    await sms_client.delete_opted_out_number(**number)
    await sms_client.put_opted_out_number(**number)
    assert (await refusal(sms_client, "delete_opted_out_number", number))[0] == "ConflictException"
    await control.post("/clock/advance", seconds=30 * 86400)
    await sms_client.delete_opted_out_number(**number)
    assert (await refusal(sms_client, "delete_opted_out_number", number))[0] == "ResourceNotFoundException"


async def test_a_keyword_of_ones_own_can_opt_out(sms_client: Any, control: Control) -> None:
    await sms_client.put_keyword(
        OriginationIdentity=demo.SMS_PHONE_NUMBER_ID, Keyword="basta", KeywordMessage="Done.", KeywordAction="OPT_OUT"
    )
    answer = await control.post("/inbound/sms", **{"from": demo.CUSTOMER, "text": "BASTA"})
    assert (answer["keyword"], answer["autoReply"]) == ("BASTA", "Done.")
    assert (await refusal(sms_client, "send_text_message", text()))[1] == "DESTINATION_PHONE_NUMBER_OPTED_OUT"
    keywords = await sms_client.describe_keywords(OriginationIdentity=demo.SMS_PHONE_NUMBER_ID)
    assert {k["Keyword"] for k in keywords["Keywords"]} == {"STOP", "HELP", "BASTA"}


RCS_INBOUNDS = [
    ({"text": "Is it open on Sunday?"}, "text"),
    ({"type": "typing"}, "typing"),
    ({"type": "conversation_started"}, "conversation-started"),
    ({"type": "location"}, "location.unverified"),
]


@pytest.mark.parametrize(("intent", "recording"), RCS_INBOUNDS)
async def test_rcs_inbound_events_have_the_shape_of_the_recorded_ones(
    intent: dict[str, Any], recording: str, sms_client: Any, sns: FakeSns, control: Control
) -> None:
    await sms_client.send_rcs_message(**rcs())
    await control.post("/inbound/rcs", **{"from": demo.CUSTOMER, **intent})
    await sns.until(lambda s: s.on(RCS_INBOUND))
    assert shape(sns.on(RCS_INBOUND)[0]) == shape(sample(f"rcs.inbound.{recording}.json"))


async def test_feedback_needs_a_message_that_was_sent(sms_client: Any) -> None:
    sent = await sms_client.send_text_message(**text())
    request = sample("sms-voice.PutMessageFeedback.request.json") | {"MessageId": sent["MessageId"]}
    answer = await sms_client.put_message_feedback(**request)
    assert {**answer, "ResponseMetadata": None} == {
        **sample("sms-voice.PutMessageFeedback.response.json"), "MessageId": sent["MessageId"], "ResponseMetadata": None,
    }  # fmt: skip
    unknown = {"MessageId": "nothing", "MessageFeedbackStatus": "FAILED"}
    assert (await refusal(sms_client, "put_message_feedback", unknown))[0] == "ResourceNotFoundException"


async def test_resources_are_described_with_ids_and_filters(sms_client: Any) -> None:
    numbers = await sms_client.describe_phone_numbers()
    assert [n["PhoneNumber"] for n in numbers["PhoneNumbers"]] == [demo.PHONE_NUMBER, demo.SECOND_PHONE_NUMBER]
    filters = [{"Name": "number-type", "Values": ["TOLL_FREE"]}]
    assert len((await sms_client.describe_phone_numbers(Filters=filters))["PhoneNumbers"]) == 1
    filters = [{"Name": "two-way-enabled", "Values": ["true"]}]
    assert len((await sms_client.describe_rcs_agents(Filters=filters))["RcsAgents"]) == 1
    assert (await sms_client.describe_pools(PoolIds=[demo.POOL_ID]))["Pools"][0]["PoolId"] == demo.POOL_ID
    members = await sms_client.list_pool_origination_identities(PoolId=demo.POOL_ID)
    assert len(members["OriginationIdentities"]) == 2
    attributes = await sms_client.describe_account_attributes()
    assert attributes["AccountAttributes"] == [{"Name": "ACCOUNT_TIER", "Value": "PRODUCTION"}]
    assert (await refusal(sms_client, "describe_pools", {"PoolIds": ["pool-0"]}))[0] == "ResourceNotFoundException"
    for operation in ("describe_account_limits", "describe_sender_ids", "describe_opt_out_lists"):
        assert await getattr(sms_client, operation)()


async def test_configuration_sets_and_destinations_are_managed(sms_client: Any, sns: FakeSns) -> None:
    name = {"ConfigurationSetName": "messaging-events"}
    assert (await refusal(sms_client, "create_configuration_set", name))[1] == "RESOURCE_ALREADY_EXISTS"
    both = {
        "SnsDestination": {"TopicArn": SMS_TOPIC},
        "CloudWatchLogsDestination": {
            "IamRoleArn": "arn:aws:iam::111122223333:role/r",
            "LogGroupArn": "arn:aws:logs:us-east-1:111122223333:log-group:g",
        },
    }
    wrong = name | {"EventDestinationName": "two", "MatchingEventTypes": ["ALL"], **both}
    assert (await refusal(sms_client, "create_event_destination", wrong))[1] == "PARAMETERS_CANNOT_BE_USED_TOGETHER"
    await sms_client.update_event_destination(**name, EventDestinationName="sns", MatchingEventTypes=["TEXT_DELIVERED"])
    await sms_client.send_text_message(**text())
    assert await types(sns, 1) == ["TEXT_DELIVERED"]
    described = await sms_client.describe_configuration_sets(ConfigurationSetNames=["messaging-events"])
    assert described["ConfigurationSets"][0]["EventDestinations"][0]["MatchingEventTypes"] == ["TEXT_DELIVERED"]
    await sms_client.delete_event_destination(**name, EventDestinationName="sns")
    await sms_client.delete_configuration_set(**name)
    assert (await refusal(sms_client, "send_text_message", text()))[0] == "ResourceNotFoundException"


async def test_an_unknown_target_is_an_unknown_operation(simulator: Simulator) -> None:
    import aiohttp

    headers = {"X-Amz-Target": "PinpointSMSVoiceV2.SendPigeon"}
    async with aiohttp.ClientSession() as session, session.post(simulator.url, json={}, headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json(content_type=None))["__type"] == "UnknownOperationException"


async def test_faults_of_the_service_arrive_as_its_own_exceptions(sms_client: Any, control: Control) -> None:
    service = {"service": "pinpoint-sms-voice-v2"}
    await control.post("/faults", fault="throttle_429", times=1, **service)
    assert (await refusal(sms_client, "send_text_message", text()))[0] == "ThrottlingException"
    await control.post("/faults", fault="accept_then_500", times=1, **service)
    assert (await refusal(sms_client, "send_text_message", text()))[0] == "InternalServerException"
    await control.post("/faults", fault="error", code="AccessDeniedException", reason="ACCOUNT_DISABLED", **service)
    assert await refusal(sms_client, "send_text_message", text()) == ("AccessDeniedException", "ACCOUNT_DISABLED")
    assert (await control.get("/ledger/summary"))["accepted"] == 1
