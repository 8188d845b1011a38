"""Rules of the house that an import linter cannot see: one module each for time, ids, settings, logs; nothing connects at import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for top in ("services", "libs/common", "libs/messaging") for p in (ROOT / top).rglob("*.py"))
#: call -> the one module that may make it.
ALLOWED_IN = {
    "datetime.now": {"libs/common/clock.py"},
    "datetime.utcnow": set(),
    "time.time": {"libs/common/clock.py"},
    "time.monotonic": {"libs/common/clock.py"},
    "time.sleep": set(),
    "uuid.uuid4": {"libs/common/clock.py"},
    "os.getenv": {"libs/common/settings.py"},
    "print": {"libs/common/hosts/run.py"},
    "asyncio.run": {"libs/common/hosts/run.py", "libs/common/hosts/worker_process.py"},
}


def _calls(tree: ast.AST) -> list[tuple[str, int]]:
    return [(ast.unparse(node.func), node.lineno) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("call", ALLOWED_IN)
def test_there_is_one_door(call: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        for name, line in _calls(ast.parse(path.read_text()))
        if name == call and str(path.relative_to(ROOT)) not in ALLOWED_IN[call]
    ]
    assert found == []


def test_the_environment_is_read_in_one_place() -> None:
    allowed = {"libs/common/settings.py", "libs/common/hosts/lambda_.py"}
    found = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if "os.environ" in path.read_text() and str(path.relative_to(ROOT)) not in allowed
    ]
    assert found == []


def test_nothing_in_the_services_asks_whether_it_is_local() -> None:
    words = ("localstack", "ministack", "is_local", "if local")
    found = [
        f"{path.relative_to(ROOT)}: {word}" for path in SOURCES for word in words if word in path.read_text().lower()
    ]
    assert found == []


def test_every_service_has_the_same_rooms() -> None:
    folders = [path.parent for path in (ROOT / "services").rglob("service.py")]
    assert folders
    missing = [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "README.md").exists()]
    assert missing == []


#: module -> the modules of the same service that may import it. Domain modules are libraries; these are not. The ``__init__`` of
#: a translator declares it.
IMPORTED_BY = {
    "http": {"service", "__init__"},
    "handlers": {"service", "channel_service", "__init__"},
    "requests": {"service", "http"},
    "queries": {"service", "http"},
}


def _imported(tree: ast.AST) -> set[str]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return {name for node in nodes for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names))}


def test_what_serves_and_hears_is_no_library() -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "services").rglob("*.py")
        for name in sorted(_imported(ast.parse(path.read_text())))
        if name.startswith("services.") and path.stem not in IMPORTED_BY.get(name.rpartition(".")[2], {path.stem})
    ]
    assert found == []


def test_modules_stay_small() -> None:
    """About 200 lines; a little slack for tables."""
    big = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 300}
    assert big == {}
