"""Which services there are: every ``service.py`` under ``services/``, found by looking."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from libs.common.service import Service
from libs.common.topology import Names, QueueSpec, letter_queues, queues_of

ROOT = Path(__file__).resolve().parents[2]


def discover(names: Sequence[str] = ()) -> list[Service]:
    """The named services, or all. Raises SystemExit for a name that is none."""
    found: dict[str, Service] = {}
    for file in sorted([*ROOT.glob("services/*/service.py"), *ROOT.glob("services/outbound/*/service.py")]):
        module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
        found[module.service.name] = module.service
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SystemExit(f"no service {', '.join(unknown)}; there are: {', '.join(sorted(found))}")
    return [found[name] for name in names or sorted(found)]


def consumed(services: Sequence[Service], prefix: str) -> list[QueueSpec]:
    """The queues that a process working for ``services`` consumes; dead letters are those of every service there is."""
    names = Names(prefix)
    own = [spec for service in services for spec in queues_of(names, service)]
    hears_letters = any(service.hears_letters for service in services)
    return [*own, *(letter_queues(names, discover()) if hears_letters else ())]
