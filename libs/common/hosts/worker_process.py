"""The worker process: from the environment to a running :class:`Worker`, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence

from libs.common.declare.discover import ALL, Share, consumed, discover
from libs.common.handle.runtime import aws_runtime
from libs.common.hosts.output import configure_output
from libs.common.hosts.worker import Worker
from libs.common.observe import metrics
from libs.common.settings import Settings, settings


async def work(names: Sequence[str], health_port: int | None = None, share: Share = ALL) -> None:
    """Run the named services (all, if none is named), or some of their queues. Returns after a graceful shutdown."""
    configure_output(settings())
    services = discover(names)
    queues = consumed(services, settings().prefix, share)
    async with aws_runtime(settings(), services) as runtime:
        # A process for certain queues only runs no schedules.
        worker = Worker(runtime, services, queues, ticking=not share.only)
        await run_until_signal(worker, health_port, host_for(settings()))


async def run_until_signal(worker: Worker, health_port: int | None = None, host: str = "127.0.0.1") -> None:
    """Run the worker in this process; SIGTERM and SIGINT stop it gracefully."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, worker.stop)
    health = await serve_health(worker, health_port, host) if health_port is not None else None
    try:
        await worker.run()
    finally:
        if health is not None:
            health.close()


def host_for(ours: Settings) -> str:
    """The bind address of the health check: loopback for a local stack, all interfaces for a load balancer."""
    return "127.0.0.1" if ours.stage == "local" else "0.0.0.0"  # noqa: S104 - see above


async def serve_health(worker: Worker, port: int, host: str) -> asyncio.Server:
    """``GET /metrics``: the counters of this process, for Prometheus. ``GET`` of any other path: 200 while every queue is polled,
    else 503, with the state of each queue. Both contain names and numbers only."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=2)
            status, kind, body = _metrics() if request.startswith(b"GET /metrics ") else _health(worker)
            writer.write(b"HTTP/1.1 %b\r\nContent-Type: %b\r\n" % (status, kind))
            writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port)


def _health(worker: Worker) -> tuple[bytes, bytes, bytes]:
    health = worker.health()
    return (
        b"200 OK" if health["alive"] else b"503 Service Unavailable",
        b"application/json",
        json.dumps(health).encode(),
    )


def _metrics() -> tuple[bytes, bytes, bytes]:
    return b"200 OK", b"text/plain; version=0.0.4", metrics.exposition().encode()
