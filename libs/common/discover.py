"""Which services there are: every ``service.py`` under ``services/``, found by looking."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from libs.common.service import Service

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
