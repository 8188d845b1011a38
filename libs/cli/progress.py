"""Progress of a replay job."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from libs.cli.api import Api
from libs.cli.show import errors, say

POLL_SECONDS = 0.5
RESTING = ("done", "cancelled", "paused")


def follow(api: Api, job: dict[str, Any], quiet: bool = False) -> dict[str, Any]:
    """Poll until the job is done, cancelled or paused, and return it. Ctrl-C stops polling, not the job."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    path = f"/api/dlq/jobs/{job['jobId']}"
    with Progress(*columns, console=errors, disable=quiet) as bar:
        task = bar.add_task(job["state"], total=job["total"], note="")
        try:
            while True:
                bar.update(task, completed=job["position"], description=job["state"], note=_note(job))
                if job["state"] in RESTING:
                    return job
                time.sleep(POLL_SECONDS)
                job = api.get(path)
        except KeyboardInterrupt:
            bar.stop()
            say(f"The job continues: wecare dlq watch {job['jobId']}, or wecare dlq pause {job['jobId']}", "yellow")
            return job


def _note(job: dict[str, Any]) -> str:
    rate = job.get("actualRate")
    return f"{rate:g}/s of {job['rate']:g}/s" if rate else f"{job['rate']:g}/s"


def tell(job: dict[str, Any]) -> None:
    """Print the result of the job."""
    skipped = f", {job['skipped']} skipped, because they were decided elsewhere" if job["skipped"] else ""
    say(f"Job {job['jobId']} is {job['state']}: {job['sent']} of {job['total']} sent{skipped}.")
    hints = {
        "running": f"Follow it: wecare dlq watch {job['jobId']}",
        "paused": f"Resume it: wecare dlq resume {job['jobId']}",
        "done": "An event that fails again is added to the same dead letter: wecare dlq ls",
    }
    if job["state"] in hints:
        say(hints[job["state"]], "dim")
