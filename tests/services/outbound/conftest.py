"""What the tests of senders share: a carrier, and no log lines."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A carrier on a free port, of which the window of everybody is open."""
    async with Simulator(SimulatorSettings(seed="1", grace_s=0)) as running:
        running.core.behaviour.patch({"always_open_window": True, "delay_ms": 0})
        yield running
