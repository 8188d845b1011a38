"""Every refusal and failure as a problem document (RFC 9457) with a stable ``code``."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from libs.common.errors import Problem, invalid_fields
from libs.common.store.ops import BadCursor

log = structlog.get_logger()


def answer_in_problems(app: FastAPI) -> None:
    """Makes the application answer every refusal with a problem document. Unexpected errors are answered by the outermost
    middleware (:func:`broken`): an exception handler of the application would raise them again for the server to log."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(BadCursor, _bad_cursor)


def problem_response(problem: Problem) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
    return JSONResponse(
        problem.document(), status_code=problem.status, media_type="application/problem+json", headers=headers
    )


def brings_body(scope: Scope) -> bool:
    """Whether a request announces a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in scope["headers"]
    )


async def refuse(
    problem: Problem, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str] | None = None
) -> None:
    """Answer, and hang up if a body was announced: it is not waited for, or a client that sends it slowly holds the
    connection."""
    answer = problem_response(problem)
    answer.headers.update(headers or {})
    if brings_body(scope):
        answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(str(part) for part in e["loc"] if part not in ("body", "query", "path")), "detail": e["msg"]}
        for e in error.errors()
    ]
    return problem_response(invalid_fields(errors))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "REFUSED")
    return problem_response(Problem(error.status_code, code, str(error.detail)))


async def _bad_cursor(_: Request, error: Exception) -> Response:
    errors = [{"field": "cursor", "detail": "Use the cursor of the page before, with the same filters."}]
    return problem_response(Problem(422, "BAD_CURSOR", "This cursor does not belong to this list", "", errors))


def broken(error: Exception, path: str) -> Response:
    """The answer to a request that failed, which is logged. ``path`` is the route's: an address can carry a token."""
    log.error("request failed", path=path, error=type(error).__name__, exc_info=error)
    return problem_response(Problem(500, "INTERNAL", "Something went wrong on our side; it is safe to try again"))
