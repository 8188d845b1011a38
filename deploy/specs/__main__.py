"""Write the generated documents, or with ``--check`` list those that are not current (exit 1)."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deploy.containers import compose
from deploy.specs import asyncapi, tables
from libs.common.declare.discover import ROOT, discover
from libs.common.declare.service import Service

PREFIX = "wecare-stage"
SCHEMAS = ROOT / "libs/messaging/events/schemas"


def openapi(services: Sequence[Service]) -> dict[str, Any]:
    """The OpenAPI document of all routes; no store, bus or network is needed for it."""
    from libs.common.hosts.http.api import create_app

    nothing: Any = None
    document: dict[str, Any] = create_app(nothing, services, nothing).openapi()
    return document


def rendered(services: Sequence[Service]) -> Iterator[tuple[Path, str]]:
    """Every generated file and its content."""
    generated = ROOT / "docs/generated"
    yield generated / "asyncapi.json", _json(asyncapi.document(services, PREFIX))
    yield generated / "openapi.json", _json(openapi(services))
    yield generated / "topology.md", tables.of_platform(services)
    yield generated / "actions.md", tables.of_actions(services)
    yield generated / "settings.md", tables.of_settings()
    yield compose.FILE, compose.rendered(services)
    for service in services:
        readme = _folder(service) / "README.md"
        hand, _, _ = readme.read_text().partition(tables.BEGIN)
        yield readme, f"{hand.rstrip()}\n\n{tables.BEGIN}\n\n{tables.of_service(service)}\n\n{tables.END}\n"


def schemas(services: Sequence[Service]) -> Iterator[tuple[Path, str]]:
    """The frozen schema of each event. A new one is written; an existing one is a contract. It is changed by hand only,
    and only by additions (checked by the contract test)."""
    for event in sorted({event for service in services for event in service.facts()}, key=lambda e: e.TYPE):
        yield SCHEMAS / f"{event.TYPE}.json", _json(asyncapi.schema(event))


def _folder(service: Service) -> Path:
    for file in ROOT.glob("services/**/service.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if getattr(sys.modules.get(module), "service", None) is service:
            return file.parent
    raise LookupError(service.name)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.specs", description=inspect.getdoc(asyncapi))
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is not current")
    check = parser.parse_args().check
    services = discover()
    stale = [(path, text) for path, text in rendered(services) if not path.exists() or path.read_text() != text]
    stale += [(path, text) for path, text in schemas(services) if not path.exists()]
    for path, text in stale:
        print(f"{'not current' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
