"""Spreading things evenly by their names: the same name always falls in the same place, in any process and any rerun."""

from __future__ import annotations

from zlib import crc32


def shard_for(name: str, shards: int) -> int:
    """Which of so many shards (from 0) a name belongs to."""
    return crc32(name.encode()) % shards


def jitter_for(name: str) -> float:
    """A number in [0, 1) for a name; derived from the name, so that a rerun gives the same number."""
    return crc32(name.encode()) / 2**32
