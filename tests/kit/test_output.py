"""What libraries say, and what fails outside our own code, comes out as lines of our log: JSON, one each, about nobody."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from libs.common.declare.service import Service
from libs.common.handle.context import Context
from libs.common.hosts.http.routes import Api
from libs.common.observe.log import configure
from tests.kit.test_connections import HOST, serving

NUMBER = "+12025550123"
Lines = Callable[[], list[dict[str, Any]]]
api = Api()


@api.public("GET", "/broken")
async def broken(request: Request, ctx: Context) -> Response:
    """Fails before it answers."""
    raise RuntimeError(f"call {NUMBER}")


@api.public("GET", "/broken-off")
async def broken_off(request: Request, ctx: Context) -> Response:
    """Fails in the middle of its answer."""

    async def body() -> AsyncIterator[bytes]:
        yield b"so far"
        raise RuntimeError(f"call {NUMBER}")

    return StreamingResponse(body())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What the log of a process at WARNING says from now on; everything that is written must be JSON."""
    written = StringIO()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure("WARNING")
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("path", "said"), [("/broken", "request failed"), ("/broken-off", "Exception in ASGI application")]
)
async def test_a_request_that_fails_is_one_line_without_the_number_in_its_exception(
    lines: Lines, path: str, said: str
) -> None:
    async with serving(services=[Service("breaking", serves=api)]) as port, httpx.AsyncClient(trust_env=False) as http:
        try:
            answer = await http.get(f"http://{HOST}:{port}{path}")
        except httpx.RemoteProtocolError:
            assert path == "/broken-off"
        else:
            assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
    (line,) = lines()
    assert (line["event"], line["level"], line["error"], line["why"]) == (said, "error", "RuntimeError", "call [phone]")
    assert line["where"][-1].split()[-1] in ("broken", "body")
    assert NUMBER not in json.dumps(line)


async def test_an_exception_that_nobody_took_is_one_line(lines: Lines) -> None:
    async def fail() -> None:
        raise RuntimeError(f"call {NUMBER}")

    failing = asyncio.create_task(fail())
    await asyncio.wait([failing])
    del failing
    gc.collect()
    (line,) = lines()
    assert line["event"] == "Task exception was never retrieved"
    assert (line["logger"], line["error"], line["why"]) == ("asyncio", "RuntimeError", "call [phone]")


def test_a_library_is_heard_from_warnings_on_and_says_nobodys_number(lines: Lines) -> None:
    library = logging.getLogger("some.library")
    library.info("GET https://example.com/?to=%s", NUMBER)
    library.warning("slow: %s\nbody: secret", NUMBER)
    (slow,) = lines()
    assert (slow["event"], slow["level"], slow["logger"]) == ("slow: [phone]", "warning", "some.library")


def test_at_the_level_of_debug_libraries_still_keep_their_addresses_to_themselves(lines: Lines) -> None:
    configure("DEBUG")
    logging.getLogger("httpx").info("HTTP Request: GET https://example.com/?token=abc")
    logging.getLogger("botocore").debug("body: secret")
    assert lines() == []


def test_a_warning_an_unreadable_record_and_an_error_that_ends_the_process_are_one_line_each() -> None:
    code = f"""
import logging, warnings
from libs.common.observe.log import configure
configure("WARNING")
warnings.warn("do not call {NUMBER}", UserWarning, stacklevel=1)
logging.getLogger("some.library").error("%d", "{NUMBER}")
raise RuntimeError("call {NUMBER}")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    warned, unfit, line = map(json.loads, ended.stderr.splitlines())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert (unfit["event"], unfit["error"]) == ("a log record that cannot be read", "TypeError")
    assert warned["event"].endswith("UserWarning: do not call [phone]")
    assert (line["level"], line["error"], line["why"]) == ("critical", "RuntimeError", "call [phone]")
