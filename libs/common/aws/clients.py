"""The only access to AWS: aiobotocore clients, made when first asked for and closed together.

Where they point is botocore's own business (``AWS_REGION``, ``AWS_ENDPOINT_URL``, ``AWS_ENDPOINT_URL_<SERVICE>``); nothing
here knows whether it is AWS or an emulator.
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

#: Attempts for calls that are safe to repeat: reads, acks, and writes that recognise their own effect.
MAX_SAFE_ATTEMPTS = 4
#: What keeps rows and events: every handler needs it, several times.
RETRIED_BY_CALLER = ("dynamodb", "sns")
CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 10
#: A long poll of 20 s has to fit.
SQS_READ_TIMEOUT_SECONDS = 30


#: What JSON is full of, as ``urllib.parse.quote_plus`` writes it; the percent sign first, the space last.
_ESCAPES = [(sign, quote_plus(sign)) for sign in "%+\"{}[]:,/\\@#=&?;|<>()!*$'^`\n "]
_LEFT_OVER = re.compile(r"[^A-Za-z0-9_.~%+-]")


def _encoded(params: dict[str, Any], **_details: Any) -> None:
    """botocore encodes a form twice, to sign it and to send it, and slowly; ten messages in it were most of a call's cost."""
    body = params.get("body")
    if isinstance(body, dict):
        params["body"] = "&".join(f"{_quoted(str(k))}={_quoted(str(v))}" for k, v in body.items()).encode()


def _quoted(text: str) -> str:
    quick = text
    for sign, escape in _ESCAPES:
        quick = quick.replace(sign, escape)
    return quote_plus(text) if _LEFT_OVER.search(quick) else quick


class Aws:
    """An open entry point: ``async with Aws() as aws``. To each service so many ``connections`` at a time, to DynamoDB and SNS
    ``store_connections`` (0: as many as to the others); who finds none free waits its turn. ``calls`` counts every request
    sent, by ``(service, operation)``."""

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
        """The client of one AWS service. ``attempts=1`` for whatever must not be sent twice."""
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
            # Both are done anew for each request and cost a tenth of it. A provider's call keeps the check; the store and the bus
            # make their requests from values that they have checked themselves.
            user_agent="wecare",
            parameter_validation=attempts == 1 and service not in fast_json.SERVICES,
            # Presigned URLs of the older signature bind neither size nor type.
            signature_version="s3v4" if service == "s3" else None,
        )
        opening = self._session.create_client(service, config=config, **self._overrides(service))
        return _Counted(opening, self.calls, plain=service in fast_json.SERVICES)

    def _overrides(self, service: str) -> dict[str, Any]:
        """What a test says instead of the environment, by the same names."""
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
    """Opens a client and hangs the counter on it."""

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
