"""Documents name only what exists: repository paths, links and their headings, ``make`` targets and Python modules."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("bench", "deploy", "docs", "libs", "requirements", "services", "tests")
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(each for top in TOPS for each in (ROOT / top).rglob("*.md")))
    if "node_modules" not in path.parts
)
#: A path from the root of the repository, in back ticks; a path with a placeholder (``<name>``, ``…``) does not match.
PATH = re.compile(rf"`((?:{'|'.join(TOPS)}|\.ci)/[\w./*-]*)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
TARGET = re.compile(r"\bmake ((?:-s )?[a-z][a-z-]*)")
MODULE = re.compile(r"python -m ([a-z_][\w.]*)")
#: A file name alone: a module of this repository; in a service's README, of that service.
FILE = re.compile(r"`([a-z_]+\.py)`")
FILES = {path.name for top in TOPS for path in (ROOT / top).rglob("*.py")}
#: The channel that docs/ADDING_A_CHANNEL.md adds as an example.
EXAMPLE = "pager"


def _code(text: str) -> str:
    """The text in back ticks and in fenced blocks: prose may say "make sure"."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return "\n".join([*fenced, *inline])


def _anchors(path: Path) -> set[str]:
    """The ids that GitHub gives to the headings of a document."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def _exists(named: str) -> bool:
    return any(ROOT.glob(named)) if "*" in named else (ROOT / named).exists()


def _files(document: Path) -> set[str]:
    """The modules that a document may name without their folder."""
    parts = document.relative_to(ROOT).parts
    return {path.name for path in document.parent.rglob("*.py")} if parts[0] == "services" else FILES


def _targets() -> set[str]:
    rules = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_only_what_exists(document: Path) -> None:
    text = document.read_text()
    code = _code(text)
    wrong = [f"path {named}" for named in PATH.findall(text) if EXAMPLE not in named and not _exists(named)]
    wrong += [f"file {name}" for name in FILE.findall(text) if name not in _files(document)]
    for link in LINK.findall(text):
        file, _, anchor = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        if link.startswith(("https://", "http://")):
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            wrong.append(f"link {link}")
    targets = _targets()
    wrong += [f"make {name}" for name in TARGET.findall(code) if name.removeprefix("-s ") not in targets]
    wrong += [
        f"module {name}"
        for name in MODULE.findall(code)
        if not (ROOT / name.replace(".", "/")).exists() and find_spec(name) is None
    ]
    assert wrong == []
