"""What a provider says and we have no word for: it is kept raw with status ``unknown``, counted, and breaks nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from libs.common.observe import metrics
from libs.common.testing.world import World
from libs.messaging.content import Raw
from libs.messaging.events.inbound import AccountNoticed, MessageReceived, PreferenceChanged, ReceiptReceived
from services.inbound.service import service
from tests.services.inbound.test_webhooks_meta import meta

CASES = Path("services/inbound/channels/cases")
NUMBER = "+12025550143"


def sample(name: str, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return found | fields


def whatsapp(name: str, **fields: Any) -> dict[str, Any]:
    """A sample with more members in its message or status, and everywhere around it."""
    reported = sample(f"whatsapp/eum-social.event.{name}", shoeSize=43)
    entry = json.loads(reported["whatsAppWebhookEntry"])
    value = entry["changes"][0]["value"]
    for part in (entry, entry["changes"][0], value, *value.get("messages", []), *value.get("statuses", [])):
        part |= fields
    return reported | {"whatsAppWebhookEntry": json.dumps(entry)}


def email(name: str, **fields: Any) -> dict[str, Any]:
    reported = sample(f"email/ses.{name}")
    for part in (reported, *(each for each in reported.values() if isinstance(each, dict))):
        part |= fields
    return reported


def counted(channel: str, kind: str, word: str) -> int:
    """As ``GET /metrics`` tells it."""
    labels = f'channel="{channel}",kind="{kind}",word="{word}"'
    found = re.search(rf"^wecare_inbound_unknown_total{{{labels}}} (\d+)$", metrics.exposition(), re.MULTILINE)
    return int(found[1]) if found else 0


OF_TOMORROW = {"eventType": "Hologram", "mail": email("event.Send")["mail"], "hologram": {"depth": 3}}
WITHOUT_MAIL = {"eventType": "Quota Reached", "quota": 5}


@pytest.mark.parametrize(
    ("feed", "unknown", "known", "channel", "word", "raw"),
    [
        ("whatsapp", whatsapp("status.word-of-tomorrow"), whatsapp("status.read"), "whatsapp", "played", {}),
        (
            "sms-voice", sample("sms-voice/sms.event.type-of-tomorrow"), sample("sms-voice/sms.event.TEXT_DELIVERED"), "sms",
            "TEXT_TELEPORTED", {"messageStatusDescription": "Message has been teleported", "beamStrength": 7},
        ),
        (
            "sms-voice", sample("sms-voice/voice.event.type-of-tomorrow"), sample("sms-voice/sms.event.TEXT_DELIVERED"), "voice",
            "VOICE_WHISPERED", {"messageStatus": "WHISPERED"},
        ),
        (
            "sms-voice", sample("sms-voice/rcs.event.type-of-tomorrow"), sample("sms-voice/rcs.event.RCS_READ"), "rcs",
            "RCS_SCREENSHOT", {"messageStatusDescription": "Recipient took a picture"},
        ),
        ("email", OF_TOMORROW, email("event.Delivery"), "email", "Hologram", {"hologram": {"depth": 3}}),
    ],
)  # fmt: skip
async def test_an_unknown_status_is_kept_and_counted_and_its_neighbours_go_through(
    feed: str, unknown: dict[str, Any], known: dict[str, Any], channel: str, word: str, raw: dict[str, Any]
) -> None:
    before = counted(channel, "status", word)
    async with World([service]) as world:
        for each in (known, unknown, known):
            await world.feed(feed, each)
        receipts = world.said(ReceiptReceived)
        assert sorted(each.status == "unknown" for each in receipts) == [False, True]
        (kept,) = (each for each in receipts if each.status == "unknown")
        assert (kept.channel, kept.provider_status) == (channel, word)
        assert raw.items() <= kept.details.items()
        assert world.letters() == []
    assert counted(channel, "status", word) > before


@pytest.mark.parametrize(
    ("feed", "unknown", "known", "channel", "word", "raw"),
    [
        (
            "whatsapp", whatsapp("field-of-tomorrow"), whatsapp("status.read"), "whatsapp", "account_horoscope",
            {"field": "account_horoscope", "value": {"event": "RISING"}},
        ),
        (
            "sms-voice", sample("sms-voice/sms.event.service-of-tomorrow"), sample("sms-voice/sms.event.TEXT_DELIVERED"), "sms",
            "FAX_SENT", {"field": "FAX_SENT", "value": sample("sms-voice/sms.event.service-of-tomorrow")},
        ),
        ("email", WITHOUT_MAIL, email("event.Delivery"), "email", "Quota_Reached", {"value": WITHOUT_MAIL}),
    ],
)  # fmt: skip
async def test_an_unknown_event_is_kept_and_counted_and_its_neighbours_go_through(
    feed: str, unknown: dict[str, Any], known: dict[str, Any], channel: str, word: str, raw: dict[str, Any]
) -> None:
    before = counted(channel, "notice", word)
    async with World([service]) as world:
        for each in (known, unknown, known):
            await world.feed(feed, each)
        (kept,) = world.said(AccountNoticed)
        assert (kept.channel, kept.kind) == (channel, "unknown")
        assert raw.items() <= kept.details.items()
        assert [each.status for each in world.said(ReceiptReceived)] != ["unknown"]
        assert world.letters() == []
    assert counted(channel, "notice", word) > before


@pytest.mark.parametrize(
    ("feed", "reported", "channel", "word"),
    [
        ("whatsapp", whatsapp("inbound.type-of-tomorrow"), "whatsapp", "hologram"),
        ("sms-voice-inbound", sample("sms-voice-inbound/rcs.inbound.suggestion-broken"), "rcs", "suggestion"),
    ],
)
async def test_a_message_of_an_unknown_kind_is_kept_and_counted(
    feed: str, reported: dict[str, Any], channel: str, word: str
) -> None:
    before = counted(channel, "content", word)
    async with World([service]) as world:
        await world.feed(feed, reported)
        (kept,) = world.said(MessageReceived)
        assert isinstance(kept.content, Raw)
    assert counted(channel, "content", word) > before


async def test_what_comes_through_metas_door_is_counted_too(world: World) -> None:
    before = {word: counted("whatsapp", "notice", word) for word in ("account_horoscope", "unread")}
    entry = json.loads(whatsapp("field-of-tomorrow")["whatsAppWebhookEntry"])
    entry["changes"].append("no change at all")
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert (await meta(world, body)).status_code == 200
    assert len(world.said(AccountNoticed)) == 2
    assert all(counted("whatsapp", "notice", word) > n for word, n in before.items())


STRANGE = {"shoeSize": 43, "hat": {"felt": [1]}}


def paths(*around: str) -> dict[str, Any]:
    """What is to be kept of :data:`STRANGE` in each of these places."""
    return {f"{where}.{name}".strip("."): value for where in around for name, value in STRANGE.items()}


def bounced() -> dict[str, Any]:
    reported = email("event.Bounce.Permanent-General", **STRANGE)
    reported["bounce"]["bouncedRecipients"][0] |= STRANGE
    return reported


IN_ENTRY = paths("entry", "changes", "value") | {"shoeSize": 43}


@pytest.mark.parametrize(
    ("feed", "reported", "status", "kept"),
    [
        ("whatsapp", whatsapp("status.read", **STRANGE), "read", IN_ENTRY | paths("statuses")),
        (
            "whatsapp", sample("whatsapp/eum-social.eventbridge.delivered", **STRANGE), "delivered", paths(""),
        ),
        ("sms-voice", sample("sms-voice/sms.event.TEXT_DELIVERED", **STRANGE), "delivered", paths("")),
        ("sms-voice", sample("sms-voice/voice.event.VOICE_RINGING", **STRANGE), "sent", paths("")),
        ("sms-voice", sample("sms-voice/rcs.event.RCS_READ", **STRANGE), "read", paths("")),
        ("email", email("event.Delivery", **STRANGE), "delivered", paths("", "mail", "delivery")),
        ("email", email("event.Open", **STRANGE), "read", paths("", "mail", "open")),
        ("email", email("event.Send", **STRANGE), "sent", paths("", "mail", "send")),
        ("email", bounced(), "failed", paths("", "mail", "bounce", "bounce.bouncedRecipients.0")),
        ("email", email("identity-notification.Complaint", **STRANGE), "failed", paths("", "mail", "complaint")),
    ],
)  # fmt: skip
async def test_members_that_nobody_knows_are_kept_and_counted_and_change_nothing_else(
    feed: str, reported: dict[str, Any], status: str, kept: dict[str, Any]
) -> None:
    words = {re.sub(r"\.\d+", "", path) for path in kept}
    async with World([service]) as world:
        await world.feed(feed, reported)
        (receipt,) = world.said(ReceiptReceived)
        assert (receipt.status, receipt.details["unknown"]) == (status, kept)
        before = {word: counted(receipt.channel, "member", word) for word in words}
        await world.feed(feed, reported)
        assert world.said(ReceiptReceived) == [receipt]
        assert world.letters() == []
    assert all(counted(receipt.channel, "member", word) > n for word, n in before.items())


@pytest.mark.parametrize(
    ("feed", "reported", "kind", "kept"),
    [
        ("whatsapp", whatsapp("inbound.text", **STRANGE), "text", IN_ENTRY | paths("messages")),
        ("sms-voice-inbound", sample("sms-voice-inbound/sms.inbound.text", **STRANGE), "text", paths("")),
        (
            "email", email("inbound.Received.sns-action", **STRANGE), "email", paths("", "mail", "receipt"),
        ),
    ],
)  # fmt: skip
async def test_so_they_are_beside_a_message(
    feed: str, reported: dict[str, Any], kind: str, kept: dict[str, Any]
) -> None:
    async with World([service]) as world:
        await world.feed(feed, reported)
        (message,) = world.said(MessageReceived)
        assert (message.content.kind, message.details["unknown"]) == (kind, kept)
        assert world.letters() == []
    assert all(counted(message.channel, "member", word) for word in kept)


async def test_what_is_new_inside_a_content_that_we_know_is_kept_too(world: World) -> None:
    reported = whatsapp("inbound.text")
    entry = json.loads(reported["whatsAppWebhookEntry"])
    entry["changes"][0]["value"]["messages"][0]["text"] |= STRANGE
    await world.feed("whatsapp", reported | {"whatsAppWebhookEntry": json.dumps(entry)})
    tapped = sample("sms-voice-inbound/rcs.inbound.suggestion")
    tapped["messageBody"] = json.dumps(json.loads(tapped["messageBody"]) | STRANGE)
    await world.feed("sms-voice-inbound", tapped)
    written, chosen = world.said(MessageReceived)
    assert written.details["unknown"] == {"shoeSize": 43} | paths("messages.text")
    assert chosen.details["unknown"] == paths("messageBody")


async def test_a_changed_subscription_keeps_them_too(world: World) -> None:
    await world.feed("email", email("event.Subscription.out-of-all", **STRANGE))
    await world.feed("whatsapp", whatsapp("user_preferences.stop", **STRANGE))
    mailed, chosen = world.said(PreferenceChanged)
    assert mailed.details["unknown"] == paths("", "mail", "subscription")
    assert chosen.details["unknown"] == IN_ENTRY


async def test_mail_in_our_bucket_keeps_them_until_it_is_read(world: World) -> None:
    reported = email("inbound.Received.s3-action", **STRANGE)
    action = reported["receipt"]["action"]
    action["bucketName"] = "wecare-test-inbound-mail"
    await world.files.put(action["bucketName"], action["objectKey"], b"From: a@example.com\n\nHi", "message/rfc822")
    await world.feed("email", reported)
    (message,) = world.said(MessageReceived)
    assert message.details["unknown"] == paths("", "mail", "receipt")


def test_no_recorded_sample_has_a_member_that_nobody_knows() -> None:
    extra_members = [
        (name, each["data"]["details"]["unknown"])
        for file in sorted(CASES.glob("*/expected.json"))
        for name, events in json.loads(file.read_text()).items()
        for each in events
        if "unknown" in each["data"].get("details", {})
    ]
    assert extra_members == []


async def test_what_is_counted_tells_nothing_about_anybody(world: World) -> None:
    reported = sample(
        "sms-voice/sms.event.service-of-tomorrow", eventType=f"FAX {NUMBER}", destinationPhoneNumber=NUMBER
    )
    await world.feed("sms-voice", reported)
    assert counted("sms", "notice", "FAX_phone")
    assert NUMBER[2:] not in metrics.exposition()
