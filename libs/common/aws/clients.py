"""The only access to AWS: aiobotocore clients, created at the first use and closed together.

botocore chooses the endpoints (``AWS_REGION``, ``AWS_ENDPOINT_URL``, ``AWS_ENDPOINT_URL_<SERVICE>``). This
code does not distinguish AWS from an emulator.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote_plus

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session

from libs.common.aws import fast_json
from libs.common.settings import aws_region

#: Attempts for idempotent calls: reads, acknowledgements, and writes that recognise their own effect.
MAX_SAFE_ATTEMPTS = 4
#: The services of store and bus: every handler calls them several times.
RETRIED_BY_CALLER = ("dynamodb", "sns")
CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 10
#: Longer than a long poll of 20 s.
SQS_READ_TIMEOUT_SECONDS = 30


#: The characters that are frequent in JSON, escaped as by ``urllib.parse.quote_plus``; the percent sign first, the space last.
_ESCAPES = [(sign, quote_plus(sign)) for sign in "%+\"{}[]:,/\\@#=&?;|<>()!*$'^`\n "]
_LEFT_OVER = re.compile(r"[^A-Za-z0-9_.~%+-]")


def _encoded(params: dict[str, Any], **_details: Any) -> None:
    """A faster form encoder: botocore encodes a form twice, to sign and to send it; for ten messages that was most of a call's cost."""
    body = params.get("body")
    if isinstance(body, dict):
        params["body"] = "&".join(f"{_quoted(str(k))}={_quoted(str(v))}" for k, v in body.items()).encode()


def _quoted(text: str) -> str:
    quick = text
    for sign, escape in _ESCAPES:
        quick = quick.replace(sign, escape)
    return quote_plus(text) if _LEFT_OVER.search(quick) else quick


class Aws:
    """The AWS clients of a process: ``async with Aws() as aws``. Each service has at most ``connections`` concurrent requests,
    DynamoDB and SNS ``store_connections`` (0: the same limit); further ones wait. ``calls`` counts every request, by
    ``(service, operation)``."""

    def __init__(
        self, connections: int = 100, environment: dict[str, str] | None = None, *, store_connections: int = 0
    ) -> None:
        self._session: AioSession = get_session()
        self._clients: dict[tuple[str, int], Any] = {}
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._connections = connections
        self._store_connections = store_connections or connections
        self._environment = environment or {}
        self.calls: Counter[tuple[str, str]] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self._clients.clear()

    async def client(self, service: str, attempts: int = MAX_SAFE_ATTEMPTS) -> Any:
        """The client of one AWS service. ``attempts=1`` for requests that must not be sent twice."""
        known = self._clients.get((service, attempts))
        if known is not None:
            return known
        async with self._lock:
            if (service, attempts) not in self._clients:
                self._clients[service, attempts] = await self._stack.enter_async_context(self._make(service, attempts))
        return self._clients[service, attempts]

    def _make(self, service: str, attempts: int) -> Any:
        config = AioConfig(
            retries={"total_max_attempts": attempts, "mode": "standard"},
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=SQS_READ_TIMEOUT_SECONDS if service == "sqs" else READ_TIMEOUT_SECONDS,
            max_pool_connections=self._store_connections if service in RETRIED_BY_CALLER else self._connections,
            tcp_keepalive=True,
            # Both are repeated for each request and cost a tenth of it. Providers' calls keep the validation; the store and the bus
            # build their requests from validated values.
            user_agent="wecare",
            parameter_validation=attempts == 1 and service not in fast_json.SERVICES,
            # Presigned URLs of signature version 2 sign neither size nor type.
            signature_version="s3v4" if service == "s3" else None,
        )
        opening = self._session.create_client(service, config=config, **self._overrides(service))
        return _Counted(opening, self.calls, plain=service in fast_json.SERVICES)

    def _overrides(self, service: str) -> dict[str, Any]:
        """Settings that a test passes instead of environment variables of the same names."""
        env = self._environment
        name = service.upper().replace("-", "_").replace(" ", "_")
        url = env.get(f"AWS_ENDPOINT_URL_{name}") or env.get("AWS_ENDPOINT_URL")
        found: dict[str, str | None] = {
            "endpoint_url": url,
            "region_name": env.get("AWS_REGION") or aws_region(),
            "aws_access_key_id": env.get("AWS_ACCESS_KEY_ID"),
            "aws_secret_access_key": env.get("AWS_SECRET_ACCESS_KEY"),
        }
        return {key: value for key, value in found.items() if value}


class _Counted:
    """Opens a client and registers the request counter."""

    def __init__(self, opening: Any, calls: Counter[tuple[str, str]], *, plain: bool) -> None:
        self._opening = opening
        self._calls = calls
        self._plain = plain

    async def __aenter__(self) -> Any:
        client = await self._opening.__aenter__()
        client.meta.events.register("before-send", self._count)
        client.meta.events.register("before-call.sns", _encoded)
        if self._plain:
            fast_json.install_fast_json(client)
        return client

    async def __aexit__(self, *error: Any) -> None:
        await self._opening.__aexit__(*error)

    def _count(self, event_name: str, **details: Any) -> None:
        _before_send, service, operation = event_name.split(".", 2)
        self._calls[service, operation] += 1
