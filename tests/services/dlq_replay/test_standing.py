"""Where the message stands that a dead letter is about, and what that means for a replay."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.declare.event import Event
from libs.common.declare.service import Service, on
from libs.common.errors import Poison
from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from libs.messaging.content import Template, Text
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.events.dlq import LetterKept
from libs.messaging.events.messages import MessageQueued, StandingTold
from libs.messaging.events.outbound import DeliveryChanged, SendAgainDecided
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from services.messages.service import service as messages
from tests.services.dlq_replay.kit import Dead


def _delivery(dead: Dead, status: Status, **facts: Any) -> DeliveryChanged:
    """What its sender says; of a job, so that ``messages`` has the message from it."""
    given: dict[str, Any] = {
        "message_id": "m1", "contact_id": "c1", "channel": Channel.WHATSAPP, "message_class": MessageClass.BULK,
        "job_id": "j1", "at": dead.bench.world.clock.now(), "status": status,
    }  # fmt: skip
    return DeliveryChanged(**{**given, **facts})


async def test_a_message_that_was_sent_before_its_event_died_is_foreseen_as_applied() -> None:
    dead = Dead(messages)
    await dead.knows()
    await dead.bench.world.hear(_delivery(dead, Status.SENT))
    dead_letter = await dead.dies(dead.queued())
    reported = await dead.foresee(dead_letter)
    assert reported["outcomes"] == {"already_applied": 1}
    assert reported["items"][0]["alreadyApplied"] == "yes"
    assert (await dead.bench.get(f"/api/dlq/{dead_letter}"))["message"]["status"] == "sent"
    assert len(dead.bench.world.said(StandingTold)) == 1


async def test_of_a_message_that_nobody_knows_nothing_is_told() -> None:
    dead = Dead(messages)
    await dead.knows()
    dead_letter = await dead.dies(dead.queued())
    assert (await dead.foresee(dead_letter))["outcomes"] == {"ready": 1}
    assert "status" not in (await dead.bench.get(f"/api/dlq/{dead_letter}"))["message"]


@pytest.mark.parametrize(
    ("status", "resend", "outcome"),
    [
        (Status.DEFERRED, 0, "ready"),
        (Status.CLAIMED, 0, "unknown"),
        (Status.UNCERTAIN, 0, "unknown"),
        (Status.UNKNOWN, 0, "already_applied"),
        (Status.CANCELLED, 0, "already_applied"),
        (Status.UNCERTAIN, 1, "ready"),
        (Status.UNKNOWN, 1, "ready"),
    ],
)
async def test_what_a_replay_comes_to_depends_on_where_the_message_stands_and_on_a_decision_to_resend(
    status: Status, resend: int, outcome: str
) -> None:
    dead = Dead(messages)
    await dead.knows()
    await dead.bench.world.hear(_delivery(dead, status))
    dead_letter = await dead.dies(dead.queued(resend=resend))
    assert (await dead.foresee(dead_letter))["outcomes"] == {outcome: 1}


async def test_a_further_attempt_of_a_message_that_was_sent_meanwhile_is_applied() -> None:
    dead = Dead()
    again = SendAgainDecided(
        message_id="m1", contact_id="c1", channel=Channel.WHATSAPP, message_class=MessageClass.REPLY, attempt=2,
        not_before=dead.bench.world.clock.now(), why="not_sent",
    )  # fmt: skip
    dead_letter = await dead.dies(again)
    assert (await dead.foresee(dead_letter))["outcomes"] == {"ready": 1}
    await dead.bench.world.hear(_delivery(dead, Status.SENT))
    assert (await dead.foresee(dead_letter))["outcomes"] == {"already_applied": 1}


def _chunk(dead: Dead, *contacts: str, **facts: Any) -> ChunkReleased:
    now = dead.bench.world.clock.now()
    who = [Addressee(position=n, message_id=f"m{n}", contact_id=each, ref=each) for n, each in enumerate(contacts)]
    given: dict[str, Any] = {
        "job_id": "j1", "chunk": "0", "release": 1, "revision": 1, "channel": Channel.WHATSAPP, "addressees": tuple(who),
        "purpose": Purpose.SERVICE, "content": Text(body="hi"), "released_at": now, "expires_at": dead.queued().expires_at,
    }  # fmt: skip
    return ChunkReleased(**{**given, **facts})


async def test_a_chunk_of_a_job_tells_how_many_of_its_messages_would_be_refused() -> None:
    dead = Dead()
    await dead.knows()
    await dead.knows(contact_id="c2", opted_out_at="2026-01-15T12:00:00Z")
    dead_letter = await dead.dies(_chunk(dead, "c1", "c2", "c3"))
    (item,) = (await dead.foresee(dead_letter))["items"]
    assert (item["outcome"], item.get("code")) == ("ready", None)
    for words in ("1 of its 3 messages would be refused (opted_out 1)", "of 1 contacts no permission is known"):
        assert words in item["detail"]
    nobody = await dead.dies(_chunk(dead, "c2", "c2"))
    reported = await dead.foresee(nobody)
    assert (reported["outcomes"], reported["refusals"]) == ({"refused": 1}, {"opted_out": 1})


async def test_a_chunk_whose_time_is_over_is_refused_whoever_it_is_for() -> None:
    dead = Dead()
    await dead.knows()
    dead_letter = await dead.dies(_chunk(dead, "c1", "stranger", content=Template(name="order_update")))
    dead.bench.world.clock.advance(25 * 3600)
    assert (await dead.foresee(dead_letter))["refusals"] == {"expired": 1}


@pytest.mark.parametrize("news", [LetterKept, StandingTold])
async def test_who_dies_of_the_news_of_a_letter_does_not_die_without_end(news: type[Event]) -> None:
    async def die(event: Event, ctx: Context) -> None:
        raise Poison("not this either")

    dead = Dead(Service("listener", hears=[on(news, die)]), messages)
    await dead.bench.world.hear(_delivery(dead, Status.SENT))
    await dead.dies(dead.queued())
    dead_letters = await dead.bench.letters()
    assert sorted(each["eventType"] for each in dead_letters) == sorted([MessageQueued.TYPE, news.TYPE])
