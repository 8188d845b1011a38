"""R1 for single messages: their sender is killed again and again while they go out one by one.

    python -m tests.battery.kills --messages 900 --kills 16 --seed 1

Before each kill the process is frozen until the carrier has taken what was on the wire. What the process has claimed by then
is counted: ``on_wire`` is what the carrier accepted of it, ``not_sent`` what it never saw, which a kill makes uncertain
without need. At the end nothing is lost, and nobody was written to more often than once and once for each resend on record.
Prints one line of JSON for the battery, and exits 1 if anything did not hold.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from deploy.demo_bulk import recipients as people
from deploy.demo_bulk.platform import PREFIX, BulkStack
from deploy.smoke.client import Failed, until
from deploy.smoke.platform import TEMPLATE
from libs.common.declare.names import Names
from libs.messaging.vocabulary import Status
from services.outbound.ledger.model import Delivery

#: Claims of a killed worker are settled in seconds instead of half a minute.
QUICK = {"WECARE_WINDOW_SCALE": "0.1", "WECARE_CLAIM_SECONDS": "10"}
SENDER = "workers"
#: The carrier answers as late as AWS does; the call is on the wire meanwhile (ms).
LATENCY_MS = [150, 250]
#: What was on the wire when the process was frozen has reached the carrier by then.
SETTLE_SECONDS = 0.5
CLIENTS = 8
ENDED = frozenset({Status.SENT, Status.FAILED, Status.UNKNOWN})


@dataclass
class Kills:
    """One run. ``violations`` says in words what did not hold."""

    on: BulkStack
    count: int
    kills: int
    draw: random.Random
    violations: list[str] = field(default_factory=list)
    claimed: Counter[str] = field(default_factory=Counter)

    def run(self) -> dict[str, Any]:
        self.on.people(self.count)
        self.on.simulator.call("PATCH", "/control/behaviour", {"latency_ms": LATENCY_MS})
        with ThreadPoolExecutor(CLIENTS) as clients:
            posted = [clients.submit(self._post, n) for n in range(self.count)]
            for share in sorted(self.draw.uniform(0.02, 0.9) for _ in range(self.kills)):
                until("enough to be accepted", lambda share=share: self._accepted() >= share * self.count)
                self._kill()
            messages = [each.result() for each in posted]
        until("every message to end", lambda: self._open(messages) == 0)
        return self._figures(messages)

    def _post(self, n: int) -> str:
        asked = {"contactId": people.contact_id(n), "channel": "whatsapp", "content": TEMPLATE}
        return str(self.on.api.call("POST", "/api/messages", asked, expect=202, key=f"kills-{n}")["messageId"])

    def _accepted(self) -> int:
        return int(self.on.simulator.get("/control/ledger/summary")["accepted"])

    def _ledger(self) -> Counter[str]:
        """How often the carrier accepted each message."""
        found: Counter[str] = Counter()
        after: int | None = 0
        while after is not None:
            page = self.on.simulator.get("/control/ledger", after=after)
            found.update(each["message_id"] for each in page["entries"])
            after = page["next"]
        return found

    def _kill(self) -> None:
        self.on.stack.kill(SENDER, signal.SIGSTOP)
        time.sleep(SETTLE_SECONDS)
        sent = self._ledger()
        for row in self._rows():
            if row["status"] == Status.CLAIMED:
                self.claimed["on_wire" if row["messageId"] in sent else "not_sent"] += 1
        self.on.stack.kill(SENDER, signal.SIGKILL)
        self.on.stack.start(SENDER)

    def _rows(self) -> Iterator[dict[str, Any]]:
        """The send ledger, as it stands in DynamoDB."""
        table, value = Names(PREFIX).table("outbound-whatsapp", Delivery), TypeDeserializer()
        for page in self.on.stack.client("dynamodb").get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                yield {name: value.deserialize(each) for name, each in item.items()}

    def _open(self, messages: list[str]) -> int:
        ended = {row["messageId"] for row in self._rows() if row["status"] in ENDED}
        return len(set(messages) - ended)

    def _figures(self, messages: list[str]) -> dict[str, Any]:
        rows = {row["messageId"]: row for row in self._rows()}
        accepted = self._ledger()
        for message in messages:
            row = rows.get(message)
            if row is None:
                self.violations.append(f"{message} has no row")
            elif accepted[message] > 1 + int(row.get("resends", 0)):
                self.violations.append(
                    f"{message} was accepted {accepted[message]} times, resent {row.get('resends', 0)}"
                )
            elif row["status"] == Status.SENT and not accepted[message]:
                self.violations.append(f"{message} is sent, and the carrier never saw it")
        if self.claimed["not_sent"] > self.claimed["on_wire"]:
            self.violations.append(f"kills made more uncertain than was on the wire: {dict(self.claimed)}")
        return {
            "messages": len(messages), "kills": self.kills, "claimed_at_kills": dict(self.claimed),
            "states": dict(Counter(str(row["status"]) for row in rows.values())),
            "resends": sum(int(row.get("resends", 0)) for row in rows.values()),
            "accepted_twice": sum(count > 1 for count in accepted.values()),
        }  # fmt: skip


def kills(messages: int, times: int, seed: int, directory: Path) -> dict[str, Any]:
    """Run it once on a stack of its own; the row for ``battery.json``."""
    with BulkStack(directory, env=QUICK) as on:
        one = Kills(on, messages, times, random.Random(seed))
        try:
            figure = one.run()
        except Failed as failed:
            one.violations.append(str(failed))
            figure = {"messages": messages, "claimed_at_kills": dict(one.claimed)}
    return {"row": "R1", "runs": 1, "seeds": [seed], "violations": one.violations, "figure": figure}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.battery.kills", description=__doc__)
    parser.add_argument("--messages", type=int, default=900)
    parser.add_argument("--kills", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wecare-kills-") as folder:
        row = kills(chosen.messages, chosen.kills, chosen.seed, Path(folder))
    print(json.dumps(row))
    return 1 if row["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
