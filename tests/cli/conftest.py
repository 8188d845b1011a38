"""The command line against a real HTTP server: the world of the workbench and of messages, served on a port of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from typer.testing import CliRunner, Result

from libs.cli.app import app
from libs.common.hosts.http.api import create_app
from libs.common.settings import Settings
from libs.common.testing.world import FakeVerifier, World
from services.audit.service import service as audit
from services.contacts.service import service as contacts
from services.dlq_replay.service import service as workbench
from services.insights.service import service as insights
from services.messages.service import service as messages
from tests.services.dlq_replay.kit import Shop


@dataclass
class Terminal:
    """``wecare …`` in-process, as a person of some role; what it prints is not cut to a terminal's width."""

    url: str
    shop: Shop
    world: World
    loop: asyncio.AbstractEventLoop

    def __call__(self, *arguments: str, role: str | None = "ADMIN", input: str | None = None) -> Result:
        environment = {"WECARE_API_URL": self.url, "WECARE_TOKEN": role, "COLUMNS": "240"}
        return CliRunner().invoke(app, list(arguments), input=input, env=environment)

    def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Something that happens on the platform meanwhile."""
        return asyncio.run_coroutine_threadsafe(work(), self.loop).result(30)


@pytest.fixture
def wecare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    # The runner takes over stdout and stderr; what the platform logs meanwhile is not the command's output.
    log = (tmp_path / "log").open("w")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    shop = Shop()
    settings = Settings(stage="test", send_mode="LIVE", max_attempts=1, build="b1")
    world = World([shop.service, workbench, messages, contacts, audit, insights], settings=settings)
    server = uvicorn.Server(
        uvicorn.Config(create_app(world.runtime, world.services, FakeVerifier()), port=0, log_config=None)
    )
    started: list[Any] = []
    ready = threading.Event()

    async def serve() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        started.append(asyncio.get_running_loop())
        ready.set()
        while not serving.done():
            await world.tick("dlq-replay")
            await asyncio.sleep(0.02)
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Terminal(f"http://127.0.0.1:{port}", shop, world, started[0])
    server.should_exit = True
    thread.join(20)
    structlog.reset_defaults()
    log.close()
    sys.stderr.write((tmp_path / "log").read_text())
