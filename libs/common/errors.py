"""Errors of handlers, by how the kit treats them."""

from __future__ import annotations

from datetime import datetime


class Malformed(Exception):
    """The message cannot be parsed; a retry cannot help. Dead-lettered with cause ``malformed``."""


class Unreadable(Exception):
    """A file or message of a stranger that cannot be read; the text says why. Passes from a child process to its parent
    (``isolated.py``)."""


class UnknownVersion(Exception):
    """This build does not know the event's type or version. Dead-lettered with cause ``version``; replay it with a newer build."""


class Poison(Exception):
    """A well-formed event that can never be applied. Dead-lettered at once with cause ``rejected``."""


class RetryLater(Exception):
    """A deferral without a fault: redeliver the event at ``until``. It does not count as an attempt."""

    def __init__(self, until: datetime, why: str) -> None:
        super().__init__(why)
        self.until = until
        self.why = why


class Conflict(Exception):
    """Another writer changed the row first. The handler is retried on fresh rows."""


class Problem(Exception):
    """A refusal that the caller can understand and act on (RFC 9457).

    ``code`` is stable and meant for programs, ``title`` and ``detail`` for people, ``errors`` names
    fields: ``[{"field": "phone", "detail": "…"}]``.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        errors: list[dict[str, str]] | None = None,
        **more: object,
    ) -> None:
        super().__init__(f"{code}: {detail or title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = errors or []
        self.more = more

    def document(self) -> dict[str, object]:
        """The body of an ``application/problem+json`` answer."""
        body: dict[str, object] = {"status": self.status, "code": self.code, "title": self.title, **self.more}
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = self.errors
        return body


class CopyRefusal(Problem):
    """A refusal by a local copy of another service's facts, which may be behind. The kit runs the request again until the copy
    had time to arrive (``copy.py``)."""


def invalid_fields(errors: list[dict[str, str]], code: str = "VALIDATION_FAILED") -> Problem:
    """The refusal of a request with invalid fields: ``{"field": "phone", "detail": "…"}`` for each."""
    named = ", ".join(error["field"] or "body" for error in errors)
    return Problem(422, code, "The request is not as it should be", f"See: {named}", errors)


def invalid(field: str, detail: str, code: str = "VALIDATION_FAILED") -> Problem:
    """The refusal of a request with one invalid field."""
    return invalid_fields([{"field": field, "detail": detail}], code)
