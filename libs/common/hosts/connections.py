"""Connections of the HTTP process: a client that sends nothing, or half a request, is not waited for.

uvicorn's own timers begin with the first answer. Its count of connections includes those that never sent anything, so these
would keep everybody else out.
"""

from __future__ import annotations

import asyncio
import resource
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

#: From the connection, or from a later request's first byte, to the end of the request's headers.
HEADER_TIMEOUT_SECONDS = 10.0
#: Connections without a request under way. Beyond, the one that has waited longest is closed.
MAX_WAITING_CONNECTIONS = 500
#: A process may often have 1,024 files open only, and may raise that itself.
WANTED_OPEN_FILES = 8_192


class TimedH11Protocol(H11Protocol):
    """One connection."""

    header_timeout_seconds: ClassVar[float] = HEADER_TIMEOUT_SECONDS
    max_waiting: ClassVar[int] = MAX_WAITING_CONNECTIONS
    #: The connections of this process without a request under way, the one that has waited longest first.
    _waiting: ClassVar[dict[TimedH11Protocol, None]] = {}
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._follow(timed=True)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._follow(timed=True)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # uvicorn's timer of idle connections runs; it ends with the next byte, where ours begins, unless that is here already.
        self._follow(timed=bool(self.conn.trailing_data[0]))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._leave()

    def _follow(self, *, timed: bool) -> None:
        under_way = self.cycle is not None and not self.cycle.response_complete
        # A connection that was handed on to another protocol is no longer among the server's.
        if under_way or self not in self.connections or self.transport.is_closing():
            self._leave()
            return
        if timed and self._timer is None:
            self._timer = self.loop.call_later(self.header_timeout_seconds, self.transport.abort)
        self._wait()

    def _wait(self) -> None:
        if self in self._waiting:
            return
        self._waiting[self] = None
        if len(self._waiting) > self.max_waiting:
            oldest = next(iter(self._waiting))
            oldest._leave()
            oldest.transport.abort()

    def _leave(self) -> None:
        self._waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def allow_open_files() -> None:
    """Raise this process's limit of open files, connections among them, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
