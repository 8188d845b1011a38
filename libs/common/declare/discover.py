"""Discovers the services: every ``service.py`` below ``services/``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from libs.common.declare.names import Names
from libs.common.declare.service import Service
from libs.common.declare.topology import QueueSpec, dead_letter_queues, queues_of

ROOT = Path(__file__).resolve().parents[3]


def discover(names: Sequence[str] = ()) -> list[Service]:
    """The named services, or all. Raises SystemExit for an unknown name."""
    found: dict[str, Service] = {}
    for file in sorted(ROOT.glob("services/**/service.py")):
        module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
        found[module.service.name] = module.service
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SystemExit(f"no service {', '.join(unknown)}; there are: {', '.join(sorted(found))}")
    return [found[name] for name in names or sorted(found)]


@dataclass(frozen=True)
class Share:
    """The queues of its services that a process consumes, by patterns (``*-bulk``) of their names without prefix: ``only`` those
    (all, if empty), none of ``but``. So a lane of one service can have processes of its own."""

    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        return (not self.only or _matches(name, self.only)) and not _matches(name, self.but)


ALL = Share()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def consumed(services: Sequence[Service], prefix: str, share: Share = ALL) -> list[QueueSpec]:
    """The queues that a process working for its share of ``services`` consumes; dead letters are those of every service there
    is. Raises SystemExit for a pattern that is no queue's."""
    names = Names(prefix)
    own = [spec for service in services for spec in queues_of(names, service)]
    hears_dead_letters = any(service.hears_dead_letters for service in services)
    dead_letters = dead_letter_queues(names, discover()) if hears_dead_letters else ()
    specs = {spec.name.removeprefix(f"{prefix}-"): spec for spec in [*own, *dead_letters]}
    unknown = [pattern for pattern in (*share.only, *share.but) if not any(_matches(name, [pattern]) for name in specs)]
    if unknown:
        known = sorted(name for name, spec in specs.items() if not spec.source_queue)
        raise SystemExit(f"no queue is called {', '.join(unknown)}; there are: {', '.join(known)}")
    return [spec for name, spec in specs.items() if share.has(name)]
