"""The short form of R26 and R27; ``python -m tests.battery.bulk_100k`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.battery.bulk_100k import ordeal

RECIPIENTS = 1000
#: Slow enough for each kill to happen during the job: ten seconds of sending between two kills on any machine.
PER_SECOND = 30


@pytest.mark.timeout(600)
def test_a_job_survives_killed_workers_and_pauses_without_losing_or_doubling_anybody(tmp_path: Path) -> None:
    row = ordeal(RECIPIENTS, tmp_path, kills=3, pauses=1, seed=7, per_second=PER_SECOND)
    assert row["violations"] == []
    figure = row["figure"]
    # Kills that a job which ended early did not reach are reported and no failure; but at least one kill is required.
    assert figure["kills"] + figure["not_made"].get("kill", 0) == 3
    assert figure["kills"] >= 1
