"""Every refusal and failure as a problem document (RFC 9457) with a stable ``code``."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from libs.common.errors import Problem, invalid_fields
from libs.common.store.ops import BadCursor

log = structlog.get_logger()


def answer_in_problems(app: FastAPI) -> None:
    """Make the application answer every error with a problem document."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(BadCursor, _bad_cursor)
    app.add_exception_handler(Exception, _broken)


def problem_response(problem: Problem) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
    return JSONResponse(
        problem.document(), status_code=problem.status, media_type="application/problem+json", headers=headers
    )


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


async def _broken(request: Request, error: Exception) -> Response:
    # Never the path itself: an address can carry a token.
    path = getattr(request.scope.get("route"), "path", "")
    log.error("request failed", path=path, error=type(error).__name__, exc_info=error)
    return problem_response(Problem(500, "INTERNAL", "Something went wrong on our side; it is safe to try again"))
