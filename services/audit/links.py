"""Computes the links of a chain. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from libs.common.clock import iso
from libs.common.store.item import Row
from services.audit.model import AuditBlock, AuditHead, AuditLog, Linked, kept_until

#: A transaction is limited to 100 operations; up to four are the block, the heads and the step's own row.
MAX_IN_BLOCK = 90
#: The link before the first section of a chain.
NOTHING = "0" * 64
#: Not part of a link: the link itself, and the store's version.
_OUTSIDE = ("hash", "version")


def link(previous: str, row: Row) -> str:
    """Returns SHA-256 over the previous link and the canonical JSON of the entry: names sorted, no spaces, UTF-8."""
    inside = {name: value for name, value in row.items() if name not in _OUTSIDE}
    text = json.dumps(inside, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def section(latest: AuditHead | None, shard: str, now: datetime) -> AuditHead:
    """Returns the head to append to: today's, or a new one that follows the latest. Never that of an earlier day,
    whatever the local clock shows."""
    today = iso(now)[:10]
    if latest is not None and latest.day >= today:
        return latest
    return AuditHead(
        shard=shard,
        day=today,
        hash=latest.hash if latest else NOTHING,
        follows=latest.day if latest else None,
        previous=latest.hash if latest else NOTHING,
        at=now,
        expires_at=kept_until(today),
    )


def linked(head: AuditHead, waiting: Sequence[AuditLog], now: datetime) -> tuple[AuditHead, AuditBlock, list[AuditLog]]:
    """Returns the next block: the head after it, the block, and its entries with their links."""
    number, last = head.blocks + 1, head.hash
    entries: list[AuditLog] = []
    for entry in waiting:
        place = {"waiting": None, "chain": head.chain, "block": number, "expires_at": head.expires_at}
        entry = entry.model_copy(update=place)
        last = link(last, entry.to_row())
        entries.append(entry.model_copy(update={"hash": last}))
    block = AuditBlock(
        chain=head.chain,
        place=AuditBlock.place_of(number),
        number=number,
        first=head.entries + 1,
        previous=head.hash,
        entries=[Linked(log_id=entry.log_id, hash=entry.hash or "") for entry in entries],
        at=now,
        expires_at=head.expires_at,
    )
    after = head.model_copy(
        update={"blocks": number, "entries": head.entries + len(entries), "hash": last, "at": now}
    )  # fmt: skip
    return after, block, entries
