"""Links waiting entries into their chains, and periodically writes the heads to S3 as anchors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

from libs.common.clock import iso
from libs.common.declare.service import Bucket, TickAction
from libs.common.handle.context import Context
from services.audit.links import MAX_IN_BLOCK, linked, section
from services.audit.model import SHARDS, Anchor, AuditHead, AuditLog

#: How often waiting entries are linked, and how often it is checked whether the hour has its anchor. Much shorter than
#: an hour, because a process may not live that long.
LINK_SECONDS, ANCHOR_SECONDS = 2, 300
#: Maximum blocks per shard of one tick; the next tick follows soon.
MAX_BLOCKS = 20
ANCHORS = Bucket("anchors", days=200)
MAX_ANCHOR_BYTES = 10_000


async def link_entries(ctx: Context) -> AsyncIterator[TickAction]:
    """Links waiting entries. A block of up to 90 entries is one transaction, conditional on the head that was read: of
    two processes one writes the block, and the other continues with the next."""
    turns = [shard for shard in SHARDS for _ in range(MAX_BLOCKS)]
    done: set[str] = set()
    for shard in turns:
        if shard in done:
            continue
        page = await ctx.query(AuditLog, shard, index="by-waiting", limit=MAX_IN_BLOCK)
        # The index lags slightly; the rows do not.
        waiting = [entry for entry in page.items if entry.waiting is not None]
        if page.cursor is None:
            done.add(shard)
        if waiting:
            yield await _block(ctx, shard, waiting)


async def _block(ctx: Context, shard: str, waiting: list[AuditLog]) -> TickAction:
    newest = await ctx.query(AuditHead, shard, limit=1, newest_first=True)
    latest = newest.items[0] if newest.items else None
    before = section(latest, shard, ctx.now)
    after, block, entries = linked(before, waiting, ctx.now)
    writes = [ctx.replace(entry) for entry in entries]
    sections = [ctx.replace(after) if before.blocks else ctx.insert(after)]
    if latest is not None and latest.day != before.day:
        # Increases the version, so that a process with an outdated head, due to a slow clock, cannot add to it.
        sections.append(ctx.replace(latest))
    return TickAction(f"{block.chain}#{block.number}", (*sections, ctx.insert(block), *writes))


async def anchor_heads(ctx: Context) -> AsyncIterator[TickAction]:
    """Writes the state of today's sections and the end of yesterday's as objects in S3: a separate store, with separate
    permissions. Each hour has its own object, with a later state than the hour before."""
    for moment in (ctx.now - timedelta(days=1), ctx.now):
        day, hour = iso(moment)[:10], iso(ctx.now)[:13]
        bucket, key = ctx.bucket(ANCHORS.name), f"{day}/{hour}.json"
        found = await heads(ctx, day)
        if found and await ctx.files.stat(bucket, key) is None:
            by_shard = {
                head.shard: Anchor.Head(blocks=head.blocks, entries=head.entries, hash=head.hash) for head in found
            }
            anchor = Anchor(day=day, at=ctx.now, heads=by_shard).model_dump(mode="json", by_alias=True)
            data = json.dumps(anchor, sort_keys=True).encode()
            await ctx.files.put(bucket, key, data, "application/json")
            yield TickAction(f"{day}#{hour}")


async def heads(ctx: Context, day: str) -> list[AuditHead]:
    found = await asyncio.gather(*(ctx.get(AuditHead, shard, day) for shard in SHARDS))
    return [head for head in found if head is not None]


async def last_anchor(ctx: Context, day: str) -> Anchor | None:
    """Returns the newest anchor of a day. Raises ValidationError or TooBig for an object that is not a valid anchor."""
    bucket = ctx.bucket(ANCHORS.name)
    keys = await ctx.files.keys(bucket, f"{day}/", maximum=100)
    data = await ctx.files.read(bucket, max(keys), MAX_ANCHOR_BYTES) if keys else None
    return Anchor.model_validate_json(data) if data else None
