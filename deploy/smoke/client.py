"""The HTTP clients of the scenario: our API with a role, and the simulator's control API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

import httpx

#: The time limit of a wait; far above the usual time, because the machine may be busy.
TIMEOUT_SECONDS = 120.0


class Failed(Exception):
    """A step failed; the text contains the observed value."""


class Http:
    """A small JSON client; ``expect`` is the expected status."""

    def __init__(self, base: str, token: str | None = None) -> None:
        self._http = httpx.Client(base_url=base, timeout=30, trust_env=False)
        if token:
            self.bears(token)

    def bears(self, token: str) -> None:
        """Use this token for later requests."""
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        expect: int | tuple[int, ...] = 200,
        key: str | None = None,
        **query: Any,
    ) -> Any:
        """The parsed answer. ``key`` is the Idempotency-Key. Raises Failed for another status than expected."""
        headers = {"Idempotency-Key": key} if key else None
        params = {name: value for name, value in query.items() if value is not None}
        answer = self._http.request(method, path, json=body, params=params, headers=headers)
        if answer.status_code not in (expect if isinstance(expect, tuple) else (expect,)):
            raise Failed(f"{method} {path}: {answer.status_code} instead of {expect}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)


def until(what: str, look: Callable[[], Any], seconds: float = TIMEOUT_SECONDS) -> Any:
    """Poll until the value is true (not falsy) and return it. Raises Failed with the last value."""
    end = time.monotonic() + seconds
    seen: Any = None
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.1)
    raise Failed(f"waited {seconds:.0f} s for: {what}")


def require(holds: Any, what: str) -> None:
    """Raises Failed if the condition is false."""
    if not holds:
        raise Failed(what)
