"""``python -m libs.common.hosts.run contacts messages`` or ``--all``: work for these services in this process."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
from collections.abc import Sequence

import uvloop

from libs.common.declare.discover import ALL, Share
from libs.common.hosts.worker_process import work as work_queues


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m libs.common.hosts.run", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="services to work for, e.g. contacts messages")
    parser.add_argument("--all", action="store_true", help="work for every service under services/")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve their HTTP routes on this port, too")
    parser.add_argument("--no-worker", action="store_true", help="serve HTTP only, leave the queues to other processes")
    parser.add_argument("--health-port", type=int, metavar="PORT", help="how the queues are doing, and /metrics, there")
    for name, words in {
        "--queues": "work for these queues only, by name without prefix, e.g. '*-bulk'",
        "--but-queues": "leave these queues to other processes",
    }.items():
        parser.add_argument(name, nargs="+", metavar="PATTERN", default=(), help=words)
    chosen = parser.parse_args(arguments)
    if bool(chosen.services) == chosen.all:
        parser.error("name services, or say --all")
    if chosen.no_worker and chosen.http is None:
        parser.error("--no-worker leaves nothing to do without --http PORT")
    share = Share(tuple(chosen.queues), tuple(chosen.but_queues))
    if share != ALL and chosen.http is not None:
        parser.error("--queues and --but-queues are for processes without --http")
    # What is loaded stays; looking through it again and again for garbage costs more than all else that is collected.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(chosen.services, chosen.http, chosen.health_port, share, work=not chosen.no_worker))


async def _run(names: Sequence[str], http: int | None, health: int | None, share: Share, *, work: bool) -> None:
    if http is None:
        await work_queues(names, health, share)
        return
    # Not imported otherwise: a worker without HTTP needs no web framework.
    serve = importlib.import_module("libs.common.hosts.http.server").serve
    await serve(names, http, health, work=work)


if __name__ == "__main__":
    main()
