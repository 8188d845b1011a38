"""The HTTP host: mounts the routes of services, verifies tokens and roles, answers in problem documents (RFC 9457)."""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, cast

import structlog
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Scope

from libs.common.aws.auth import Caller, Verifier, unauthorized
from libs.common.clock import random_id
from libs.common.declare.request_events import RequestFacts, action_of, ids_in
from libs.common.declare.service import Service
from libs.common.errors import Problem
from libs.common.handle.copy import wait_for_copies
from libs.common.handle.delivery import Requester, apply_request, publish_keyed
from libs.common.handle.runtime import Runtime
from libs.common.hosts.http.http_rules import HttpRules
from libs.common.hosts.http.problems import answer_in_problems
from libs.common.hosts.http.role_refusals import RoleRefusals
from libs.common.hosts.http.routes import Api, Heard, Route
from libs.common.hosts.http.strict_json import StrictJson

#: The key of the verified caller in a request's scope.
CALLER = "wecare.caller"
#: DynamoDB accepts keys of up to 2,048 bytes; ours are far shorter, and some keys contain two ids.
MAX_ID_BYTES = 512
#: Public documents.
OPEN = (("GET", "/health"), ("GET", "/api/openapi.json"))

log = structlog.get_logger()


@dataclass(frozen=True)
class _Host:
    """The middleware of every route."""

    runtime: Runtime
    verifier: Verifier
    breaches: RoleRefusals


def create_app(runtime: Runtime, services: Sequence[Service], verifier: Verifier) -> FastAPI:
    """An ASGI application that serves these services."""
    # No redirect for a trailing slash: it would use the Host header of the client.
    app = FastAPI(
        title="WECARE",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    routes = [route for service in services if isinstance(service.serves, Api) for route in service.serves.routes]
    app.add_middleware(StrictJson, admit=partial(_admit, verifier))
    app.add_middleware(HttpRules, routes=routes, own=OPEN)
    answer_in_problems(app)

    @app.get("/health", include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    host = _Host(runtime, verifier, RoleRefusals(runtime))
    for service in services:
        if isinstance(service.serves, Api):
            # Fixed paths come before paths with parameters: /search is not an id.
            for route in sorted(service.serves.routes, key=lambda r: r.path.count("{")):
                _mount(app, host, service, route)
    return app


def _mount(app: FastAPI, host: _Host, service: Service, route: Route) -> None:
    build = {"read": _read, "write": _write, "public": _public}[route.kind]
    role = route.role.name if route.role else "public"
    app.add_api_route(
        route.path,
        build(host, service, route),
        methods=[route.method],
        status_code=route.status,
        tags=[service.name],
        summary=(inspect.getdoc(route.function) or "").split("\n")[0],
        description=inspect.getdoc(route.function),
        operation_id=action_of(service.name, route.function),
        openapi_extra={"x-role": role},
        responses=_refusals(route),
        response_model=_response_model(route),
        response_model_exclude_none=True,
    )


def _refusals(route: Route) -> dict[int | str, dict[str, Any]]:
    """What the host itself answers to a body, for the description of the API."""
    if route.method == "GET":
        return {}
    return {
        413: {"description": f"The body has more than {route.max_bytes:,} bytes"},
        415: {"description": "The body is compressed" + ("" if route.kind == "public" else ", or not JSON")},
    }


def _response_model(route: Route) -> Any:
    if route.kind == "public" or route.status == 204:
        return None
    returned = typing.get_type_hints(route.function)["return"]
    if route.kind == "write":
        (returned,) = typing.get_args(returned)
    return returned


def _allow(host: _Host, service: Service, route: Route) -> Callable[[Request], Awaitable[Caller]]:
    role = route.role
    assert role is not None

    async def allow(request: Request) -> Caller:
        if CALLER not in request.scope:
            await _admit(host.verifier, request.scope)
        caller: Caller = request.scope[CALLER]
        if caller.role is None or caller.role < role:
            log.warning("refused by role", actor=caller.actor, path=route.path, needs=role.name)
            await host.breaches.note(service.name, route, caller, request.path_params)
            raise Problem(403, "FORBIDDEN", f"This needs the role {role.name}")
        _check_names(request)
        return caller

    return allow


def _check_names(request: Request) -> None:
    """Raises Problem for an id that is too long, and for unknown query parameters."""
    if any(len(str(value).encode()) > MAX_ID_BYTES for value in request.path_params.values()):
        raise Problem(404, "NOT_FOUND", "There is nothing under so long an id")
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        has = f"it has: {', '.join(sorted(known))}" if known else "it has none"
        errors = [{"field": name[:100], "detail": f"The route has no such parameter; {has}."} for name in unknown]
        raise Problem(
            400, "UNKNOWN_PARAMETER", "The route has no such query parameter", f"See: {unknown[0][:100]}", errors
        )


async def _admit(verifier: Verifier, scope: Scope) -> None:
    """Verify the caller's token before the body is read."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = (given[0].decode("latin-1") if len(given) == 1 else "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthorized("Send one Authorization header: Bearer and the access token.")
    scope[CALLER] = await verifier.verify(token.strip())


def _signature(route: Route, **extra: Any) -> inspect.Signature:
    """The signature for FastAPI: the function's parameters without ``ctx``, and those of the host."""
    hints = typing.get_type_hints(route.function, include_extras=True)
    own = [
        p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(route.function).parameters.values()
        if p.name != "ctx"
    ]
    ours = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in extra.items()]
    return inspect.Signature([*own, *ours])


def _read(host: _Host, service: Service, route: Route) -> Callable[..., Any]:
    async def call(*, caller_: Caller, **given: Any) -> Any:
        async def run(fresh: bool) -> Any:
            context = host.runtime.context(service, actor=caller_.actor, caller=caller_, fresh=fresh)
            return await route.function(**given, ctx=context)

        return await wait_for_copies(host.runtime, run)

    call.__signature__ = _signature(route, caller_=Annotated[Caller, Depends(_allow(host, service, route))])  # type: ignore[attr-defined]
    return call


def _write(host: _Host, service: Service, route: Route) -> Callable[..., Any]:
    async def call(*, caller_: Caller, request_: Request, key_: str | None = None, **given: Any) -> Response:
        digest = hashlib.sha256(
            f"{request_.method} {request_.url.path}?{request_.url.query}\n".encode() + await request_.body()
        ).hexdigest()
        request_facts = _request_facts(service, route, caller_, request_, key_)
        who = Requester(caller_.actor, key_ or random_id(), digest, request_facts)
        answer = await apply_request(host.runtime, service, route.function, given, who)
        if answer is None:
            return Response(status_code=204)
        return JSONResponse(answer, status_code=route.status)

    key = Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            description="Repeat it to repeat the request safely: the same key gets the same answer.",
        ),
    ]
    signature = _signature(
        route, caller_=Annotated[Caller, Depends(_allow(host, service, route))], request_=Request, key_=key
    )
    parameters = [p.replace(default=None) if p.name == "key_" else p for p in signature.parameters.values()]
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def _request_facts(service: Service, route: Route, caller: Caller, request: Request, key: str | None) -> RequestFacts:
    # The key is the client's text, so only its digest is recorded; it still identifies repeated requests.
    digest = hashlib.sha256(f"{caller.actor}\n{key}".encode()).hexdigest()[:16] if key else None
    return RequestFacts(
        action=action_of(service.name, route.function),
        role=caller.role.name if caller.role else "",
        method=route.method,
        route=route.path,
        parameters=ids_in(request.path_params),
        about=route.about,
        key_digest=digest,
    )


def _public(host: _Host, service: Service, route: Route) -> Callable[..., Any]:
    async def call(request: Request) -> Response:
        context = host.runtime.context(service)
        answer: Response | Heard = await route.function(request, context)
        if isinstance(answer, Heard):
            # The caller may discard its request once it has a 2xx, so the answer comes last.
            await publish_keyed(host.runtime, context, answer.feed, answer.events)
            return cast(Response, answer.response)
        return answer

    return call
