"""The short form of R26 and R27; ``python -m tests.battery.bulk_100k`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.battery.bulk_100k import ordeal


@pytest.mark.timeout(600)
def test_a_job_survives_killed_workers_and_pauses_without_losing_or_doubling_anybody(tmp_path: Path) -> None:
    row = ordeal(recipients=1000, kills=3, pauses=1, seed=7, directory=tmp_path)
    assert row["violations"] == []
    assert row["figure"]["kills"] == 3
