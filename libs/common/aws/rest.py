"""The only access to providers' APIs outside AWS: HTTPS with a bearer token, each request made at most once.

Connections are pooled for the lifetime of the runtime. No redirects, no cookies, no proxy, no retries (aiohttp repeats only
idempotent methods, and only on a closed connection). Timeouts are those of the AWS clients.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from libs.common.aws import clients
from libs.common.errors import Malformed
from libs.common.json_text import read_json

#: The maximum size of a JSON answer.
MAX_JSON_BYTES = 1024 * 1024
#: The read timeout of an upload or download.
FILE_TIMEOUT_SECONDS = 30
#: Files are held in memory, so few at a time.
MAX_CONCURRENT_FILES = 2
_TOKEN = re.compile(r"[\x21-\x7e]+")


class NoToken(Exception):
    """No token is configured."""


class TooLong(Exception):
    """The answer exceeds the limit."""


class Answered(Exception):
    """The provider answered with an error. ``code`` and ``message`` are the provider's, if any; ``retry_after`` is the
    unparsed header."""

    def __init__(self, status: int, code: str, message: str, retry_after: str | None = None) -> None:
        super().__init__(f"HTTP {status} {code}".rstrip())
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


@dataclass(frozen=True)
class Answer:
    """``headers`` have case-insensitive names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises ValueError, also for JSON nested too deep."""
        try:
            return read_json(self.body)
        except Malformed as error:
            raise ValueError(str(error)) from None


class Rest:
    """The connection pool: at most ``connections`` in total; further requests wait. ``files`` is held while a file is in
    memory."""

    def __init__(self, connections: int = 100) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self.files = asyncio.Semaphore(MAX_CONCURRENT_FILES)

    async def ask(
        self,
        method: str,
        url: str | URL,
        token: str,
        *,
        body: bytes | aiohttp.FormData | None = None,
        maximum: int = MAX_JSON_BYTES,
        seconds: float | None = None,
    ) -> Answer:
        """One request; ``body`` as bytes is JSON. ``seconds`` is the read timeout. Raises NoToken before anything is
        sent, TooLong, and what aiohttp raises."""
        if not _TOKEN.fullmatch(token):
            raise NoToken
        headers = {"Authorization": f"Bearer {token}"}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=clients.CONNECT_TIMEOUT_SECONDS,
            sock_read=clients.READ_TIMEOUT_SECONDS if seconds is None else seconds,
        )
        async with self._open().request(
            method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            return Answer(answer.status, answer.headers, await _read(answer, maximum))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                headers={"User-Agent": "wecare", "Accept-Encoding": "identity"},
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(answer: aiohttp.ClientResponse, maximum: int) -> bytes:
    """Enforces the limit independently of the Content-Length header."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > maximum:
            answer.close()
            raise TooLong(f"more than {maximum} bytes")
    return bytes(body)
