"""``pytest --samples``: a table of every recorded sample of a provider and what was held about it; the run fails if there is one
that no passing test has handled.

What a sample became in our own words stands beside it (``expected.json``); the tests of the inbound cases print that with ``-s``.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "tests/*/samples", "tests/services/*/samples",
    "services/inbound/channels/cases/*", "services/outbound/channels/*/cases/*", "services/media/cases",
)  # fmt: skip
SAMPLES = {
    str(path): path.stem
    for folder in FOLDERS
    for path in ROOT.glob(f"{folder}/*.json")
    if path.name not in ("expected.json", "package.json")
}


class Samples:
    """Notes which test opened which sample, or bears its name, and which tests passed."""

    def __init__(self) -> None:
        self.read: dict[str, set[str]] = defaultdict(set)
        self.passed: set[str] = set()
        sys.addaudithook(self._opened)

    def _opened(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str | Path):
            sample = SAMPLES.get(os.path.abspath(args[0]))
            test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
            if sample and test:
                self.read[sample].add(test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def handled(self) -> dict[str, list[str]]:
        """By sample, what was held about it, in the words of the tests' names."""
        names = {test: test.partition("[")[2].removesuffix("]").removesuffix(".json") for test in self.passed}
        found: dict[str, set[str]] = {sample: set() for sample in SAMPLES.values()}
        for test, name in names.items():
            if name in found:
                found[name].add(_sentence(test))
        for sample, tests in self.read.items():
            found[sample] |= {_sentence(test) for test in tests & self.passed}
        return {sample: sorted(said) for sample, said in sorted(found.items())}

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        table = self.handled()
        terminalreporter.section(f"{len(table)} samples of providers")
        for sample, said in table.items():
            terminalreporter.write_line(f"{sample:75} {'; '.join(said[:2]) or 'NOT HANDLED'}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == 0 and not all(self.handled().values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _sentence(test: str) -> str:
    return test.partition("[")[0].rpartition("::")[2].removeprefix("test_").replace("_", " ")
