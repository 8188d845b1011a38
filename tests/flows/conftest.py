"""The event-level integration tests: real processes, a real AWS emulator, the carrier simulator, over HTTP.

One suite, whatever plays AWS: the embedded emulator by default, LocalStack in ``make test-localstack``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from deploy.smoke.platform import Platform

KINDS = ["embedded", pytest.param("localstack-host", marks=pytest.mark.localstack)]
#: Claims and windows are shortened, so that what is uncertain is settled within a test's patience.
QUICK = {"WECARE_WINDOW_SCALE": "0.05"}


@pytest.fixture(scope="session", params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp(request.param), aws=request.param, env=QUICK) as stack:
        yield stack


@pytest.fixture
def on(stack: Stack) -> Iterator[Platform]:
    """The platform, with calm carriers and every process running."""
    with Platform(stack) as platform:
        platform.simulator.call("PUT", "/control/behaviour", {})
        platform.simulator.call("DELETE", "/control/faults")
        yield platform


#: Of the numbers that belong to nobody those without a special fate at the simulated carriers.
_NUMBERS = [f"+1{area}5550{n}" for area in (202, 206, 212) for n in range(110, 180)]
_unused: dict[Stack, Iterator[str]] = {}


@pytest.fixture
def phone(stack: Stack) -> str:
    """A number that no other test on this stack uses."""
    return next(_unused.setdefault(stack, iter(_NUMBERS)))
