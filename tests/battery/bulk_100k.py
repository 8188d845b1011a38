"""R26 and R27: a large bulk job while workers are killed and people pause and resume it.

    python -m tests.battery.bulk_100k --recipients 100000 --kills 20 --pauses 20 --seed 1
    python -m tests.battery.bulk_100k --recipients 20000 --kills 6 --pauses 6 --cancel 0.6 --seed 1

Checks: in the carrier's ledger every planned recipient is accepted at most once; at each poll the counts add up to the total; at
the end they equal the ledger's; after a cancel only messages in flight are sent. Prints one line of JSON, and exits 1 on a violation.

Kills and pauses are spread over the progress of the job, not over time. ``--per-second`` limits the rate, so that a small job has
enough progress left for all of them on any machine; actions that a job which ended early did not reach are counted as ``not_made``.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.demo_bulk.platform import LAST, BulkStack
from deploy.smoke.client import Failed

#: Claims of killed workers are settled in seconds instead of half a minute, and lost chunks within the time of a test.
QUICK = {"WECARE_WINDOW_SCALE": "0.1", "WECARE_CLAIM_SECONDS": "10"}
#: The processes that are killed, one at a time: the bulk senders and counters, and the workers for receipts and messages.
WORKERS = ("workers", "workers-bulk")
LOOK_SECONDS = 0.25
#: The range of progress in which kills and pauses happen.
FIRST_SHARE, LAST_SHARE = 0.02, 0.85
#: A progress that no job reaches.
NEVER = 2.0
#: The maximum time without progress.
PATIENCE_SECONDS = 180.0
#: How long the counts must be stable before uncertain messages are considered final.
SETTLED_SECONDS = 15.0


@dataclass
class Ordeal:
    """One run. ``violations`` describes each failed check."""

    on: BulkStack
    count: int
    kills: int
    pauses: int
    draw: random.Random
    #: The progress at which the job is cancelled; above 1: never.
    cancel: float = NEVER
    violations: list[str] = field(default_factory=list)
    polls: int = 0
    seconds: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    not_made: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Any]:
        self.on.people(self.count)
        upload = self.on.upload(self.count)
        # Twice under one key: one job (R27).
        first, second = (self.on.create(upload, key="ordeal") for _ in range(2))
        self._hold(first == second, f"one key made two jobs: {first}, {second}")
        plan = self.on.planned(first)
        self._hold(plan["toSend"] == self.count, f"planned {plan['toSend']} of {self.count}")
        self.on.approve(first, plan["hash"])
        began = time.monotonic()
        reported = self._through(first)
        self.seconds = time.monotonic() - began
        self._compare(first, reported)
        return self._figures(reported)

    def _through(self, job: str) -> Any:
        """Poll until the end, with kills and pauses at random shares of progress."""
        trouble = self._drawn()
        reported = self._polled(job, trouble)
        self.not_made.update(what for share, what in trouble if share <= 1)
        return reported

    def _drawn(self) -> list[tuple[float, str]]:
        """Shares of progress with their actions: one random share in each of as many equal parts, so that they are spread."""
        found = [(self.cancel, "cancel")]
        for what, count in (("kill", self.kills), ("pause", self.pauses)):
            for part in range(count):
                share = (part + self.draw.random()) / count
                found.append((FIRST_SHARE + share * (LAST_SHARE - FIRST_SHARE), what))
        return sorted(found)

    def _polled(self, job: str, trouble: list[tuple[float, str]]) -> Any:
        moved, before = time.monotonic(), None
        while True:
            reported = self.on.job(job)
            counts = reported["counts"]
            self.polls += 1
            self._hold(sum(counts.values()) == reported["planned"] == self.count, f"the law does not hold: {counts}")
            ended = sum(counts[word] for word in LAST)
            if ended == self.count:
                return reported
            if counts != before:
                before, moved = counts, time.monotonic()
            if time.monotonic() - moved > SETTLED_SECONDS and self._settled(reported):
                return reported
            if time.monotonic() - moved > PATIENCE_SECONDS:
                raise Failed(f"nothing moves any more: {reported['state']}, {counts}")
            if trouble and trouble[0][0] <= self._progress(counts):
                self._make(trouble.pop(0)[1], job)
            else:
                time.sleep(LOOK_SECONDS)

    def _progress(self, counts: Any) -> float:
        """The larger of our count and the number that the carrier accepted: our count lags."""
        counted = self.count - counts["pending"] - counts["claimed"]
        return float(max(counted, self._accepted()) / self.count)

    def _settled(self, reported: Any) -> bool:
        """Wait until nothing is in flight. A message whose worker was killed between claim and call stays uncertain: bulk does not
        retry it, and no receipt will come."""
        counts = reported["counts"]
        waiting = self.on.simulator.get("/control/events/pending")
        open_ = counts["pending"] + counts["claimed"] + counts["sent"] + counts["delivered"]
        over = reported["state"] in ("finished", "cancelled")
        return over and not open_ and not waiting["pending"] and not waiting["waiting"]

    def _make(self, what: str, job: str) -> None:
        if what == "kill":
            process = self.draw.choice(WORKERS)
            self.on.stack.kill(process, signal.SIGKILL)
            self.on.stack.start(process)
        elif what == "pause":
            if self.on.job(job)["state"] != "running":
                self.not_made[what] += 1
                return
            self._pause(job)
        else:
            self._cancel(job)
        self.done[what] += 1

    def _pause(self, job: str) -> None:
        """Pause; check that nothing is accepted after five seconds; resume."""
        self.on.api.call("POST", f"/api/bulk/jobs/{job}/pause", {"why": "an ordeal"})
        time.sleep(5)
        accepted = self._accepted()
        time.sleep(1)
        late = self._accepted() - accepted
        self._hold(late == 0, f"{late} were accepted more than five seconds after a pause")
        self.on.api.call("POST", f"/api/bulk/jobs/{job}/resume")

    def _cancel(self, job: str) -> None:
        """Cancel while a worker is killed; check that nothing is accepted after five seconds."""
        self.on.api.call("POST", f"/api/bulk/jobs/{job}/cancel", {"why": "an ordeal"})
        self._make("kill", job)
        time.sleep(5)
        accepted = self._accepted()
        time.sleep(3)
        late = self._accepted() - accepted
        self._hold(late == 0, f"{late} were accepted more than five seconds after the cancel")

    def _accepted(self) -> int:
        return int(self.on.simulator.get("/control/ledger/summary")["accepted"])

    def _compare(self, job: str, reported: Any) -> None:
        """Compare our counts with the carrier's ledger."""
        summary = self.on.simulator.get("/control/ledger/summary")
        counts = reported["counts"]
        self._hold(not summary["duplicates"], f"accepted twice: {summary['duplicates']}")
        ours = sum(counts[word] for word in ("sent", "delivered", "read"))
        self._hold(summary["accepted"] == ours, f"the carrier accepted {summary['accepted']}, we count {ours}")
        # No uncertain message was accepted, or its receipt would have settled it; checked above.
        lost = self.count - ours - sum(counts[word] for word in ("failed", "skipped", "cancelled", "uncertain"))
        self._hold(lost == 0, f"{lost} were lost: {counts}")

    def _hold(self, holds: bool, what: str) -> None:
        if not holds and what not in self.violations:
            self.violations.append(what)

    def _figures(self, reported: Any) -> dict[str, Any]:
        return {
            "recipients": self.count,
            "kills": self.done["kill"],
            "pauses": self.done["pause"],
            "cancelled": bool(self.done["cancel"]),
            "not_made": dict(self.not_made),
            "polls": self.polls,
            "seconds": round(self.seconds, 1),
            "counts": {word: n for word, n in reported["counts"].items() if n},
            "memory_mib": self.on.memory(),
        }


def ordeal(
    recipients: int,
    directory: Path,
    *,
    kills: int,
    pauses: int,
    seed: int,
    cancel: float = NEVER,
    per_second: float = 1000,
) -> dict[str, Any]:
    """Run it once on a separate stack; returns the row for ``battery.json``."""
    with BulkStack(directory, per_second, env=QUICK) as on:
        one = Ordeal(on, recipients, kills, pauses, random.Random(seed), cancel)
        try:
            figure = one.run()
        except Failed as failed:
            one.violations.append(str(failed))
            figure = {"recipients": recipients}
    return {"row": "R26,R27", "runs": 1, "seeds": [seed], "violations": one.violations, "figure": figure}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.battery.bulk_100k", description=__doc__)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pauses", type=int, default=20)
    parser.add_argument("--cancel", type=float, default=NEVER, help="at this share of progress (0 to 1) cancel the job")
    parser.add_argument("--per-second", type=float, default=1000, help="what the WhatsApp number may send")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    more = {name: value for name, value in vars(chosen).items() if name != "recipients"}
    with tempfile.TemporaryDirectory(prefix="wecare-ordeal-") as folder:
        row = ordeal(chosen.recipients, Path(folder), **more)
    print(json.dumps(row))
    return 1 if row["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
