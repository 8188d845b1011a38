"""The event-level integration tests: real processes, a real AWS emulator, the carrier simulator, over HTTP.

One suite, whatever plays AWS: the embedded emulator by default, LocalStack in ``make test-localstack``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from deploy.local.stack import Stack
from deploy.smoke.platform import Platform

KINDS = ["embedded", pytest.param("localstack-host", marks=pytest.mark.localstack)]
#: Claims and windows are shortened, so that what is uncertain is settled within a test's patience.
QUICK = {"WECARE_WINDOW_SCALE": "0.05"}
#: Set once a test has failed: processes may be down, records on their way, faults set.
SOILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session", params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp(request.param), aws=request.param, env=QUICK) as stack:
        yield stack


@pytest.fixture
def on(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The platform, with calm carriers and every process running: after a test that failed, a new one."""
    if request.config.stash.get(SOILED, False):
        request.config.stash[SOILED] = False
        stack.down()
        stack.up()
    with Platform(stack) as platform:
        platform.simulator.call("PUT", "/control/behaviour", {})
        platform.simulator.call("DELETE", "/control/faults")
        yield platform


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what the processes complained about, and leaves its stack to nobody."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack is not None:
        item.config.stash[SOILED] = True
        for name in stack.rows:
            text = "\n".join([f"now: {stack.problem(name) or 'well'}", *_complaints(stack, name)])
            report.sections.append((f"{name}: its last complaints", text))
    return report


def _complaints(stack: Stack, name: str) -> list[str]:
    log = stack.directory / "logs" / f"{name}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [
        line[:1000]
        for line in lines
        if any(word in line.lower() for word in ("error", "warning")) and "counted" not in line
    ][-12:]


#: Of the numbers that belong to nobody those without a special fate at the simulated carriers.
_NUMBERS = [f"+1{area}5550{n}" for area in (202, 206, 212) for n in range(120, 180)]  # not those of the README
_unused: dict[Stack, Iterator[str]] = {}


@pytest.fixture
def phone(stack: Stack) -> str:
    """A number that no other test on this stack uses."""
    return next(_unused.setdefault(stack, iter(_NUMBERS)))
