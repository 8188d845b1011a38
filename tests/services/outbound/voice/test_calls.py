"""The record of a call: from the provider's own reports through ``inbound``, and over HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Speech
from libs.messaging.settings import Identity, Senders
from libs.messaging.vocabulary import MessageClass
from services.inbound.service import service as inbound
from services.outbound.channels.voice.model import VoiceCall
from services.outbound.channels.voice.service import service as voice
from tests.services.outbound.kit import CONTACT, message, permission

SAMPLE = json.loads(Path("services/inbound/channels/cases/sms-voice/voice.event.VOICE_COMPLETED.json").read_text())
ENDS = {"callDurationInSeconds": 61, "totalDurationInMinutes": 2, "totalMessagePrice": 0.026}
WORDS = ("INITIATED", "RINGING", "ANSWERED", "COMPLETED")
NAME = "outbound-voice"


@pytest.fixture
async def w() -> AsyncIterator[World]:
    """Calls are claimed and recorded; the provider is not asked (a rehearsal), its reports come by hand."""
    senders = {"voice": Senders(identities=(Identity(id="+12025550100", per_second=100),))}
    async with World([voice, inbound], settings=Settings(stage="test", senders=senders)) as world:
        await world.hear(permission(world.clock.now(), channel=Channel.VOICE))
        yield world


async def called(world: World, message_id: str = "m1") -> None:
    hello = Speech(text="Hello")
    queued = message(world.clock.now(), message_id, MessageClass.TRANSACTIONAL, channel=Channel.VOICE, content=hello)
    await world.hear(queued)


def report(word: str, message_id: str | None = "m1", at: int = 0, **more: Any) -> dict[str, Any]:
    """What AWS says of the call; times in order of the words."""
    reported = {name: value for name, value in SAMPLE.items() if name not in ENDS}
    when = 1788264000000 + 1000 * (WORDS.index(word) if word in WORDS else 9) + at
    ends = ENDS if word == "COMPLETED" else {}
    context = {"context": {"messageId": message_id}} if message_id else {"context": {}}
    return {
        **reported,
        "eventType": f"VOICE_{word}",
        "messageStatus": word,
        "eventTimestamp": when,
        **ends,
        **context,
        **more,
    }


async def after(world: World, words: Sequence[str]) -> VoiceCall:
    for word in words:
        await world.feed("sms-voice", report(word))
    found = await world.row(NAME, VoiceCall, "m1")
    assert found is not None
    return found


async def test_a_call_tells_when_it_rang_was_answered_and_ended(w: World) -> None:
    await called(w)
    call = await after(w, WORDS)
    assert (call.status, call.contact_id, call.number, call.caller) == (
        "completed",
        CONTACT,
        "+12025550143",
        "+12025550100",
    )
    assert (call.duration_seconds, call.minutes, call.price) == (61, 2, 0.026)
    assert list(call.events) == ["initiated", "ringing", "answered", "completed"]
    assert call.answered_at is not None
    assert call.ended_at == call.answered_at + timedelta(seconds=1)
    assert call.started_at.isoformat() == "2026-09-01T12:00:00+00:00"
    assert call.expires_at == call.started_at.timestamp() + 90 * 24 * 3600


@pytest.mark.parametrize("order", list(itertools.permutations(WORDS)), ids="-".join)
async def test_the_record_is_the_same_in_any_order(w: World, order: tuple[str, ...]) -> None:
    await called(w)
    call = await after(w, [*order, *order])
    assert (call.status, call.duration_seconds, len(call.events)) == ("completed", 61, 4)
    assert call.ended_at == call.events["completed"]


async def test_a_call_that_nobody_answered(w: World) -> None:
    await called(w)
    call = await after(w, ["INITIATED", "NO_ANSWER"])
    assert (call.status, call.duration_seconds, call.answered_at) == ("no_answer", None, None)


async def test_a_word_of_tomorrow_is_kept_and_changes_nothing(w: World) -> None:
    await called(w)
    call = await after(w, ["RINGING", "WHISPERED"])
    assert (call.status, sorted(call.events)) == ("ringing", ["ringing", "whispered"])


@pytest.mark.parametrize(
    "wrong", [{"callDurationInSeconds": "long"}, {"messageRequestTimestamp": 1e300}, {"totalMessagePrice": None}]
)
async def test_facts_that_are_no_facts_are_left_out(w: World, wrong: dict[str, Any]) -> None:
    await called(w)
    await w.feed("sms-voice", report("COMPLETED", **wrong))
    call = await w.row(NAME, VoiceCall, "m1")
    assert call is not None
    assert call.status == "completed"
    assert w.letters() == []


async def test_a_report_on_a_call_that_is_not_ours_leaves_no_record(w: World) -> None:
    await w.feed("sms-voice", report("COMPLETED", "somebody-elses"))
    await w.feed("sms-voice", report("COMPLETED", None))
    assert (await w.http("VIEWER").get("/api/voice-calls")).json() == {"items": []}
    assert w.letters() == []


async def test_calls_are_listed_newest_first_by_contact_and_by_status(w: World) -> None:
    for n in range(5):
        await called(w, f"m{n}")
        word = "BUSY" if n % 2 else "COMPLETED"
        await w.feed("sms-voice", report(word, f"m{n}", messageRequestTimestamp=1788264000000 + 60_000 * n))
    http = w.http("VIEWER")

    async def ids(**query: Any) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            asked = {"limit": 2, **query} | ({"cursor": cursor} if cursor else {})
            page = (await http.get("/api/voice-calls", params=asked)).json()
            found += [item["callId"] for item in page["items"]]
            cursor = page.get("cursor")
            if cursor is None:
                return found

    assert await ids() == ["m4", "m3", "m2", "m1", "m0"]
    assert await ids(status="busy") == ["m3", "m1"]
    assert await ids(contactId=CONTACT, status="completed") == ["m4", "m2", "m0"]
    assert await ids(contactId="somebody-else") == []
    one = (await http.get("/api/voice-calls/m3")).json()
    assert (one["status"], one["direction"], one["type"]) == ("busy", "outbound", "message")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?status=teleported", 422, "status"),
        ("?limit=0", 422, "limit"),
        ("?cursor=nonsense", 422, "cursor"),
        ("/m9", 404, "CALL_NOT_FOUND"),
    ],
)
async def test_a_bad_question_is_told_what_is_wrong(w: World, query: str, status: int, code: str) -> None:
    answer = await w.http("VIEWER").get(f"/api/voice-calls{query}")
    assert answer.status_code == status
    assert code in answer.text


async def test_who_is_not_signed_in_sees_no_calls(w: World) -> None:
    assert (await w.http(None).get("/api/voice-calls")).status_code == 401
