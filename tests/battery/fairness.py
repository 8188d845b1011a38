"""R22 and B8: one-time passwords and a small job are not delayed by a large job.

    python -m tests.battery.fairness --recipients 20000 --codes 60

One-time passwords are sent through the API by a sender that a large job uses at the same time. Measures the time of each from
the request to the carrier's ledger, and the time of a job of ten, alone and beside the large one. Prints one line of JSON, and
exits 1 on a violation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.demo_bulk import recipients as people
from deploy.demo_bulk.platform import BulkStack
from deploy.smoke.client import Failed, until

CODE = {"kind": "template", "name": "otp_code", "language": "en_US", "variables": {"1": "123456"}}
#: 99th percentile from the accepted request to the acceptance by the carrier (s).
CODE_SECONDS = 2.0
#: Maximum factor of the time of a job of ten beside a large one, relative to alone.
TIMES_ALONE = 2.0
SMALL = 10
#: Pause between two one-time passwords (s).
EVERY_SECONDS = 0.5


@dataclass
class Fairness:
    """One run. ``violations`` describes each failed check."""

    on: BulkStack
    count: int
    codes: int
    violations: list[str] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        # The large job's recipients come first; one-time passwords and small jobs use separate recipients.
        self.on.people(self.count + self.codes + 2 * SMALL)
        first = self.count + self.codes
        alone = self._small(first)
        large = self._started(self.on.upload(self.count))
        until("the large job to be under way", lambda: self.on.job(large)["counts"]["read"] > self.count / 50)
        code_seconds = sorted(self._code(self.count + n) for n in range(self.codes))
        beside = self._small(first + SMALL)
        counts = self.on.job(large)["counts"]
        waiting = counts["pending"] + counts["claimed"]
        p99 = code_seconds[min(len(code_seconds) - 1, int(len(code_seconds) * 0.99))]
        self._hold(waiting > 0, "the large job was over before the others were; ask for more recipients")
        self._hold(p99 <= CODE_SECONDS, f"codes took {p99:.2f} s")
        self._hold(beside <= TIMES_ALONE * alone, f"the small job took {beside:.2f} s instead of {alone:.2f} s")
        return {
            "recipients": self.count, "still_waiting": waiting, "codes": self.codes,
            "code_median_s": round(statistics.median(code_seconds), 3), "code_p99_s": round(p99, 3),
            "small_job_alone_s": round(alone, 2), "small_job_beside_s": round(beside, 2),
        }  # fmt: skip

    def _code(self, n: int) -> float:
        """Seconds until the carrier has accepted a one-time password for the ``n``-th person."""
        time.sleep(EVERY_SECONDS)
        began = time.monotonic()
        asked = {"contactId": people.contact_id(n), "channel": "whatsapp", "content": CODE, "messageClass": "otp"}
        message = self.on.api.call("POST", "/api/messages", asked, expect=202)["messageId"]
        until("a code to be accepted", lambda: self._accepted(people.phone(n)), 60)
        assert message
        return time.monotonic() - began

    def _small(self, first: int) -> float:
        """Seconds until a job to ten people from the ``first`` on has been accepted by the carrier."""
        numbers = [people.phone(n) for n in range(first, first + SMALL)]
        lines = ["Phone,First name,Order", *(f"{number},Person,A-1" for number in numbers)]
        upload = self.on.upload_text("\n".join(lines))
        began = time.monotonic()
        self.on.create(upload)
        until("the small job to be accepted", lambda: all(map(self._accepted, numbers)), 300)
        return time.monotonic() - began

    def _started(self, upload: str) -> str:
        job = self.on.create(upload)
        self.on.approve(job, self.on.planned(job)["hash"])
        return job

    def _accepted(self, number: str) -> bool:
        return bool(self.on.simulator.get("/control/ledger", to=number)["entries"])

    def _hold(self, holds: bool, what: str) -> None:
        if not holds:
            self.violations.append(what)


def fairness(recipients: int, codes: int, directory: Path) -> dict[str, Any]:
    """Run it once on a separate stack; returns the row for ``battery.json``."""
    with BulkStack(directory) as on:
        one = Fairness(on, recipients, codes)
        try:
            figure = one.run()
        except Failed as failed:
            one.violations.append(str(failed))
            figure = {"recipients": recipients}
    return {"row": "R22,B8", "runs": 1, "seeds": [], "violations": one.violations, "figure": figure}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.battery.fairness", description=__doc__)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--codes", type=int, default=60)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wecare-fairness-") as folder:
        row = fairness(chosen.recipients, chosen.codes, Path(folder))
    print(json.dumps(row))
    return 1 if row["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
