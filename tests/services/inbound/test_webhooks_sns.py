"""The entry point of SNS (battery S6 to S9): forged, replayed, downgraded and misaddressed messages are refused, and no address that a
message names is opened unless it is one of SNS's certificates."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import httpx
import pytest

from libs.common.testing.world import World
from libs.messaging.events.inbound import MessageReceived, ReceiptReceived
from tests.services.inbound.kit import DELIVERY, THEN, TOPIC, Internet, Sns, own_certificate, sample, signed

NOTIFICATIONS = ["Notification.v1", "Notification.v2", "Notification.v2-with-subject"]


async def post(world: World, body: Any, feed: str = "whatsapp") -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "text/plain; charset=UTF-8"}
    answer = await world.http(None).post(f"/webhooks/sns/{feed}", content=raw, headers=headers)
    await world.settle()
    return answer


@pytest.mark.parametrize("name", NOTIFICATIONS)
async def test_a_signed_notification_is_heard(world: World, internet: Internet, name: str) -> None:
    answer = await post(world, sample(name))
    assert answer.status_code == 200, answer.text
    assert len(world.said(MessageReceived)) == 1
    assert internet.asked == [sample(name)["SigningCertURL"]]


async def test_what_sns_sends_again_has_one_effect_and_costs_one_certificate(world: World, internet: Internet) -> None:
    for _ in range(5):
        assert (await post(world, sample("Notification.v2"))).status_code == 200
    assert len(world.said(MessageReceived)) == 1
    assert len(internet.asked) == 1


@pytest.mark.parametrize("name", NOTIFICATIONS)
@pytest.mark.parametrize("member", ["Message", "MessageId", "Timestamp", "Signature"])
async def test_what_was_changed_after_it_was_signed_is_refused(world: World, name: str, member: str) -> None:
    body = sample(name)
    old = body[member]
    body[member] = {
        "Timestamp": old.replace("00.978", "01.978"),
        "Signature": b64encode(b"x" * 256).decode(),
    }.get(member, old.replace("1", "2"))
    assert body[member] != old
    answer = await post(world, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "SIGNATURE_INVALID")
    assert world.said(MessageReceived) == []


async def test_a_subject_that_was_not_signed_is_refused(world: World) -> None:
    assert (await post(world, {**sample("Notification.v2"), "Subject": "Important"})).status_code == 403
    unsigned = sample("Notification.v2-with-subject")
    del unsigned["Subject"]
    assert (await post(world, unsigned)).status_code == 403


@pytest.mark.parametrize(
    ("name", "version"), [("Notification.v2", "1"), ("Notification.v1", "2"), ("Notification.v2", "0")]
)
async def test_a_signature_is_of_the_version_that_it_says(world: World, name: str, version: str) -> None:
    assert (await post(world, {**sample(name), "SignatureVersion": version})).status_code == 403
    assert world.said(MessageReceived) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem",
        "https://evil.example/SimpleNotificationService-1.pem",
        "https://evil.example/sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com@evil.example/SimpleNotificationService-1.pem",
        "https://evil.example#@sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/bucket/evil.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem?x=.pem",
        "https://sns.us-east-1.amazonaws.com\\@evil.example/SimpleNotificationService-1.pem",
        "https://SNS.us-east-1.amazonaws.com/SimpleNotificationService-1.pem\n",
        "https://xsns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.amazonaws.com/SimpleNotificationService-1.pem",
        "https://169.254.169.254/SimpleNotificationService-1.pem",
        # SNS's own, but of another region than the topic's.
        "https://sns.eu-west-3.amazonaws.com/SimpleNotificationService-1.pem",
        "file:///SimpleNotificationService-1.pem",
        "https://[::1]/SimpleNotificationService-1.pem",
        "https://[",
        "",
    ],
)
async def test_a_certificate_at_another_address_is_refused_and_nobody_is_asked(
    world: World, internet: Internet, url: str
) -> None:
    answer = await post(world, {**sample("Notification.v2"), "SigningCertURL": url})
    assert (answer.status_code, answer.json()["code"]) == (403, "SIGNATURE_INVALID")
    assert internet.asked == []


async def test_another_topic_is_refused_and_nobody_is_asked(world: World, internet: Internet) -> None:
    answer = await post(world, {**sample("Notification.v2"), "TopicArn": TOPIC + "2"})
    assert answer.status_code == 403
    assert internet.asked == []


@pytest.mark.parametrize("feed", ["email", "nonsense", "sms-voice"])
async def test_a_feed_without_topics_of_its_own_takes_nothing(world: World, internet: Internet, feed: str) -> None:
    answer = await post(world, sample("Notification.v2"), feed)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert internet.asked == []


@pytest.mark.parametrize("hours", [1.1, -1.1, 24 * 365])
async def test_what_is_not_of_the_last_hour_is_refused(world: World, internet: Internet, hours: float) -> None:
    world.clock._now = THEN + timedelta(hours=hours)
    assert (await post(world, sample("Notification.v2"))).status_code == 403
    assert internet.asked == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"no", b"\xff", b"[" * 10_000, b'{"Type": "Notification", "Type": "Notification"}'],
)
async def test_what_is_no_message_of_sns_is_refused(world: World, internet: Internet, body: bytes) -> None:
    assert (await post(world, body)).status_code in (400, 403)
    assert internet.asked == []


@pytest.mark.parametrize(
    "member", ["Type", "Message", "MessageId", "Timestamp", "TopicArn", "SignatureVersion", "Signature"]
)
@pytest.mark.parametrize("value", [None, 7, {}, ""])
async def test_a_member_that_is_missing_or_mistyped_is_refused(world: World, member: str, value: Any) -> None:
    assert (await post(world, {**sample("Notification.v2"), member: value})).status_code == 403


async def test_raw_delivery_is_refused(world: World) -> None:
    """Its body is the message itself: there is nothing to verify."""
    assert (await post(world, sample("Notification.v2")["Message"].encode())).status_code == 403


async def test_a_subscription_is_confirmed_by_the_api_and_its_address_is_not_opened(
    world: World, internet: Internet, sns: Sns
) -> None:
    body = sample("SubscriptionConfirmation.v2")
    assert (await post(world, body)).status_code == 200
    (call,) = sns.calls
    assert (call["Action"], call["TopicArn"], call["Token"]) == ("ConfirmSubscription", TOPIC, body["Token"])
    assert internet.asked == [body["SigningCertURL"]]


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data/", "https://evil.example/", "http://127.0.0.1/"]
)
async def test_an_address_to_subscribe_at_that_was_changed_is_refused(
    world: World, internet: Internet, sns: Sns, url: str
) -> None:
    assert (await post(world, {**sample("SubscriptionConfirmation.v2"), "SubscribeURL": url})).status_code == 403
    assert sns.calls == []
    assert all(asked.endswith(".pem") for asked in internet.asked)


async def test_even_a_signed_address_to_subscribe_at_is_not_opened(world: World, internet: Internet, sns: Sns) -> None:
    key, internet.answer = own_certificate()
    body = signed(key, {**sample("SubscriptionConfirmation.v2"), "SubscribeURL": "http://169.254.169.254/latest/"})
    assert (await post(world, body)).status_code == 200
    assert [call["Action"] for call in sns.calls] == ["ConfirmSubscription"]
    assert internet.asked == [body["SigningCertURL"]]


async def test_that_a_subscription_ended_is_heard_and_nothing_is_confirmed(world: World, sns: Sns) -> None:
    assert (await post(world, sample("UnsubscribeConfirmation.v2"))).status_code == 200
    assert sns.calls == []


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (200, b"no certificate", 403),
        (200, b"x" * 20_000, 403),
        (302, b"", 403),
        (404, b"", 403),
        (503, b"", 503),
    ],
)
async def test_a_certificate_that_cannot_be_had_opens_nothing(
    world: World, internet: Internet, status: int, content: bytes, expected: int
) -> None:
    internet.answer = httpx.Response(status, content=content, headers={"Location": "https://evil.example/"})
    assert (await post(world, sample("Notification.v2"))).status_code == expected
    assert world.said(MessageReceived) == []
    assert len(internet.asked) == 1


async def test_the_feed_of_ses_comes_the_same_way(world: World, internet: Internet) -> None:
    key, internet.answer = own_certificate()
    topic = "arn:aws:sns:us-east-1:111122223333:wecare-test-feed-email"
    world.runtime.settings = world.settings.model_copy(update={"sns_webhook_topics": {"email": (topic,)}})
    body = signed(key, {**sample("Notification.v1"), "TopicArn": topic, "Message": DELIVERY})
    assert (await post(world, body, "email")).status_code == 200
    await world.feed("email", DELIVERY)
    assert [each.status for each in world.said(ReceiptReceived)] == ["delivered"]


async def test_a_signed_message_that_the_feed_cannot_read_is_refused_and_named(
    world: World, internet: Internet
) -> None:
    key, internet.answer = own_certificate()
    answer = await post(world, signed(key, {**sample("Notification.v2"), "Message": "{}"}))
    assert (answer.status_code, answer.json()["detail"]) == (422, "message.whatsAppWebhookEntry: missing")
