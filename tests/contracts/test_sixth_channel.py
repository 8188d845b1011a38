"""A sixth channel costs one folder, one file and one row, and nothing else is touched: shown on a copy of the tree.

The toy channel writes to pagers, which are known by the provider's ids: no phone numbers, no e-mail addresses. Its sources are
in ``sixth_channel/``, laid out as in the tree; ``docs/ADDING_A_CHANNEL.md`` is this test in prose.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).parent / "sixth_channel"
#: The row of the channel goes here.
TRAITS = "libs/messaging/channels.py"
#: What a channel consists of besides its row.
PARTS = {
    "services/outbound/channels/pager",
    "services/inbound/channels/pager.py",
    "services/inbound/channels/cases/pager",
}


def _copy(to: Path) -> None:
    """What git knows or would know, without the dashboard."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in listed.split("\0"):
        if name and not name.startswith("dashboard/") and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def _add_row(tree: Path) -> None:
    """The row of ``row.txt`` goes below the last member of ``Channel``."""
    file = tree / TRAITS
    lines = file.read_text().splitlines(keepends=True)
    row = (TOY / "row.txt").read_text()
    begin = next(n for n, line in enumerate(lines) if line.startswith("class Channel("))
    rcs = next(n for n, line in enumerate(lines) if n > begin and line.lstrip().startswith("RCS ="))
    rest = range(rcs + 1, len(lines))
    end = next((n for n in rest if not lines[n].startswith("    ") or lines[n][4].isalpha()), len(lines))
    file.write_text("".join([*lines[:end], row, *lines[end:]]))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with one more channel."""
    to = tmp_path_factory.mktemp("tree")
    _copy(to)
    shutil.copytree(TOY, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("row.txt", "__pycache__"))
    _add_row(to)
    return to


@pytest.fixture(scope="module")
def documented(tree: Path) -> Path:
    """The same, with its documents written."""
    run(tree, "-m", "deploy.specs")
    return tree


def run(tree: Path, *arguments: str, fails: bool = False) -> str:
    """This interpreter in the copy, which is all that it can import of ours."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) is fails, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def pytest_in(tree: Path, *arguments: str) -> str:
    return run(tree, "-m", "pytest", "-q", "-x", *arguments)


LINT = ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")


def test_the_toy_is_one_folder_one_file_and_one_row() -> None:
    parts = {
        str(file.relative_to(TOY)) for file in TOY.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    shipped = {name for name in parts if name.startswith(("services/", "libs/", "deploy/"))}
    assert {name for name in shipped if not any(name.startswith(part) for part in PARTS)} == set()


def test_the_walls_hold(tree: Path) -> None:
    assert "0 broken" in run(tree, *LINT, "--no-cache")


def test_the_walls_keep_the_new_channel_apart(tree: Path) -> None:
    others = {
        "services/outbound/channels/pager/codes.py": "services.outbound.channels.sms.channel",
        "services/inbound/channels/pager.py": "services.inbound.channels.sms_voice.reports",
    }
    before = {file: (tree / file).read_text() for file in others}
    try:
        for file, other in others.items():
            (tree / file).write_text(f"{before[file]}\nimport {other}\n")
        broken = run(tree, *LINT, "--no-cache", fails=True)
    finally:
        for file, text in before.items():
            (tree / file).write_text(text)
    assert "Senders never import each other BROKEN" in broken
    assert "Translators never import each other BROKEN" in broken


def test_the_contracts_hold(documented: Path) -> None:
    pytest_in(documented, "tests/contracts", "--ignore=tests/contracts/test_sixth_channel.py")


def test_it_passes_the_exam(documented: Path) -> None:
    passed = pytest_in(documented, "tests/channels", "-k", "pager", "-rA")
    for name in ("test_case[pager: a short page]", "test_fault[pager by Pager: hang]", "test_fault[pager by Pager: no_token]",
                 "test_has_cases[pager]", "lost_is_one_acceptance[pager by Pager-half_body]", "beside_it[pager.report.shown]"):  # fmt: skip
        assert name in passed


def test_the_documents_know_it(documented: Path) -> None:
    topology = (documented / "docs/generated/topology.md").read_text()
    for name in ("outbound-pager-otp", "outbound-pager-bulk", "inbound-feed-pager", "outbound-pager-delivery"):
        assert f"`wecare-<stage>-{name}`" in topology
    assert '"pager"' in json.dumps(json.loads((documented / "docs/generated/openapi.json").read_text()))
    run(documented, "-m", "deploy.specs", "--check")


def test_one_message_in_one_out_and_one_bulk_job(documented: Path) -> None:
    pytest_in(documented, "tests/flow_of_pager.py")
