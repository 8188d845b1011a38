"""``python -m libs.common.hosts.run contacts messages`` or ``--all``: run these services in this process."""

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
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="services to run, e.g. contacts messages")
    parser.add_argument("--all", action="store_true", help="run every service under services/")
    parser.add_argument("--http", type=int, metavar="PORT", help="also serve their HTTP routes on this port")
    parser.add_argument("--no-worker", action="store_true", help="serve HTTP only; other processes consume the queues")
    parser.add_argument("--health-port", type=int, metavar="PORT", help="port of the health check and /metrics")
    for name, words in {
        "--queues": "consume only these queues, by name without prefix, e.g. '*-bulk'",
        "--but-queues": "do not consume these queues",
    }.items():
        parser.add_argument(name, nargs="+", metavar="PATTERN", default=(), help=words)
    chosen = parser.parse_args(arguments)
    if bool(chosen.services) == chosen.all:
        parser.error("name services, or pass --all")
    if chosen.no_worker and chosen.http is None:
        parser.error("--no-worker needs --http PORT")
    share = Share(tuple(chosen.queues), tuple(chosen.but_queues))
    if share != ALL and chosen.http is not None:
        parser.error("--queues and --but-queues cannot be combined with --http")
    # Loaded modules are permanent; scanning them in each garbage collection costs more than the rest of the collection.
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
