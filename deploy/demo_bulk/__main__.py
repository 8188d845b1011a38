"""``python -m deploy.demo_bulk --recipients 2000``: send to so many simulated people, and show what it took."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.demo_bulk.platform import LAST, BulkStack, is_send
from deploy.smoke.client import Failed, require

#: How often the job is looked at (s), and for how long nothing may move.
POLL_SECONDS = 0.25
TIMEOUT_SECONDS = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo_bulk", description=__doc__)
    parser.add_argument("--recipients", type=int, default=2000)
    parser.add_argument("--per-second", type=float, default=1000, help="what the WhatsApp number may send")
    parser.add_argument(
        "--read", action="store_true", help="people read what they get: three receipts each instead of two"
    )
    parser.add_argument("--directory", type=Path, help="keep the stack's files here")
    chosen = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="wecare-bulk-") as folder:
        try:
            with BulkStack(chosen.directory or Path(folder), chosen.per_second) as on:
                result = run(on, chosen.recipients, chosen.read, console)
        except Failed as failed:
            console.print(f"[red]✗[/red] {failed}")
            return 1
    print(json.dumps(result))
    return 0


def run(on: BulkStack, count: int, read: bool, console: Console) -> dict[str, Any]:
    """One job; returns the figures."""
    on.simulator.call("PATCH", "/control/behaviour", {"read_share": float(read)})
    console.print(f"[bold]{count:,} simulated people[/bold] are made known to the services …")
    on.people(count)
    upload = on.upload(count)
    began = time.monotonic()
    calls = on.calls()
    job = on.create(upload)
    plan = on.planned(job)
    planning = time.monotonic() - began
    _print_progress(plan, planning, console)
    require(plan["toSend"] == count, f"{plan['toSend']} of {count} can be written to")
    cpu = on.cpu()
    on.approve(job, plan["hash"])
    started = time.monotonic()
    reported, sent_after = _follow(on, job, count, read, console)
    took = time.monotonic() - started
    used = on.calls() - calls
    summary = on.simulator.get("/control/ledger/summary")
    require(not summary["duplicates"], f"accepted twice: {summary['duplicates']}")
    figures = {
        "recipients": count,
        "planning_s": round(planning, 2),
        "sending_s": round(sent_after, 2),
        "receipts_each": 3 if read else 2,
        "until_all_were_counted_s": round(took, 2),
        "sent_per_second": round(count / sent_after, 1),
        "recipients_per_second": round(count / took, 1),
        "end_to_end_per_second": round(count / (planning + took), 1),
        "calls_per_recipient": round(sum(n for name, n in used.items() if not is_send(name)) / count, 3),
        "sends_per_recipient": round(sum(n for name, n in used.items() if is_send(name)) / count, 3),
        "counts": reported["counts"],
        "cpu_s": {name: round(after - cpu.get(name, 0), 1) for name, after in on.cpu().items()},
        "memory_mib": on.memory(),
    }
    _bill(used, count, console)
    console.print(
        f"[bold]{figures['sent_per_second']}[/bold] recipients a second sent, [bold]{figures['recipients_per_second']}[/bold] until "
        f"each was {'read' if read else 'delivered'} and counted, of which the simulated telephones take the last "
        f"{took - sent_after:.1f} s; [bold]{figures['calls_per_recipient']}[/bold] AWS calls for each besides the send itself"
    )
    return {**figures, "calls": dict(sorted(used.items()))}


def _follow(on: BulkStack, job: str, count: int, read: bool, console: Console) -> tuple[Any, float]:
    """Show the job until every recipient has come to an end; also when the last was sent."""
    started = moved = time.monotonic()
    sent_after: float | None = None
    before: Any = None
    last = LAST if read else (*LAST, "delivered")
    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(50),
        TextColumn("{task.completed:>7,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        words = ("sent", "delivered", "read") if read else ("sent", "delivered")
        bars = {word: progress.add_task(word, total=count) for word in words}
        while True:
            reported = on.job(job)
            counts = reported["counts"]
            require(sum(counts.values()) == reported["planned"], f"the counts do not come to the whole: {counts}")
            reached = {"read": counts["read"]}
            reached["delivered"] = reached["read"] + counts["delivered"]
            reached["sent"] = reached["delivered"] + counts["sent"]
            for word, bar in bars.items():
                progress.update(bar, completed=reached[word])
            if sent_after is None and not counts["pending"] and not counts["claimed"]:
                sent_after = time.monotonic() - started
            if sum(counts[word] for word in last) == reported["planned"]:
                return reported, sent_after or time.monotonic() - started
            if counts != before:
                before, moved = counts, time.monotonic()
            require(
                time.monotonic() - moved < TIMEOUT_SECONDS, f"nothing moves any more: {reported['state']}, {counts}"
            )
            time.sleep(POLL_SECONDS)


def _print_progress(plan: Any, seconds: float, console: Console) -> None:
    cost = plan["cost"]
    console.print(
        f"planned in {seconds:.1f} s: {plan['toSend']:,} of {plan['rows']:,} rows, skipped {plan['skipped'] or 0}, "
        f"rejected {plan['rejected'] or 0}, about {cost['total']} {cost['currency']} (illustrative prices)"
    )


def _bill(used: Any, count: int, console: Console) -> None:
    table = Table("AWS operation", "calls", "per recipient", title="Requests of all workers")
    for name, n in used.most_common():
        table.add_row(name, f"{n:,}", f"{n / count:.3f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
