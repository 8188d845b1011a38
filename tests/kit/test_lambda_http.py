"""The Lambda host of HTTP: requests of API Gateway reach the routes, and answers have API Gateway's format."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from libs.common.aws.auth import Caller
from libs.common.hosts.http.api import create_app
from libs.common.hosts.lambda_http import adapter
from libs.common.testing.world import World
from tests.kit import toy


def asked(method: str, path: str) -> dict[str, Any]:
    """API Gateway, *Working with AWS Lambda proxy integrations for HTTP APIs*, payload format 2.0."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "api.example.com"},
        "requestContext": {"http": http, "stage": "$default", "domainName": "api.example.com"},
        "isBase64Encoded": False,
    }


class Nobody:
    """Refuses every token."""

    async def verify(self, token: str) -> Caller:
        raise AssertionError("no token came")


def test_a_request_is_answered_and_what_is_not_there_is_a_problem_document() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    world = World([toy.service])
    loop.run_until_complete(world.__aenter__())
    try:
        answer = adapter(create_app(world.runtime, [toy.service], Nobody()))
        for _ in range(2):
            well = answer(asked("GET", "/health"), None)
            assert (well["statusCode"], json.loads(well["body"])) == (200, {"status": "ok"})
        lost = answer(asked("GET", "/api/nothing"), None)
        assert lost["statusCode"] == 404
        assert lost["headers"]["content-type"] == "application/problem+json"
    finally:
        loop.run_until_complete(world.__aexit__(None, None, None))
        asyncio.set_event_loop(None)
        loop.close()
