"""The ledger: every accepted message, whether or not the client received the response.

Tests compare with it: a message was accepted by a carrier exactly if it is in the ledger. With a file it survives a
restart of the simulator (append-only JSON lines, flushed per entry, so a SIGKILL loses nothing that was accepted).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

NOT_A_MESSAGE = frozenset({"mark_read"})
"""Kinds that are accepted requests but send nothing to a person; they are listed and not counted as messages."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One accepted send. `at` is in seconds since 1970, `payload` the request unchanged (JSON, blobs decoded)."""

    seq: int
    at: float
    service: str
    operation: str
    message_id: str | None
    provider_id: str
    wamid: str | None
    to: str
    sender: str
    kind: str
    payload_hash: str
    payload: Any


def payload_hash(payload: Any) -> str:
    """SHA-256 (hex) of the payload in canonical JSON: equal payloads have equal hashes."""
    canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Ledger:
    """All entries in order, indexed by our message id, by recipient and by provider id."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.entries: list[Acceptance] = []
        self.by_id: dict[str, list[Acceptance]] = defaultdict(list)
        self.by_to: dict[str, list[Acceptance]] = defaultdict(list)
        self.by_provider_id: dict[str, Acceptance] = {}
        self.next_seq = 1
        self.file: TextIO | None = None
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        if path.exists():
            for entry in read_file(path):
                self._index(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_short = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        self.file = path.open("a", encoding="utf-8")
        if cut_short:  # after a crash within a line: start a new line
            self.file.write("\n")

    def record(
        self,
        *,
        at: float,
        service: str,
        operation: str,
        message_id: str | None,
        provider_id: str,
        to: str,
        sender: str,
        kind: str,
        payload: Any,
        wamid: str | None = None,
    ) -> Acceptance:
        entry = Acceptance(
            self.next_seq, at, service, operation, message_id, provider_id, wamid, to, sender, kind,
            payload_hash(payload), payload,
        )  # fmt: skip
        if self.file is not None:
            self.file.write(json.dumps(asdict(entry), separators=(",", ":")) + "\n")
            self.file.flush()
        self._index(entry)
        return entry

    def _index(self, entry: Acceptance) -> None:
        self.entries.append(entry)
        self.next_seq = entry.seq + 1
        self.by_to[entry.to].append(entry)
        self.by_provider_id[entry.provider_id] = entry
        if entry.message_id is not None:
            self.by_id[entry.message_id].append(entry)

    def accepted(self, message_id: str | None, to: str) -> int:
        """How many times this message (or, without an id, this recipient) was accepted so far."""
        return len(self.by_id.get(message_id, ())) if message_id is not None else len(self.by_to.get(to, ()))

    def find(self, message_id: str | None, to: str | None, after: int, limit: int) -> list[Acceptance]:
        """Entries with `seq` > after, oldest first, at most `limit`."""
        pool: Iterable[Acceptance]
        if message_id is not None:
            pool = self.by_id.get(message_id, ())
        elif to is not None:
            pool = self.by_to.get(to, ())
        else:
            # seq is dense unless the file was edited, so this start is right or a little early.
            pool = self.entries[max(0, after - (self.next_seq - 1 - len(self.entries))) :]
        chosen = (e for e in pool if e.seq > after and (to is None or e.to == to))
        return [e for _, e in zip(range(limit), chosen, strict=False)]

    def summary(self) -> dict[str, Any]:
        """Counts over all messages; `duplicates` lists our ids that were accepted more than once."""
        messages = [e for e in self.entries if e.kind not in NOT_A_MESSAGE]
        by_id = Counter(e.message_id for e in messages if e.message_id is not None)
        return {
            "accepted": len(messages),
            "distinctIds": len(by_id),
            "withoutId": sum(e.message_id is None for e in messages),
            "duplicates": [{"messageId": k, "accepted": n} for k, n in sorted(by_id.items()) if n > 1],
            "byService": dict(Counter(e.service for e in messages)),
            "byKind": dict(Counter(e.kind for e in self.entries)),
        }

    def clear(self) -> None:
        """Delete all entries, also in the file. Sequence numbers continue, so `after` cursors stay valid."""
        for index in (self.entries, self.by_id, self.by_to, self.by_provider_id):
            index.clear()
        if self.file is not None:
            self.file.truncate(0)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def read_file(path: Path) -> Iterator[Acceptance]:
    """Entries of a ledger file; an incomplete last line is skipped, and so are unknown members."""
    known = {f.name for f in fields(Acceptance)}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield Acceptance(**{k: v for k, v in json.loads(line).items() if k in known})
            except (ValueError, TypeError):
                continue
