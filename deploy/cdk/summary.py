"""Prints the number of resources by type and stack."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: CloudFormation refuses a stack with more.
MAX_RESOURCES = 500


def templates(out: Path) -> dict[str, dict[str, Any]]:
    """Stack -> its template."""
    return {
        path.name.removesuffix(".template.json"): json.loads(path.read_text()) for path in out.glob("*.template.json")
    }


def lines(out: Path) -> Iterator[str]:
    found = templates(out)
    every: Counter[str] = Counter()
    for stack, template in sorted(found.items()):
        kinds = Counter(resource["Type"] for resource in template.get("Resources", {}).values())
        every += kinds
        yield f"{stack}: {kinds.total()} resources of at most {MAX_RESOURCES}"
        for kind, number in sorted(kinds.items()):
            yield f"  {number:4}  {kind}"
    yield f"{len(found)} stacks, {every.total()} resources, in {out}"
