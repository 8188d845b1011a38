"""Groups, filters, one dead letter in full, and what a replay would come to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from libs.common.clock import iso
from libs.common.errors import Poison
from libs.messaging.channels import Channel
from libs.messaging.content import Template
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.events.templates import TemplateChanged
from libs.messaging.permission import Permission
from libs.messaging.templates import TemplateState, TemplateStatus
from libs.messaging.vocabulary import MessageClass, Status
from services.dlq_replay import search
from tests.services.dlq_replay.kit import QUEUE, Bench, Dead, ids


async def test_letters_are_grouped_by_cause_and_type_with_counts_and_each_queue_has_its_depth() -> None:
    bench = Bench()
    await bench.dies(*(f"n{n}" for n in range(30)))
    bench.world.clock.advance(60)
    await bench.dies("a", "b", error=ValueError("a bug"))
    await bench.world.feed("shop", "unreadable")
    reported = await bench.get("/api/dlq/groups")
    counts = {(group["cause"], group.get("eventType")): group["count"] for group in reported["groups"]}
    greeted = "toy.greeted.v1"
    assert counts == {("rejected", greeted): 30, ("exhausted", greeted): 2, ("malformed", None): 1}
    assert (reported["total"], reported["complete"]) == (33, True)
    depths = {each["queue"]: (each["waiting"], each["quarantined"]) for each in reported["queues"]}
    assert depths == {QUEUE: (32, 0), f"{QUEUE}-feed-shop": (1, 0)}
    (old,) = [group for group in reported["groups"] if group["cause"] == "rejected"]
    assert old["newestAt"] < iso(bench.world.clock.now())


async def test_a_count_that_would_take_too_long_says_that_it_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_ROWS_SCANNED", 5)
    bench = Bench()
    await bench.dies(*(f"n{n}" for n in range(9)))
    reported = await bench.get("/api/dlq/groups")
    assert (reported["total"], reported["complete"]) == (5, False)
    listed = ids(await _all_pages(bench, 4))
    assert (len(listed), len(set(listed))) == (9, 9)


async def test_lists_are_newest_first_and_paged_without_gap_or_overlap() -> None:
    bench = Bench()
    for n in range(25):
        await bench.dies(f"n{n}")
        bench.world.clock.advance(1)
    dead_letters = await _all_pages(bench, 7)
    times = [dead_letter["diedAt"] for dead_letter in dead_letters]
    assert len(set(ids(dead_letters))) == 25
    assert times == sorted(times, reverse=True)


async def _all_pages(bench: Bench, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        reported = await bench.get("/api/dlq", **query)
        found += reported["items"]
        cursor = reported.get("cursor")
        if cursor is None:
            return found


async def test_each_filter_narrows() -> None:
    bench = Bench()
    await bench.dies("ann")
    bench.world.clock.advance(100)
    middle = iso(bench.world.clock.now() - timedelta(seconds=50))
    await bench.dies("bob", error=ValueError("out of cheese"))
    await bench.world.feed("shop", "unreadable")
    for query, count in [
        ({"cause": "exhausted"}, 1),
        ({"queue": "shop"}, 2),
        ({"queue": QUEUE}, 2),
        ({"eventType": "toy.greeted.v1"}, 2),
        ({"channel": "whatsapp"}, 2),
        ({"channel": "sms"}, 0),
        ({"since": middle}, 2),
        ({"until": middle}, 1),
        ({"since": middle, "until": "2020-01-01T00:00:00Z"}, 0),
        ({"text": "CHEESE"}, 1),
        ({"text": "bob"}, 1),
        ({"state": "discarded"}, 0),
    ]:
        assert len(await bench.letters(**query)) == count, query


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        {"state": "lost"},
        {"cause": "exausted"},
        {"channel": "telegram"},
        {"limit": 0},
        {"text": "x"},
        {"since": "soon"},
    ],
)
async def test_a_bad_question_names_the_field(query: dict[str, Any]) -> None:
    answer = await Bench().viewer.get("/api/dlq", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(query))


async def test_an_unknown_letter_is_a_404_that_says_how_long_they_are_kept() -> None:
    answer = await Bench().viewer.get("/api/dlq/none")
    assert (answer.status_code, answer.json()["code"]) == (404, "LETTER_NOT_FOUND")


async def test_a_message_that_may_be_sent_is_ready_and_nobody_claims_to_know_whether_it_was() -> None:
    dead = Dead()
    dead_letter = await dead.dies(dead.queued())
    assert (await dead.foresee(dead_letter))["outcomes"] == {"unknown": 1}
    await dead.knows()
    (item,) = (await dead.foresee(dead_letter))["items"]
    assert (item["outcome"], item["alreadyApplied"]) == ("ready", "unknown")


@pytest.mark.parametrize("cause", ["exhausted", "unhandled"])
@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"opted_out_at": "2026-01-15T12:00:00Z"}, "opted_out"),
        ({"opted_in": False}, "no_consent"),
        ({"last_inbound_at": None}, "window_closed"),
        ({"deleted": True}, "contact_erased"),
        ({"suppressed": "hard bounce"}, "suppressed"),
    ],
)
async def test_a_message_that_would_be_refused_now_says_why(facts: dict[str, Any], code: str, cause: str) -> None:
    dead = Dead()
    await dead.knows()
    dead_letter = await dead.dies(dead.queued(), cause=cause)
    await dead.knows(revision=2, **facts)
    reported = await dead.foresee(dead_letter)
    assert (reported["outcomes"], reported["refusals"]) == ({"refused": 1}, {code: 1})
    assert reported["items"][0]["detail"]


async def test_a_message_that_has_expired_meanwhile_says_so() -> None:
    dead = Dead()
    await dead.knows()
    dead_letter = await dead.dies(dead.queued(content=Template(name="order_update")))
    dead.bench.world.clock.advance(25 * 3600)
    assert (await dead.foresee(dead_letter))["refusals"] == {"expired": 1}


async def test_a_template_that_was_paused_and_approved_again_is_told_by_its_last_word() -> None:
    dead = Dead()
    await dead.knows()
    dead_letter = await dead.dies(dead.queued(content=Template(name="order_update")))
    words = ((TemplateStatus.PAUSED, {"refused": 1}), (TemplateStatus.APPROVED, {"ready": 1}))
    for revision, (word, outcome) in enumerate(words, 1):
        state = TemplateState(
            template_id="whatsapp:order_update:en_US", channel=Channel.WHATSAPP, name="order_update", language="en_US",
            revision=revision, status=word,
        )  # fmt: skip
        changed = TemplateChanged(template_id=state.template_id, channel=Channel.WHATSAPP, state=state)
        await dead.bench.world.hear(changed)
        reported = await dead.foresee(dead_letter)
        assert reported["outcomes"] == outcome
        assert reported["refusals"] == ({"template_rejected": 1} if word is TemplateStatus.PAUSED else {})


async def test_what_its_sender_has_said_since_is_shown_and_told() -> None:
    dead = Dead()
    await dead.knows()
    dead_letter = await dead.dies(dead.queued())
    now = dead.bench.world.clock.now()
    facts = {"contact_id": "c1", "channel": Channel.WHATSAPP, "message_class": MessageClass.REPLY, "at": now}
    for status in (Status.SENT, Status.CLAIMED):
        await dead.bench.world.hear(DeliveryChanged(message_id="m1", status=status, **facts))
    reported = await dead.foresee(dead_letter)
    assert reported["outcomes"] == {"already_applied": 1}
    assert reported["items"][0]["alreadyApplied"] == "yes"
    shown = await dead.bench.get(f"/api/dlq/{dead_letter}")
    assert (shown["message"]["status"], shown["message"]["href"]) == ("sent", "/api/messages/m1")


async def test_a_type_or_version_that_this_build_does_not_know_says_deploy_first() -> None:
    dead = Dead()
    dead_letter = await dead.dies(dead.queued(), wire={"type": "messages.queued.v9"}, cause="version")
    assert (await dead.foresee(dead_letter))["outcomes"] == {"schema_too_new": 1}


async def test_what_is_still_malformed_or_rejected_by_the_same_build_dies_again() -> None:
    dead = Dead()
    malformed = await dead.dies(dead.queued(), wire={"data": {"messageId": 7}}, cause="malformed")
    await dead.bench.dies("ann", error=Poison("no"))
    (rejected,) = ids(await dead.bench.letters(cause="rejected"))
    reported = await dead.foresee(malformed, rejected)
    assert reported["outcomes"] == {"dies_again": 2}
    assert "contactId" in reported["items"][0]["detail"]


async def test_an_older_permission_is_no_news() -> None:
    dead = Dead()
    await dead.knows(revision=5)
    old = Permission(contact_id="c1", channel=Channel.WHATSAPP, revision=3)
    event = PermissionChanged(contact_id="c1", channel=Channel.WHATSAPP, standing=old)
    dead_letter = await dead.dies(event)
    assert (await dead.foresee(dead_letter))["outcomes"] == {"superseded": 1}


async def test_a_simulation_of_a_filter_sums_over_all_and_changes_nothing() -> None:
    bench = Bench()
    await bench.dies(*(f"n{n}" for n in range(20)), error=ValueError("bug"))
    answer = await bench.viewer.post("/api/dlq/simulate", json={"filter": {"cause": "exhausted"}, "limit": 15})
    reported = answer.json()
    assert (reported["total"], reported["outcomes"]) == (15, {"ready": 15})
    assert len(await bench.letters()) == 20
    assert not bench.shop.applied
