"""The only access for logs: JSON lines on stderr, in which no body, address or secret appears. What libraries log, and what ends
the process, goes the same way."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import structlog

#: Fields whose values are never logged.
HIDDEN = frozenset(
    [
        "address",
        "authorization",
        "body",
        "caption",
        "content",
        "email",
        "html",
        "password",
        "phone",
        "recipient",
        "secret",
        "text",
        "token",
    ]
)
#: Each pattern is linear in the length of any text: a run of characters is matched from its start only.
_PATTERNS = (
    (re.compile(r"(?i)\bbearer\s++[\w.~+/=-]+|(?<![\w-])(?>[\w-]*?\beyJ)[\w-]++\.[\w-]++\.[\w-]*"), "[token]"),
    (re.compile(r"(?<![\w.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)+"), "[email]"),
    (re.compile(r"\+\d[\d ().-]{5,18}\d|(?<![\w.-])\d{10,15}(?![\w-])"), "[phone]"),
    (re.compile(r"input_value=.{0,1000}?, input_type="), "input_value=[hidden], input_type="),
)
_MAX_LENGTH = 500
#: Lower levels of libraries are never logged: they log URLs and bodies.
MIN_LIBRARY_LEVEL = logging.WARNING
#: Characters of a text times secrets to search for; a text above this limit is not logged.
MAX_COMPARISONS = 10_000_000

#: The context of the running task (queue, event, correlation), added to every line. A separate variable instead of
#: structlog's: it is set for each event, and read only when a line is written.
about: ContextVar[dict[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed in place


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask ``secrets``, then everything that resembles a phone number, an e-mail address or a token. Ids are not masked."""
    for secret in secrets:
        text = text.replace(secret, "[hidden]")
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def secrets_in(data: Any) -> Iterator[str]:
    """The strings in a wire object under a name of :data:`HIDDEN`; an exception may quote them."""
    waiting: list[tuple[Any, bool]] = [(data, False)]
    while waiting:
        value, hidden = waiting.pop()
        if isinstance(value, str):
            if hidden and len(value) > 2:
                yield value
        elif isinstance(value, dict):
            waiting.extend((child, hidden or str(key).lower() in HIDDEN) for key, child in value.items())
        elif isinstance(value, list):
            waiting.extend((child, hidden) for child in value)


def describe(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """The text of an exception, redacted and truncated. Never raises: falls back to the type of the exception."""
    try:
        text, hidden = str(error), set(secrets)
        if len(text) * len(hidden) > MAX_COMPARISONS:
            return f"{type(error).__name__} (too long to be described)"
        for secret in sorted(hidden, key=len, reverse=True):
            text = text.replace(secret, "[hidden]")
        # Truncated after masking: a secret is found only if it is complete.
        return redact(text[: 8 * _MAX_LENGTH])[:_MAX_LENGTH]
    except Exception:
        return f"{type(error).__name__} (it cannot be described)"


def where(error: BaseException) -> list[str]:
    """The innermost frames of a traceback, without values. Never raises."""
    try:
        return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__, limit=-6)]
    except Exception:
        return []


def configure(level: str = "INFO") -> None:
    """Set up logging for a process: ours, the standard library's (:class:`StandardLibrary`), and of an error that ends it."""
    number = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _about,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _exceptions,
            _redacted,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    root = logging.getLogger()
    # Lambda has a handler of its own there, which would write each line again as it is.
    root.handlers[:] = [StandardLibrary()]
    root.setLevel(max(number, MIN_LIBRARY_LEVEL))
    logging.captureWarnings(True)
    sys.excepthook = _ended


class StandardLibrary(logging.Handler):
    """The root handler: records of the standard library's loggers (uvicorn's, asyncio's, an SDK's) become structured lines,
    of the first line of their message and of their exception, if any."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        log = structlog.get_logger()
        try:
            events = record.getMessage().partition("\n")[0][:_MAX_LENGTH]
        except Exception as unfit:
            # The message does not fit its arguments, which may hold anything.
            log.log(level, "a log record that cannot be read", logger=record.name, error=type(unfit).__name__)
            return
        error = record.exc_info[1] if record.exc_info else None
        log.log(level, events, logger=record.name, **({"exc_info": error} if error else {}))


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger().critical("the process ended by an error", exc_info=error)


def _about(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**about.get(), **entry}


def _exceptions(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    error = entry.pop("exc_info", None)
    error = sys.exc_info()[1] if error is True else error
    if isinstance(error, BaseException):
        entry.update(error=type(error).__name__, why=describe(error), where=where(error))
    return entry


def _redacted(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key == "time" else _masked(key, value) for key, value in entry.items()}


def _masked(key: str, value: Any) -> Any:
    if key.lower() in HIDDEN:
        return "[hidden]"
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {k: _masked(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", v) for v in value]
    return value if isinstance(value, int | float | bool | None) else redact(str(value))
