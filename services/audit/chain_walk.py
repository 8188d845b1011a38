"""Verifies a chain, link by link."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pydantic import ValidationError

from libs.common.declare.wire import View
from libs.common.handle.context import Context
from services.audit.links import link
from services.audit.model import Anchor, AuditBlock, AuditHead, AuditLog, Linked, chain_of, is_kept


class Broken(View):
    """The first mismatch. ``position`` counts the entries of the section from 1."""

    chain: str
    what: str
    detail: str
    block: int | None = None
    position: int | None = None
    log_id: str | None = None


class Break(Exception):
    """A stored entry or link does not match the chain."""

    def __init__(self, chain: str, what: str, detail: str, **where: object) -> None:
        super().__init__(what)
        self.broken = Broken.model_validate({"chain": chain, "what": what, "detail": detail, **where})


@dataclass
class Walk:
    """Verifies one section, from a given block on. Raises Break at the first mismatch."""

    ctx: Context
    day: str
    shard: str
    #: The state of the section at its last anchor.
    anchored: Anchor.Head | None
    #: Entries of the section up to here, and the number of entries verified.
    position: int = 0
    entries: int = 0

    @property
    def chain(self) -> str:
        return chain_of(self.day, self.shard)

    def fail(self, what: str, detail: str, **where: object) -> Break:
        return Break(self.chain, what, detail, **where)

    async def part(self, done: int, maximum: int) -> int:
        """Verifies up to ``maximum`` blocks after ``done``; returns how many are done now, 0 when all are."""
        head = await self.ctx.get(AuditHead, self.shard, self.day)
        page = await self.ctx.query(
            AuditBlock,
            self.chain,
            between=(AuditBlock.place_of(done + 1), AuditBlock.place_of(10**9 - 1)),
            limit=maximum,
        )
        if head is None:
            if page.items or self.anchored:
                raise self.fail("head_removed", "The section's head is gone.")
            return 0
        last = await self._begin(head, done)
        for block in page.items:
            if block.number > head.blocks:
                await self._grown(block)
                break
            last = await self._block(block, done + 1, last)
            done += 1
        if page.cursor is not None and done < head.blocks:
            return done
        self._end(head, done, last)
        return 0

    async def _begin(self, head: AuditHead, done: int) -> str:
        """Returns the link before the first block of this part."""
        if done:
            block = await self.ctx.get(AuditBlock, self.chain, AuditBlock.place_of(done))
            if block is None:
                raise self.fail("block_removed", "A block is gone.", block=done)
            self.position = block.until
            return block.last
        if head.follows is not None and is_kept(head.follows, self.ctx.now):
            before = await self.ctx.get(AuditHead, self.shard, head.follows)
            if before is None or before.hash != head.previous:
                raise self.fail(
                    "section_removed", f"The section of {head.follows}, which it follows, is gone or changed."
                )
        return head.previous

    async def _grown(self, block: AuditBlock) -> None:
        """Checks a block beyond the head that was read, against the current head. Raises Break if it is beyond that
        too: the platform did not write it."""
        head = await self.ctx.get(AuditHead, self.shard, self.day)
        if head is None or head.blocks < block.number:
            raise self.fail("block_inserted", "A block is beyond the end of the chain.", block=block.number)

    async def _block(self, block: AuditBlock, number: int, last: str) -> str:
        if block.number != number:
            raise self.fail("block_removed", "A block is gone.", block=number, position=self.position + 1)
        if block.previous != last or block.first != self.position + 1:
            raise self.fail("block_changed", "The block does not follow the one before.", block=number)
        rows = await asyncio.gather(*(self._row(each) for each in block.entries))
        for each, entry in zip(block.entries, rows, strict=True):
            self.position += 1
            where = {"block": number, "position": self.position, "log_id": each.log_id}
            if entry is None:
                raise self.fail("entry_removed", "An entry is gone.", **where)
            if link(last, entry.to_row()) != each.hash or entry.hash != each.hash:
                raise self.fail(
                    "entry_changed", "An entry, or its place in the chain, is not what was linked.", **where
                )
            last = each.hash
            self.entries += 1
            if self.anchored and self.anchored.entries == self.position and self.anchored.hash != last:
                raise self.fail("anchor_differs", "The chain is another one than was anchored.", **where)
        return last

    async def _row(self, each: Linked) -> AuditLog | None:
        try:
            return await self.ctx.get(AuditLog, each.log_id)
        except ValidationError:
            detail = "An entry is no entry any more."
            raise self.fail("entry_changed", detail, log_id=each.log_id) from None

    def _end(self, head: AuditHead, done: int, last: str) -> None:
        where = {"block": done + 1, "position": self.position + 1}
        if done < head.blocks:
            raise self.fail("block_removed", f"The chain should go on: it had {head.blocks} blocks.", **where)
        if (self.position, last) != (head.entries, head.hash):
            raise self.fail("head_changed", "The head is not that of this chain.", **where)
        if self.anchored and self.anchored.entries > self.position:
            raise self.fail("end_removed", f"{self.anchored.entries} entries were anchored.", **where)
