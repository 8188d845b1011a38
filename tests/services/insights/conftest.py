from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.common.testing.world import World
from services.insights import counts
from services.insights.service import service
from tests.services.insights.kit import Insights


@pytest.fixture
async def insights(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Insights]:
    # Everything comes by itself here, and would wait for company each time.
    monkeypatch.setattr(counts, "JOB_LINGER_SECONDS", 0.002)
    monkeypatch.setattr(counts, "LINGER_SECONDS", 0.001)
    async with World([service]) as world:
        yield Insights(world)
