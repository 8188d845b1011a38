"""``python -m libs.common.run contacts messages`` or ``--all``: work for these services in this process."""

from __future__ import annotations

import argparse
import asyncio
import importlib
from collections.abc import Sequence

from libs.common.hosts.worker import work


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m libs.common.run", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="services to work for, e.g. contacts messages")
    parser.add_argument("--all", action="store_true", help="work for every service under services/")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve their HTTP routes on this port, too")
    parser.add_argument("--no-http", action="store_true", help="serve no HTTP (the default)")
    parser.add_argument("--health-port", type=int, metavar="PORT", help="tell there how the queues are doing")
    chosen = parser.parse_args(arguments)
    if bool(chosen.services) == chosen.all:
        parser.error("name services, or say --all")
    if chosen.http is not None and chosen.no_http:
        parser.error("--http and --no-http exclude each other")
    asyncio.run(_run(chosen.services, chosen.http, chosen.health_port))


async def _run(names: Sequence[str], http: int | None, health: int | None) -> None:
    if http is None:
        await work(names, health)
        return
    # Not imported otherwise: a worker without HTTP needs no web framework.
    serve = importlib.import_module("libs.common.hosts.http").serve
    await serve(names, http, health)


if __name__ == "__main__":
    main()
