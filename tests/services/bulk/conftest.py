from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.services.bulk.kit import Platform, platform


@pytest.fixture
async def on(emulator: dict[str, str]) -> AsyncIterator[Platform]:
    """Everything in memory but the files; every event arrives twice."""
    made = await platform(emulator)
    async with made.world:
        yield made
