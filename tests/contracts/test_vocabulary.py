"""Rejected words do not come back as identifiers or file names, and constants say MAX, MIN or DEFAULT (docs/GLOSSARY.md)."""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("libs", "services", "deploy", "bench", "tests")
SOURCES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py") if "node_modules" not in path.parts)

#: Whole identifiers that have a plain name now.
REJECTED = {
    "bury", "Bury", "Hide", "Renew", "grave", "graves", "Letter", "LetterAlarm", "hears_letters", "letter_queues", "letters_of",
    "Room", "Brake", "braked", "Breaker", "luck", "luck_of", "_draw", "drawn_id", "Visit", "Pass", "PutOff", "Standing", "Wish", "wish",
    "Recent", "_Desk", "desk", "hurry", "told", "_told", "_tell", "said_again", "mark_of", "with_mark", "word_of",
}  # fmt: skip
#: Parts of identifiers (between underscores, or words of CamelCase) that are rejected wherever they stand.
REJECTED_PARTS = {
    "grave",
    "graves",
    "bury",
    "buried",
    "brake",
    "braked",
    "luck",
    "unsure",
    "wish",
    "wishes",
    "stripe",
    "stripes",
    "door",
    "doors",
}
#: Names that are contracts: fields on the wire or in a table, names of events, schedules and metrics, words of the command line.
CONTRACTS = {
    "brake", "brake_base", "stripe", "StandingTold", "told", "SettingTold", "tell", "tell_standing", "wish",
}  # fmt: skip
REJECTED_FILES = {
    "graves", "letters", "room", "brake", "brakes", "recent", "spread", "words", "marks", "told", "unsure", "doors", "door", "story", "wishes",
    "fates", "mishaps", "gone", "sums",
}  # fmt: skip
OLD_CONSTANT = re.compile(
    r"_?(LONGEST|MOST|LARGEST|HEAVIEST|FEWEST|SHORTEST)(_|$)|_?(KEPT|AT_ONCE)$|.*_(KEPT|AT_ONCE)$"
)
UNITS = (
    "SECONDS",
    "MINUTES",
    "HOURS",
    "DAYS",
    "BYTES",
    "MB",
    "KB",
    "MS",
    "PERCENT",
    "SHARE",
    "LENGTH",
    "DEPTH",
    "FACTOR",
)


def _names(path: Path) -> Iterator[tuple[str, int]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            yield token.string, token.start[0]


def _parts(name: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)}


def _constants(path: Path) -> Iterator[tuple[str, ast.expr, int]]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                pairs = (
                    zip(target.elts, node.value.elts, strict=True)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [(target, node.value)]
                )
                for name, value in pairs:
                    if isinstance(name, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name.id):
                        yield name.id, value, node.lineno


@pytest.mark.parametrize("top", TOPS)
def test_rejected_words_are_no_identifiers(top: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == top and path != Path(__file__)
        for name, line in _names(path)
        if name not in CONTRACTS
        and (name in REJECTED or _parts(name) & REJECTED_PARTS)
        and not name.startswith("test_")
    }
    assert sorted(found) == []


def test_no_file_has_a_rejected_name() -> None:
    found = [str(path.relative_to(ROOT)) for path in SOURCES if path.stem.removeprefix("test_") in REJECTED_FILES]
    assert found == []


def test_limits_are_called_max_min_or_default() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] in ("libs", "services", "deploy")
        for name, _, line in _constants(path)
        if OLD_CONSTANT.match(name)
    ]
    assert found == []


def test_a_number_of_seconds_or_bytes_has_its_unit_in_its_name() -> None:
    """``MAX_WAIT = 30`` says neither seconds nor tries. A timedelta has its unit; a count is named after what is counted."""
    times = {"WAIT", "PAUSE", "DELAY", "TIMEOUT", "BACKOFF", "LINGER", "TTL", "INTERVAL", "AGE"}
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] in ("libs", "services", "deploy")
        for name, value, line in _constants(path)
        if isinstance(value, ast.Constant)
        and type(value.value) in (int, float)
        and name.strip("_").split("_")[-1] in times
        and not name.endswith(UNITS)
    ]
    assert found == []
