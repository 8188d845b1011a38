"""The simulated carriers are told where their events go as AWS is told, and what customers write arrives there."""

import json
from collections.abc import Iterator

import httpx
import pytest

from deploy.local import provision
from deploy.local.stack import Stack
from libs.common.service import Feed, Service

LISTENER = Service("listener", feeds=[Feed("whatsapp", lambda body: [], ("social-messaging.amazonaws.com",))])


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
    numbers = carriers.env["WECARE_WHATSAPP_PHONE_NUMBER_IDS"].split(",")
    assert len(numbers) == 2
    assert all(number.startswith("phone-number-id-") for number in numbers)
