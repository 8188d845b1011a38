"""The simulated carriers are told where their events go as AWS is told, and what customers write arrives there."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local import provision
from deploy.local.stack import Stack
from libs.common.declare.service import Feed, Service

LISTENER = Service(
    "listener",
    feeds=[
        Feed("whatsapp", lambda body: [], ("social-messaging.amazonaws.com",)),
        Feed("sms-voice", lambda body: [], ("sms-voice.amazonaws.com",)),
        Feed("sms-voice-inbound", lambda body: [], ("sms-voice.amazonaws.com",)),
    ],
)


@pytest.fixture(scope="module")
def carriers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("carriers")

    def listening(stack: Stack) -> dict[str, str]:
        return dict(provision.everything(stack, [LISTENER]))

    with Stack(directory, only=["aws", "simulator"], env={"WECARE_STAGE": "test"}, provision=listening) as stack:
        yield stack


def test_what_a_customer_writes_on_whatsapp_arrives_in_the_queue_behind_the_feed(carriers: Stack) -> None:
    body = {"from": "+12025550143", "text": "Where is my order?"}
    httpx.post(f"{carriers.simulator_url}/control/inbound/whatsapp", json=body, trust_env=False).raise_for_status()
    sqs = carriers.client("sqs")
    url = sqs.get_queue_url(QueueName="wecare-test-listener-feed-whatsapp")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    # SNS delivered it raw: the body is what AWS End User Messaging Social publishes.
    assert "Where is my order?" in json.loads(messages[0]["Body"])["whatsAppWebhookEntry"]


def test_everything_was_made_under_the_name_of_the_stage(carriers: Stack) -> None:
    assert carriers.config["WECARE_COGNITO_ISSUER"].startswith("https://cognito-idp.us-east-1.amazonaws.com/")
    assert carriers.token("VIEWER").count(".") == 2


def test_the_numbers_that_may_send_are_those_of_the_linked_account(carriers: Stack) -> None:
    senders = json.loads(carriers.env["WECARE_SENDERS"])
    numbers = [identity["id"] for identity in senders["whatsapp"]["identities"]]
    assert len(numbers) == 2
    assert all(number.startswith("phone-number-id-") for number in numbers)


@pytest.mark.parametrize(("way", "to"), [("sms", "+12025550100"), ("sms", "+12025550101"), ("rcs", "rcs-")])
def test_what_a_customer_answers_arrives_in_the_queue_behind_the_feed(carriers: Stack, way: str, to: str) -> None:
    body = {"from": "+12025550143", "text": "STOP"} | ({"to": to} if way == "sms" else {})
    answer = httpx.post(f"{carriers.simulator_url}/control/inbound/{way}", json=body, trust_env=False)
    assert answer.json()["autoReply"] is None, "we answer STOP ourselves"
    (reported,) = _received(carriers, "sms-voice-inbound")
    assert (reported["messageBody"], reported["destinationNumber"][: len(to)]) == ("STOP", to)


def test_receipts_of_what_is_sent_with_the_settings_arrive_in_the_queue_behind_the_feed(carriers: Stack) -> None:
    senders = json.loads(carriers.env["WECARE_SENDERS"])
    carrier, sms, rcs = carriers.client("pinpoint-sms-voice-v2"), senders["sms"], senders["rcs"]
    with_set = {"ConfigurationSetName": sms["parameters"]["configurationSet"], "DestinationPhoneNumber": "+12025550143"}
    carrier.send_text_message(OriginationIdentity=sms["identities"][0]["id"], MessageBody="Hi", **with_set)
    hello = {"Content": {"TextMessage": {"Body": "Hi"}}}
    carrier.send_rcs_message(OriginationIdentity=rcs["identities"][0]["id"], RcsMessageContent=hello, **with_set)
    seen: set[str] = set()
    for _ in range(10):
        seen |= {reported["eventType"] for reported in _received(carriers, "sms-voice")}
        if seen >= {"TEXT_DELIVERED", "RCS_READ"}:
            return
    pytest.fail(f"only {seen}")


def test_each_number_says_what_it_is_registered_for(carriers: Stack) -> None:
    senders = json.loads(carriers.env["WECARE_SENDERS"])
    kinds = [(each["id"], each["kind"], each["parameters"]["messageType"]) for each in senders["sms"]["identities"]]
    assert kinds == [("+12025550100", "TEN_DLC", "TRANSACTIONAL"), ("+12025550101", "TOLL_FREE", "PROMOTIONAL")]
    assert senders["rcs"]["parameters"]["fallbackIdentity"] == "+12025550100"


def _received(carriers: Stack, feed: str) -> list[dict[str, Any]]:
    sqs = carriers.client("sqs")
    url = sqs.get_queue_url(QueueName=f"wecare-test-listener-feed-{feed}")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]
