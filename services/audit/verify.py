"""Verifies the audit log: walks the chains of a day, and compares the list of its entries with them."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

from pydantic import ValidationError

from libs.common.aws.files import TooBig
from libs.common.clock import Timestamp, iso
from libs.common.declare.wire import View
from libs.common.handle.context import Context
from libs.common.store.ops import BadCursor
from services.audit.chain_walk import Break, Broken, Walk
from services.audit.chains import last_anchor
from services.audit.model import SHARDS, Anchor, AuditBlock, AuditLog, chain_of, end_of

#: Limits of one call; its response has the cursor of the next.
MAX_BLOCKS, MAX_LISTED = 20, 500
#: An entry that waits longer than this shows that linking has stopped.
MAX_LINK_DELAY = timedelta(minutes=10)


class Verified(View):
    """The result of one call. ``waiting``: entries not linked yet; ``late``: those of them that wait too long.
    ``anchored`` is when the newest anchor of the day was written."""

    day: str
    ok: bool = True
    entries: int = 0
    listed: int = 0
    waiting: int = 0
    late: int = 0
    anchored: Timestamp | None = None
    broken: Broken | None = None
    cursor: str | None = None


async def verify(ctx: Context, day: str, cursor: str | None) -> Verified:
    """Verifies one part of a day: chains first, shard by shard, then the list. The last part, and one with a mismatch,
    has no cursor. Raises BadCursor."""
    phase, shard, at = _read(cursor)
    result = Verified(day=day)
    try:
        anchor = await _anchor(ctx, day)
        result.anchored = anchor.at if anchor else None
        if phase == "walk":
            done = await _walk(ctx, day, shard, anchor, int(at or 0), result)
            more = str(done) if done else None
        else:
            more = await _list(ctx, day, shard, at or None, result)
    except Break as found:
        result.ok, result.broken = False, found.broken
        return result
    result.cursor = f"{phase}.{shard}.{more}" if more else _next(phase, shard)
    return result


def _read(cursor: str | None) -> tuple[str, str, str]:
    if cursor is None:
        return "walk", SHARDS[0], ""
    if not re.fullmatch(rf"(walk\.[{''.join(SHARDS)}]\.\d{{0,9}})|(list\.[{''.join(SHARDS)}]\.[\w-]{{0,900}})", cursor):
        raise BadCursor(cursor)
    phase, shard, at = cursor.split(".")
    return phase, shard, at


def _next(phase: str, shard: str) -> str | None:
    if shard != SHARDS[-1]:
        return f"{phase}.{SHARDS[SHARDS.index(shard) + 1]}."
    return f"list.{SHARDS[0]}." if phase == "walk" else None


async def _anchor(ctx: Context, day: str) -> Anchor | None:
    try:
        return await last_anchor(ctx, day)
    except (ValidationError, TooBig):
        raise Break(day, "anchor_changed", "The newest anchor of the day is none any more.") from None


async def _walk(ctx: Context, day: str, shard: str, anchor: Anchor | None, done: int, result: Verified) -> int:
    walk = Walk(ctx, day, shard, anchor.heads.get(shard) if anchor else None)
    try:
        return await walk.part(done, MAX_BLOCKS)
    finally:
        result.entries = walk.entries


async def _list(ctx: Context, day: str, shard: str, cursor: str | None, result: Verified) -> str | None:
    """Checks that every listed entry of the day is in a block, or waits to be linked."""
    between = (f"{day}T", iso(end_of(day)))
    try:
        page = await ctx.query(AuditLog, shard, index="by-shard", between=between, limit=MAX_LISTED, cursor=cursor)
    except ValidationError:
        raise Break(chain_of(day, shard), "entry_inserted", "A row is listed that is no entry.") from None
    linked = await _linked(ctx, {(entry.chain, entry.block) for entry in page.items if entry.chain and entry.block})
    for entry in page.items:
        if (entry.log_id, entry.chain, entry.block) in linked:
            continue
        if entry.waiting is None:
            detail = "An entry is listed that was never linked."
            raise Break(entry.chain or chain_of(day, shard), "entry_inserted", detail, log_id=entry.log_id)
        result.waiting += 1
        result.late += entry.at < ctx.now - MAX_LINK_DELAY
    result.listed += len(page.items)
    return page.cursor


async def _linked(ctx: Context, named: set[tuple[str | None, int | None]]) -> set[tuple[str, str, int]]:
    """Returns every entry of these blocks: its id, its section, its block."""
    keys = [(chain or "", AuditBlock.place_of(number or 0)) for chain, number in named]
    found = await asyncio.gather(*(ctx.get(AuditBlock, *key) for key in keys))
    return {(each.log_id, block.chain, block.number) for block in found if block for each in block.entries}
