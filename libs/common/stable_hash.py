"""Stable hashing: a name always gives the same shard or number, in any process and any rerun."""

from __future__ import annotations

from zlib import crc32


def shard_for(name: str, shards: int) -> int:
    """The shard (from 0) of a name."""
    return crc32(name.encode()) % shards


def jitter_for(name: str) -> float:
    """A deterministic number in [0, 1) for a name."""
    return crc32(name.encode()) / 2**32
