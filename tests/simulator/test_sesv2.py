"""Email: sends, refusals, events, suppression, lists and inbound, through real clients."""

from __future__ import annotations

import base64
import email
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from libs.simulator import demo
from libs.simulator.app import Simulator
from tests.simulator.conftest import EMAIL_INBOUND, EMAIL_TOPIC, Control, blocking_client, in_thread
from tests.simulator.fake_sns import FakeSns
from tests.simulator.test_sms_voice import snake
from tests.simulator.test_whatsapp_sends import SAMPLES, sample, shape

SENDS = sorted(p.name for p in SAMPLES.glob("sesv2.Send*.request.json"))
HTML = '<p>Hello, <a href="https://example.com/spring">10% off</a>.</p>'


def message(to: str = demo.EMAIL_CUSTOMER, **changes: Any) -> dict[str, Any]:
    body = {"Text": {"Data": "hello"}, "Html": {"Data": HTML}}
    base = {
        "FromEmailAddress": demo.EMAIL_SENDER, "Destination": {"ToAddresses": [to]},
        "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": body}},
        "EmailTags": [{"Name": "messageId", "Value": "m-1"}], "ConfigurationSetName": "messaging-email",
    }  # fmt: skip
    return {k: v for k, v in (base | changes).items() if v is not None}


def templated(name: str = "order-shipped", data: str = '{"name":"Alex","order":"1001"}', **more: Any) -> dict[str, Any]:
    return message(Content={"Template": {"TemplateName": name, "TemplateData": data}}, **more)


async def types(sns: FakeSns, count: int) -> list[str]:
    await sns.until(lambda s: len(s.on(EMAIL_TOPIC)) >= count)
    return [e["eventType"] for e in sns.on(EMAIL_TOPIC)]


async def refusal(client: Any, operation: str, params: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        await getattr(client, operation)(**params)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("name", SENDS)
async def test_every_recorded_send_is_accepted(name: str, ses_client: Any, control: Control) -> None:
    request = sample(name)
    raw = request.get("Content", {}).get("Raw")
    if raw:
        raw["Data"] = base64.b64decode(raw["Data"])
    answer = await getattr(ses_client, snake(name.split(".")[1]))(**request)
    ids = [r["MessageId"] for r in answer.get("BulkEmailEntryResults", [answer])]
    assert [e["provider_id"] for e in (await control.get("/ledger"))["entries"]] == ids


async def test_boto3_sends_an_email_too(ses_client: Any, simulator: Simulator, control: Control) -> None:
    client = blocking_client("sesv2", simulator.url)
    answer = await in_thread(lambda: client.send_email(**message()))
    (entry,) = (await control.get("/ledger?message_id=m-1"))["entries"]
    assert (entry["provider_id"], entry["to"]) == (answer["MessageId"], demo.EMAIL_CUSTOMER)


async def test_an_email_is_sent_delivered_and_opened(ses_client: Any, sns: FakeSns) -> None:
    answer = await ses_client.send_email(**message())
    assert await types(sns, 3) == ["Send", "Delivery", "Open"]
    assert {e["mail"]["messageId"] for e in sns.on(EMAIL_TOPIC)} == {answer["MessageId"]}
    assert sns.on(EMAIL_TOPIC)[0]["mail"]["tags"]["messageId"] == ["m-1"]


async def test_a_plain_text_cannot_be_seen_to_be_opened(ses_client: Any, sns: FakeSns, control: Control) -> None:
    await ses_client.send_email(**templated())
    assert await types(sns, 2) == ["Send", "Delivery"]
    assert (await control.get("/events/pending?wait_s=2"))["pending"] == 0
    assert len(sns.on(EMAIL_TOPIC)) == 2


EVENTS = sorted(p.name for p in SAMPLES.glob("ses.event.*.json"))


@pytest.mark.parametrize("name", EVENTS)
async def test_every_recorded_event_can_be_brought_about(
    name: str, ses_client: Any, sns: FakeSns, control: Control
) -> None:
    recorded = sample(name)
    kind = name.split(".")[2]
    bounce = recorded.get("bounce", {})
    wanted = f"Bounce:{bounce['bounceType']}/{bounce['bounceSubType']}" if bounce else kind
    outcome = {"service": "sesv2", "to": demo.EMAIL_CUSTOMER, "events": [wanted]}
    assert (await control.call("PUT", "/outcomes", outcome))[0] == 200
    tags = [{"Name": "tenantId", "Value": "tenant-1"}, {"Name": "messageRef", "Value": "msg-0007"}]
    await ses_client.send_email(**message(EmailTags=tags))
    await types(sns, 1)
    event = sns.on(EMAIL_TOPIC)[0]
    assert event["eventType"] == recorded["eventType"]
    assert shape(event) == shape(recorded)


@pytest.mark.parametrize(
    ("to", "events"),
    [
        ("bounce@simulator.amazonses.com", ["Send", "Bounce"]),
        ("complaint+7@simulator.amazonses.com", ["Send", "Delivery", "Complaint"]),
        ("ooto@simulator.amazonses.com", ["Send", "Delivery", "Bounce"]),
        ("suppressionlist@simulator.amazonses.com", ["Send", "Bounce"]),
        ("reject@example.com", ["Reject"]),
        ("delay@example.com", ["Send", "DeliveryDelay", "Delivery"]),
        ("click@example.com", ["Send", "Delivery", "Open", "Click"]),
        ("unsubscribe@example.com", ["Send", "Delivery", "Subscription"]),
    ],
)
async def test_magic_addresses_have_their_fate(to: str, events: list[str], ses_client: Any, sns: FakeSns) -> None:
    await ses_client.send_email(**message(to))
    assert await types(sns, len(events)) == events


async def test_a_template_without_its_data_fails_to_render(ses_client: Any, sns: FakeSns) -> None:
    await ses_client.send_email(**templated(data='{"order":"1001"}'))
    assert await types(sns, 1) == ["Rendering Failure"]
    failure = sns.on(EMAIL_TOPIC)[0]["failure"]
    assert failure == {
        "errorMessage": "Attribute 'name' is not present in the rendering data.", "templateName": "order-shipped",
    }  # fmt: skip


async def test_every_recipient_has_a_delivery_and_the_message_one_send(ses_client: Any, sns: FakeSns) -> None:
    two = {"ToAddresses": [demo.EMAIL_CUSTOMER], "CcAddresses": ["Sam <sam@example.com>"]}
    await ses_client.send_email(**message(Destination=two, Content=templated()["Content"]))
    assert sorted(await types(sns, 3)) == ["Delivery", "Delivery", "Send"]


SIMPLE = {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"FromEmailAddress": "news@other.test"}, "MessageRejected"),
        ({"FromEmailAddress": "nonsense"}, "BadRequestException"),
        ({"FromEmailAddress": None}, "BadRequestException"),
        ({"Destination": {"ToAddresses": ["a@b"]}}, "BadRequestException"),
        ({"Destination": {"ToAddresses": ["a@example.com\nBcc: b@example.com"]}}, "BadRequestException"),
        ({"Destination": {}}, "BadRequestException"),
        ({"Destination": {"ToAddresses": ["a@example.com"] * 51}}, "BadRequestException"),
        ({"Content": {"Simple": SIMPLE, "Raw": {"Data": b"x"}}}, "BadRequestException"),
        ({"Content": {"Simple": {"Subject": {"Data": "x"}, "Body": {}}}}, "BadRequestException"),
        ({"Content": {"Simple": SIMPLE | {"Headers": [{"Name": "Bad:Name", "Value": "x"}]}}}, "BadRequestException"),
        ({"Content": {"Simple": SIMPLE | {"Headers": [{"Name": "X", "Value": "ü"}]}}}, "BadRequestException"),
        ({"Content": {"Raw": {"Data": b"no headers"}}, "FromEmailAddress": None}, "BadRequestException"),
        ({"Content": {"Template": {"TemplateName": "nothing"}}}, "NotFoundException"),
        ({"Content": {"Template": {"TemplateName": "order-shipped", "TemplateData": "["}}}, "BadRequestException"),
        ({"ConfigurationSetName": "nothing"}, "NotFoundException"),
        ({"EmailTags": [{"Name": "a b", "Value": "x"}]}, "BadRequestException"),
        ({"ListManagementOptions": {"ContactListName": "nothing"}}, "NotFoundException"),
    ],
)
async def test_an_email_is_refused_as_ses_does(
    change: dict[str, Any], code: str, ses_client: Any, control: Control
) -> None:
    assert await refusal(ses_client, "send_email", message(**change)) == code
    assert (await control.get("/ledger/summary"))["accepted"] == 0


async def test_a_hard_bounce_suppresses_the_address(ses_client: Any, sns: FakeSns) -> None:
    sent = await ses_client.send_email(**message("no-such-user@example.com"))
    await types(sns, 2)
    found = await ses_client.get_suppressed_destination(EmailAddress="no-such-user@example.com")
    assert found["SuppressedDestination"]["Attributes"]["MessageId"] == sent["MessageId"]
    recorded = sample("sesv2.GetSuppressedDestination.response.json")["SuppressedDestination"]
    assert set(found["SuppressedDestination"]) == set(recorded)
    assert set(found["SuppressedDestination"]["Attributes"]) == set(recorded["Attributes"])
    await ses_client.send_email(**message("no-such-user@example.com"))
    await types(sns, 4)
    bounce = sns.on(EMAIL_TOPIC)[3]["bounce"]
    assert (bounce["bounceType"], bounce["bounceSubType"]) == ("Permanent", "OnAccountSuppressionList")


async def test_the_suppression_list_can_be_managed(ses_client: Any, sns: FakeSns) -> None:
    await ses_client.put_suppressed_destination(EmailAddress="b+x@example.com", Reason="COMPLAINT")
    await ses_client.put_suppressed_destination(EmailAddress="c@example.com", Reason="BOUNCE")
    listed = await ses_client.list_suppressed_destinations(Reasons=["COMPLAINT"])
    assert [d["EmailAddress"] for d in listed["SuppressedDestinationSummaries"]] == ["b+x@example.com"]
    await ses_client.put_configuration_set_suppression_options(
        ConfigurationSetName="messaging-email", SuppressedReasons=["BOUNCE"]
    )
    await ses_client.send_email(**templated(Destination={"ToAddresses": ["b+x@example.com"]}))
    assert await types(sns, 2) == ["Send", "Delivery"]
    await ses_client.delete_suppressed_destination(EmailAddress="b+x@example.com")
    unknown = {"EmailAddress": "b+x@example.com"}
    assert await refusal(ses_client, "get_suppressed_destination", unknown) == "NotFoundException"


def bulk(*to: str) -> dict[str, Any]:
    entries = [
        {
            "Destination": {"ToAddresses": [address]}, "ReplacementTags": [{"Name": "messageId", "Value": f"m-{i}"}],
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": '{"name":"Alex"}'}},
        }
        for i, address in enumerate(to)
    ]  # fmt: skip
    return {
        "FromEmailAddress": demo.EMAIL_SENDER, "ConfigurationSetName": "messaging-email", "BulkEmailEntries": entries,
        "DefaultContent": {"Template": {"TemplateName": "spring-offer", "TemplateData": "{}"}},
    }  # fmt: skip


async def test_a_bulk_call_answers_entry_by_entry(ses_client: Any, control: Control) -> None:
    await control.post("/faults", fault="entry_failure", to="third@example.com", code="ACCOUNT_THROTTLED")
    request = bulk("first@example.com", "nonsense", "third@example.com", "fourth@example.com")
    answer = await ses_client.send_bulk_email(**request)
    statuses = [r["Status"] for r in answer["BulkEmailEntryResults"]]
    assert statuses == ["SUCCESS", "INVALID_PARAMETER", "ACCOUNT_THROTTLED", "SUCCESS"]
    entries = (await control.get("/ledger"))["entries"]
    assert [(e["message_id"], e["to"]) for e in entries] == [
        ("m-0", "first@example.com"),
        ("m-3", "fourth@example.com"),
    ]


async def test_a_bulk_call_takes_50_entries(ses_client: Any) -> None:
    await ses_client.send_bulk_email(**bulk(*(f"u{i}@example.com" for i in range(50))))
    too_many = bulk(*(f"u{i}@example.com" for i in range(51)))
    assert await refusal(ses_client, "send_bulk_email", too_many) == "BadRequestException"


async def test_the_rate_and_the_daily_quota_count_recipients(ses_client: Any, control: Control) -> None:
    await control.post("/email/account", max_rate=2, max_24_hours=10)
    await ses_client.send_email(**message(Destination={"ToAddresses": ["a@example.com", "b@example.com"]}))
    assert await refusal(ses_client, "send_email", message()) == "TooManyRequestsException"
    await control.post("/email/account", max_rate=1000, max_24_hours=3)
    await control.post("/clock/advance", seconds=2)
    await ses_client.send_email(**message())
    assert await refusal(ses_client, "send_email", message()) == "LimitExceededException"
    quota = (await ses_client.get_account())["SendQuota"]
    assert quota == {"Max24HourSend": 3.0, "MaxSendRate": 1000.0, "SentLast24Hours": 3.0}
    await control.post("/clock/advance", seconds=86401)
    await ses_client.send_email(**message())


async def test_a_paused_or_suspended_account_sends_nothing(ses_client: Any, control: Control) -> None:
    await ses_client.put_configuration_set_sending_options(ConfigurationSetName="messaging-email", SendingEnabled=False)
    assert await refusal(ses_client, "send_email", message()) == "SendingPausedException"
    await ses_client.send_email(**message(ConfigurationSetName=None))
    await control.post("/email/account", suspended=True)
    assert await refusal(ses_client, "send_email", message(ConfigurationSetName=None)) == "AccountSuspendedException"


async def test_the_sandbox_takes_verified_recipients_only(ses_client: Any, control: Control) -> None:
    await control.behave(sandbox=True)
    assert await refusal(ses_client, "send_email", message("alex@other.test")) == "MessageRejected"
    await ses_client.send_email(**message("success@simulator.amazonses.com"))
    assert (await ses_client.get_account())["ProductionAccessEnabled"] is False


async def test_identities_are_created_and_verified(ses_client: Any, control: Control) -> None:
    made = await ses_client.create_email_identity(EmailIdentity="shop.acme.com")
    assert made["VerifiedForSendingStatus"] is False
    request = message(FromEmailAddress="hello@shop.acme.com")
    assert await refusal(ses_client, "send_email", request) == "MessageRejected"
    await control.post("/email/verify", identity="shop.acme.com")
    await ses_client.send_email(**request)
    assert (await ses_client.get_email_identity(EmailIdentity="shop.acme.com"))["VerificationStatus"] == "SUCCESS"
    assert (
        await refusal(ses_client, "create_email_identity", {"EmailIdentity": "shop.acme.com"})
        == "AlreadyExistsException"
    )
    names = [i["IdentityName"] for i in (await ses_client.list_email_identities())["EmailIdentities"]]
    assert "shop.acme.com" in names
    await ses_client.delete_email_identity(EmailIdentity="shop.acme.com")


async def test_templates_are_managed_and_rendered(ses_client: Any) -> None:
    content = {"Subject": "Hi {{name}}", "Text": "Total {{order.total}}", "Html": "<b>{{name}}</b>"}
    await ses_client.create_email_template(TemplateName="receipt", TemplateContent=content)
    rendered = await ses_client.test_render_email_template(
        TemplateName="receipt", TemplateData='{"name":"A & B","order":{"total":"9.99"}}'
    )
    assert json.loads(rendered["RenderedTemplate"])["Html"] == "<b>A &amp; B</b>"
    assert (await ses_client.get_email_template(TemplateName="receipt"))["TemplateContent"] == content
    await ses_client.update_email_template(TemplateName="receipt", TemplateContent={"Subject": "x", "Text": "y"})
    assert "receipt" in [t["TemplateName"] for t in (await ses_client.list_email_templates())["TemplatesMetadata"]]
    await ses_client.delete_email_template(TemplateName="receipt")
    block = {"TemplateName": "b", "TemplateContent": {"Subject": "x", "Text": "{{#if a}}y{{/if}}"}}
    assert await refusal(ses_client, "create_email_template", block) == "BadRequestException"


async def test_an_unsubscribed_contact_is_not_sent_to(ses_client: Any, sns: FakeSns) -> None:
    lists = {"ListManagementOptions": {"ContactListName": "newsletter", "TopicName": "offers"}}
    await ses_client.create_contact(ContactListName="newsletter", EmailAddress="unsubscribe@example.com")
    await ses_client.send_email(**message("unsubscribe@example.com", **lists))
    await types(sns, 3)
    contact = await ses_client.get_contact(ContactListName="newsletter", EmailAddress="unsubscribe@example.com")
    assert contact["UnsubscribeAll"] is True
    assert await refusal(ses_client, "send_email", message("unsubscribe@example.com", **lists)) == "MessageRejected"
    await ses_client.update_contact(
        ContactListName="newsletter", EmailAddress="unsubscribe@example.com", UnsubscribeAll=False
    )
    await ses_client.send_email(**message("unsubscribe@example.com", **lists))


async def test_contact_lists_are_managed(ses_client: Any) -> None:
    await ses_client.create_contact_list(ContactListName="club")
    await ses_client.create_contact(ContactListName="club", EmailAddress="a@example.com")
    listed = await ses_client.list_contacts(ContactListName="club")
    assert [c["EmailAddress"] for c in listed["Contacts"]] == ["a@example.com"]
    await ses_client.delete_contact(ContactListName="club", EmailAddress="a@example.com")
    assert len((await ses_client.list_contact_lists())["ContactLists"]) == 2
    assert (await ses_client.get_contact_list(ContactListName="club"))["Topics"] == []
    await ses_client.delete_contact_list(ContactListName="club")


async def test_event_destinations_are_managed(ses_client: Any, sns: FakeSns) -> None:
    name = {"ConfigurationSetName": "messaging-email", "EventDestinationName": "sns"}
    only = {"Enabled": True, "MatchingEventTypes": ["DELIVERY"], "SnsDestination": {"TopicArn": EMAIL_TOPIC}}
    await ses_client.update_configuration_set_event_destination(**name, EventDestination=only)
    await ses_client.send_email(**message())
    assert await types(sns, 1) == ["Delivery"]
    listed = await ses_client.get_configuration_set_event_destinations(ConfigurationSetName="messaging-email")
    assert listed["EventDestinations"][0]["MatchingEventTypes"] == ["DELIVERY"]
    fifo = only | {"SnsDestination": {"TopicArn": EMAIL_TOPIC + ".fifo"}}
    wrong = name | {"EventDestinationName": "two", "EventDestination": fifo}
    assert await refusal(ses_client, "create_configuration_set_event_destination", wrong) == "BadRequestException"
    await ses_client.delete_configuration_set_event_destination(**name)
    assert (await ses_client.list_configuration_sets())["ConfigurationSets"] == ["messaging-email"]
    assert (await ses_client.get_configuration_set(ConfigurationSetName="messaging-email"))["ConfigurationSetName"]
    await ses_client.delete_configuration_set(ConfigurationSetName="messaging-email")
    assert await refusal(ses_client, "send_email", message()) == "NotFoundException"


async def test_a_received_email_arrives_with_its_content(sns: FakeSns, control: Control) -> None:
    assert (await control.call("PUT", "/receipt", {"topic": EMAIL_INBOUND}))[0] == 200
    intent = {"from": "Alex <alex@example.com>", "to": "support@mail.example.com", "subject": "Re: Your order 1001",
            "text": "Thanks!", "in_reply_to": "<0100018f00000001@email.amazonses.com>"}  # fmt: skip
    await control.post("/inbound/email", **intent)
    await sns.until(lambda s: s.on(EMAIL_INBOUND))
    event = sns.on(EMAIL_INBOUND)[0]
    recorded = sample("ses.inbound.Received.sns-action.json")
    without = {"mail": {**event["mail"], "headers": []}}
    assert shape({**event, **without}) == shape({**recorded, "mail": {**recorded["mail"], "headers": []}})
    parsed = email.message_from_bytes(base64.b64decode(event["content"]))
    assert parsed["Subject"] == "Re: Your order 1001"
    assert parsed.get_payload().strip() == "Thanks!"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"to": "a@example.com"}, "from"), ({"from": "a@example.com"}, "to"),
     ({"from": "a@example.com", "to": "b@example.com", "text": "x" * 160_000}, "text")],
)  # fmt: skip
async def test_a_wrong_inbound_email_is_refused_and_the_field_named(
    body: dict[str, Any], field: str, control: Control
) -> None:
    status, answer = await control.call("POST", "/inbound/email", body)
    assert (status, answer["field"]) == (409, "receipt")
    await control.call("PUT", "/receipt", {"topic": EMAIL_INBOUND})
    status, answer = await control.call("POST", "/inbound/email", body)
    assert (status, answer["field"]) == (400, field)


async def test_a_throttled_once_address_and_a_lost_answer(ses_client: Any, control: Control) -> None:
    assert await refusal(ses_client, "send_email", message("throttle-once@example.com")) == "TooManyRequestsException"
    await ses_client.send_email(**message("throttle-once@example.com"))
    assert await refusal(ses_client, "send_email", message("accept-500@example.com")) == "InternalServiceErrorException"
    summary = await control.get("/ledger/summary")
    assert summary["accepted"] == 2
    assert summary["duplicates"] == [{"messageId": "m-1", "accepted": 2}]
