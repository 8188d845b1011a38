"""The chains: nothing forks them, and whoever changes, removes or adds something is found out."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.clock import iso
from libs.common.handle.delivery import run_tick
from libs.common.store.ops import Put, TransactionConflict
from services.audit import chains, verify
from services.audit.links import MAX_IN_BLOCK, NOTHING, link
from services.audit.model import AuditBlock, AuditHead, AuditLog, Linked
from services.audit.service import service as audit
from tests.services.audit.kit import Record

NAMES = [f"n{n}" for n in range(12)]


async def test_what_was_written_and_left_alone_is_well(record: Record) -> None:
    await record.greets(*NAMES)
    reported = await record.verified()
    assert (reported["ok"], reported["entries"], reported["waiting"]) == (True, 0, 12)
    await record.links()
    reported = await record.verified()
    assert (reported["ok"], reported["entries"], reported["waiting"]) == (True, 12, 0)
    assert all(entry["hash"] for entry in await record.entries())


async def test_entries_that_wait_together_are_linked_together(record: Record) -> None:
    await record.greets(*NAMES)
    await record.links()
    await record.greets(*NAMES)
    await record.links()
    for head in await record.heads():
        assert head.blocks <= 2
        assert sum(len(block.entries) for block in await record.blocks(head)) == head.entries


async def test_more_than_fits_into_a_transaction_becomes_several_blocks(record: Record) -> None:
    entries = [
        AuditLog.of(f"e{n:03}", record.world.clock.now(), kind="fact", actor="test", service="t", action="t.a", correlation_id="c")
        for n in range(3 * MAX_IN_BLOCK)
    ]  # fmt: skip
    for entry in entries:
        await record.rewrite(entry.model_copy(update={"shard": "0", "waiting": "0"}))
    await record.links()
    (head,) = await record.heads()
    assert (head.blocks, head.entries) == (3, 3 * MAX_IN_BLOCK)
    assert (await record.verified())["entries"] == 3 * MAX_IN_BLOCK


async def test_two_processes_that_link_at_once_make_one_chain(record: Record) -> None:
    (ticking, _) = audit.every
    for part in range(0, len(NAMES), 4):
        await record.greets(*NAMES[part : part + 4])
        await asyncio.gather(*(run_tick(record.world.runtime, audit, ticking) for _ in range(3)))
    reported = await record.verified()
    assert (reported["ok"], reported["entries"], reported["waiting"]) == (True, 12, 0)


async def test_the_chain_goes_on_from_day_to_day(record: Record) -> None:
    await record.greets(*NAMES)
    await record.links()
    record.world.clock.advance(24 * 3600)
    await record.greets(*NAMES)
    await record.links()
    for day in ("2026-01-15", "2026-01-16"):
        assert (await record.verified(day))["entries"] == 12
    assert {head.follows for head in await record.heads("2026-01-16")} == {"2026-01-15"}


async def test_a_clock_that_is_behind_does_not_add_to_a_day_that_is_over(record: Record) -> None:
    record.world.clock.advance(24 * 3600)
    await record.greets(*NAMES)
    await record.links()
    record.world.clock.advance(-24 * 3600)
    await record.greets(*NAMES)
    await record.links()
    assert await record.heads("2026-01-15") == []
    record.world.clock.advance(24 * 3600)
    assert (await record.verified("2026-01-16"))["entries"] == 24


async def test_a_day_that_another_process_has_ended_takes_nothing_more(record: Record) -> None:
    await record.greets(*NAMES)
    await record.links()
    await record.greets(*NAMES)
    late = [step async for step in chains.link_entries(record.world.runtime.context(audit))]
    record.world.clock.advance(24 * 3600)
    await record.links()
    for step in late:
        with pytest.raises(TransactionConflict):
            await record.world.runtime.store.transact(step.writes[:2], token=step.key)
    assert (await record.verified("2026-01-15"))["entries"] == 12
    assert (await record.verified("2026-01-16"))["entries"] == 12


def test_a_link_is_what_it_always_was() -> None:
    """If this fails, every chain that was written would look broken."""
    row = {"logId": "1", "action": "contacts.create_contact", "after": {"b": 1, "a": "ä"}, "hash": "x", "version": 3}
    first = link(NOTHING, row)
    assert first == "a5ba6664c34eb7c58ec14600d78247234d4e5f969a34c42607577d8d9c7fd0b3"
    assert link(NOTHING, {**row, "hash": "y", "version": 4}) == first
    assert link(first, row) != first


# -- broken ----------------------------------------------------------------------------------------


async def linked(record: Record) -> tuple[AuditHead, AuditBlock]:
    """Three blocks in at least one chain; that one's head and its middle block."""
    for _ in range(3):
        await record.greets(*NAMES)
        await record.links()
    await record.anchors()
    head = await record.longest()
    assert await record.broken() == ""
    return head, (await record.blocks(head))[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actor", "user:somebody-else"),
        ("action", "toy.something_else"),
        ("role", None),
        ("facts", []),
        ("expires_at", 1_900_000_000),
        ("place", "2026-01-15T13:00:00.000Z#x"),
        ("after", {"state": "running"}),
        ("hash", "0" * 64),
    ],
)
async def test_a_changed_entry_is_named(record: Record, name: str, value: object) -> None:
    _, block = await linked(record)
    (row, *_) = await record.rows(block)
    await record.rewrite(row.model_copy(update={name: value}))
    broken = (await record.verified())["broken"]
    assert (broken["what"], broken["logId"], broken["block"]) == ("entry_changed", row.log_id, 2)


async def test_an_entry_that_cannot_be_read_any_more_is_named(record: Record) -> None:
    _, block = await linked(record)
    (row, *_) = await record.rows(block)
    await record.world.runtime.store.write(
        Put(record.table(AuditLog), {**row.to_row(), "kind": "nonsense", "at": "then"})
    )
    assert (await record.verified())["broken"]["logId"] == row.log_id


async def test_a_row_that_is_no_entry_and_was_put_into_the_list_is_noticed(record: Record) -> None:
    await linked(record)
    row = {"logId": "stray", "shard": "0", "place": "2026-01-15T13:00:00.000Z#stray"}
    await record.world.runtime.store.write(Put(record.table(AuditLog), row))
    assert await record.broken() == "entry_inserted"


async def test_a_removed_entry_is_named(record: Record) -> None:
    _, block = await linked(record)
    row = (await record.rows(block))[-1]
    await record.remove(row)
    broken = (await record.verified())["broken"]
    assert (broken["what"], broken["logId"]) == ("entry_removed", row.log_id)


async def test_an_entry_removed_together_with_its_place_in_the_block_is_noticed(record: Record) -> None:
    _, block = await linked(record)
    row = (await record.rows(block))[0]
    await record.remove(row)
    await record.rewrite(block.model_copy(update={"entries": block.entries[1:]}))
    assert await record.broken() in ("entry_changed", "block_changed")


async def test_an_inserted_entry_is_named(record: Record) -> None:
    await linked(record)
    now = record.world.clock.now()
    stray = AuditLog.of("stray", now, kind="fact", actor="x", service="x", action="x.x", correlation_id="x")
    stray = stray.model_copy(update={"waiting": None})
    await record.rewrite(stray)
    broken = (await record.verified())["broken"]
    assert (broken["what"], broken["logId"]) == ("entry_inserted", "stray")


async def test_an_inserted_entry_that_names_a_block_is_named(record: Record) -> None:
    head, block = await linked(record)
    (row, *_) = await record.rows(block)
    await record.rewrite(row.model_copy(update={"log_id": "stray", "actor": "user:nobody"}))
    broken = (await record.verified())["broken"]
    assert (broken["what"], broken["logId"], broken["chain"]) == ("entry_inserted", "stray", head.chain)


async def test_an_entry_inserted_into_a_block_is_noticed(record: Record) -> None:
    _, block = await linked(record)
    row = (await record.rows(block))[0]
    stray = row.model_copy(update={"log_id": "stray"})
    stray = stray.model_copy(update={"hash": link(block.previous, stray.to_row())})
    await record.rewrite(stray)
    entries = [Linked(log_id="stray", hash=stray.hash or ""), *block.entries]
    await record.rewrite(block.model_copy(update={"entries": entries}))
    assert await record.broken() == "entry_changed"


async def test_the_newest_entries_are_missed_when_they_are_removed_with_their_block(record: Record) -> None:
    head, _ = await linked(record)
    last = (await record.blocks(head))[-1]
    await record.remove(*await record.rows(last), last)
    assert await record.broken() == "block_removed"


async def test_and_also_when_the_head_is_set_back(record: Record) -> None:
    head, _ = await linked(record)
    last = (await record.blocks(head))[-1]
    await record.remove(*await record.rows(last), last)
    back = {"blocks": head.blocks - 1, "entries": last.first - 1, "hash": last.previous}
    await record.rewrite(head.model_copy(update=back))
    assert await record.broken() == "end_removed"


async def test_a_chain_that_was_computed_anew_is_another_one_than_was_anchored(record: Record) -> None:
    head, _ = await linked(record)
    blocks = await record.blocks(head)
    last = blocks[0].previous
    for n, block in enumerate(blocks):
        first, entries = last, []
        for row in await record.rows(block):
            row = row.model_copy(update={"actor": "user:nobody"} if n == 0 else {})
            last = link(last, row.to_row())
            await record.rewrite(row.model_copy(update={"hash": last}))
            entries.append(Linked(log_id=row.log_id, hash=last))
        await record.rewrite(block.model_copy(update={"previous": first, "entries": entries}))
    await record.rewrite(head.model_copy(update={"hash": last}))
    assert await record.broken() == "anchor_differs"


async def test_a_removed_block_in_the_middle_a_removed_head_and_one_that_was_changed_are_named(record: Record) -> None:
    head, block = await linked(record)
    await record.remove(block)
    broken = (await record.verified())["broken"]
    assert (broken["what"], broken["block"]) == ("block_removed", 2)
    await record.rewrite(block)
    await record.remove(head)
    assert await record.broken() == "head_removed"
    await record.rewrite(head.model_copy(update={"hash": "0" * 64}))
    assert await record.broken() == "head_changed"
    await record.rewrite(head)
    assert await record.broken() == ""


async def test_a_block_behind_the_end_is_named(record: Record) -> None:
    head, block = await linked(record)
    beyond = {"number": head.blocks + 1, "place": AuditBlock.place_of(head.blocks + 1), "entries": []}
    await record.rewrite(block.model_copy(update=beyond))
    assert await record.broken() == "block_inserted"


async def test_a_day_that_was_removed_whole_is_missed_by_the_next(record: Record) -> None:
    await linked(record)
    record.world.clock.advance(24 * 3600)
    await record.greets(*NAMES)
    await record.links()
    for head in await record.heads():
        for block in await record.blocks(head):
            await record.remove(*await record.rows(block), block)
        await record.remove(head)
    assert await record.broken("2026-01-16") == "section_removed"
    assert await record.broken("2026-01-15") == "head_removed"


async def test_an_anchor_that_is_none_any_more_is_named(record: Record) -> None:
    await linked(record)
    for place, (_, kind) in record.world.files.objects.items():
        record.world.files.objects[place] = (b"{}", kind)
    assert await record.broken() == "anchor_changed"


async def test_each_hour_has_one_anchor_and_the_last_of_a_day_is_written_on_the_next(record: Record) -> None:
    await record.greets(*NAMES)
    await record.links()
    for _ in range(3):
        await record.anchors()
    record.world.clock.advance(24 * 3600)
    await record.anchors()
    keys = [key for _, key in record.world.files.objects]
    assert keys == ["2026-01-15/2026-01-15T12.json", "2026-01-15/2026-01-16T12.json"]
    assert (await record.verified("2026-01-15"))["anchored"] == iso(record.world.clock.now())


async def test_a_long_day_is_verified_in_parts(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    head, block = await linked(record)
    monkeypatch.setattr(verify, "MAX_BLOCKS", 1)
    monkeypatch.setattr(verify, "MAX_LISTED", 2)
    assert (await record.verified())["entries"] == 36
    (row, *_) = await record.rows(block)
    await record.rewrite(row.model_copy(update={"actor": "user:nobody"}))
    broken = (await record.verified())["broken"]
    assert (broken["what"], broken["position"], broken["chain"]) == ("entry_changed", block.first, head.chain)


async def test_entries_that_nobody_links_are_late(record: Record) -> None:
    await record.greets("ann")
    record.world.clock.advance(700)
    parts = [await record.get("/verify", cursor=f"list.{shard}.") for shard in "0123"]
    assert sum(part["late"] for part in parts) == sum(part["waiting"] for part in parts) == 1


@pytest.mark.parametrize("day", ["2026-01-16", "2025-07-01", "yesterday"])
async def test_a_day_without_a_record_is_refused_by_name(record: Record, day: str) -> None:
    reported = await record.get("/verify", expect=422, day=day)
    assert reported["errors"][0]["field"] == "day"


@pytest.mark.parametrize("cursor", ["x", "walk.9.1", "walk.0.x", "list.0.é", "walk.0.1.2", "list.0.abc"])
async def test_a_cursor_of_somebody_elses_is_refused(record: Record, cursor: str) -> None:
    assert (await record.get("/verify", expect=422, cursor=cursor))["code"] == "BAD_CURSOR"
