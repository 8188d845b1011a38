"""The Lambda host of HTTP routes: ``handler`` takes requests of an API Gateway HTTP API. ``WECARE_SERVICES`` names the services
of the function, by commas. The container keeps one event loop and one set of connections."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from fastapi import FastAPI
from mangum import Mangum

from libs.common.aws.auth import CognitoVerifier
from libs.common.declare.discover import discover
from libs.common.handle.runtime import aws_runtime
from libs.common.hosts.http.api import create_app
from libs.common.hosts.output import configure_output
from libs.common.settings import Settings, settings

_loop: asyncio.AbstractEventLoop | None = None
_adapter: Mangum | None = None


async def _open(ours: Settings) -> FastAPI:
    configure_output(ours)
    services = discover([name for name in ours.services.split(",") if name])
    runtime = await AsyncExitStack().enter_async_context(aws_runtime(ours, services))
    return create_app(
        runtime, services, CognitoVerifier(ours.cognito_issuer, ours.cognito_client_id, ours.cognito_jwks_url)
    )


def adapter(app: FastAPI) -> Mangum:
    """The adapter from API Gateway's requests to ``app``, in the current event loop."""
    return Mangum(app, lifespan="off")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The entry point."""
    global _loop, _adapter
    if _loop is None:
        # Mangum runs each request in the current loop; connections belong to the loop that created them.
        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
    _adapter = _adapter or adapter(_loop.run_until_complete(_open(settings())))
    return _adapter(event, context)
