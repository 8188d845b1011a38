"""The only access to secrets: by name from Secrets Manager, with a short cache; never in the environment, logs or events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cachetools import TTLCache

from libs.common.aws.clients import Aws
from libs.common.clock import monotonic

#: A rotated secret takes effect after so many seconds.
CACHE_SECONDS = 300.0
MAX_CACHED_SECRETS = 100


class Secrets(Protocol):
    """Names are physical (``wecare-<stage>/<service>/<name>``)."""

    async def get(self, name: str) -> str:
        """The value of a secret. Raises the error of the backend."""


class AwsSecrets:
    """AWS Secrets Manager, with a cache per secret."""

    def __init__(self, aws: Aws, clock: Callable[[], float] = monotonic) -> None:
        self._aws = aws
        self._known: TTLCache[str, str] = TTLCache(MAX_CACHED_SECRETS, CACHE_SECONDS, timer=clock)

    async def get(self, name: str) -> str:
        known = self._known.get(name)
        if known is not None:
            return known
        client = await self._aws.client("secretsmanager")
        value = str((await client.get_secret_value(SecretId=name))["SecretString"])
        self._known[name] = value
        return value


class MemorySecrets:
    """For tests: stored values; for other names a deterministic value."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def get(self, name: str) -> str:
        return self.values.get(name, f"the-test-secret-of-{name}")
