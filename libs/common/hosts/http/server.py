"""The HTTP process: the routes of services behind uvicorn, optionally with a worker in the same process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence

import uvicorn
from starlette.types import ASGIApp

from libs.common.aws.auth import CognitoVerifier
from libs.common.declare.discover import consumed, discover
from libs.common.handle.runtime import aws_runtime
from libs.common.hosts.connections import TimedH11Protocol, allow_open_files
from libs.common.hosts.http.api import create_app
from libs.common.hosts.output import configure_output
from libs.common.hosts.worker import Worker
from libs.common.hosts.worker_process import host_for, serve_health
from libs.common.settings import settings

#: The time that open connections may delay a shutdown.
SHUTDOWN_TIMEOUT_SECONDS = 5
#: Bytes of a request's line and headers; concurrent connections (503 above); idle seconds of a connection.
MAX_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 2_000
KEEP_ALIVE_SECONDS = 30


async def serve(names: Sequence[str], port: int, health_port: int | None = None, *, work: bool = True) -> None:
    """Serve until SIGTERM or SIGINT, then stop the worker gracefully."""
    ours = settings()
    configure_output(ours)
    verifier = CognitoVerifier(ours.cognito_issuer, ours.cognito_client_id, ours.cognito_jwks_url)
    services = discover(names)
    async with aws_runtime(ours, services) as runtime:
        app = create_app(runtime, services, verifier)
        host = host_for(ours)
        allow_open_files()
        server = uvicorn.Server(config_of(app, host, port, ours.log_level))
        worker = Worker(runtime, services, consumed(services, ours.prefix) if work else [])
        _survive_signals(worker.stop)
        health = await serve_health(worker, health_port, host) if health_port is not None else None
        working = asyncio.create_task(worker.run()) if work else None
        try:
            await server.serve()
        finally:
            worker.stop()
            if working is not None:
                await working
            if health is not None:
                health.close()


def config_of(app: ASGIApp, host: str, port: int, log_level: str = "INFO") -> uvicorn.Config:
    """How this process serves ``app``. The protocol is named, so that no other that is installed takes its place."""
    return uvicorn.Config(
        app, host=host, port=port, http=TimedH11Protocol, log_config=None, log_level=log_level.lower(), access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS, timeout_keep_alive=KEEP_ALIVE_SECONDS, limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES, server_header=False,
    )  # fmt: skip


def _survive_signals(stop: Callable[[], None]) -> None:
    """``stop`` at SIGTERM and SIGINT. uvicorn handles the signal, and then raises it again for the previous handler:
    without a handler that would end the process before its worker has stopped."""
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop)
