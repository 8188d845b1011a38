from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.services.audit.kit import Record


@pytest.fixture
async def record() -> AsyncIterator[Record]:
    made = Record()
    async with made.world:
        yield made
