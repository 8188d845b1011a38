"""The only access to secrets: by name from Secrets Manager, with a short cache; never in the environment, logs or events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from libs.common.aws.clients import Aws
from libs.common.clock import monotonic

#: A rotated secret takes effect after so many seconds.
CACHE_SECONDS = 300.0


class Secrets(Protocol):
    """Names are physical (``wecare-<stage>/<service>/<name>``)."""

    async def get(self, name: str) -> str:
        """The value of a secret. Raises the error of the backend."""


class AwsSecrets:
    """AWS Secrets Manager, with a cache per secret."""

    def __init__(self, aws: Aws, clock: Callable[[], float] = monotonic) -> None:
        self._aws = aws
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}

    async def get(self, name: str) -> str:
        known = self._known.get(name)
        if known is not None and self._clock() < known[0]:
            return known[1]
        client = await self._aws.client("secretsmanager")
        value = str((await client.get_secret_value(SecretId=name))["SecretString"])
        self._known[name] = (self._clock() + CACHE_SECONDS, value)
        return value


class MemorySecrets:
    """For tests: stored values; for other names a deterministic value."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def get(self, name: str) -> str:
        return self.values.get(name, f"the-test-secret-of-{name}")
