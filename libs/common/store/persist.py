"""Classifies transient faults of DynamoDB, and retries them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import ClientError as HttpError
from botocore.exceptions import ClientError, HTTPClientError
from botocore.parsers import ResponseParserError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from libs.common.store.values import too_deep_row, too_large_row

#: Codes of requests, statements and cancelled transactions that mean "retry later"; the suffix differs between them.
TRANSIENT = {
    "InternalServer", "InternalFailure", "LimitExceeded", "ProvisionedThroughputExceeded", "RequestLimitExceeded",
    "RequestTimeout", "ServiceUnavailable", "Throttling", "TransactionConflict", "TransactionInProgress",
}  # fmt: skip
#: Short first delays (50 ms), because a key is blocked while its write is retried; in total less than a visibility timeout.
MAX_ATTEMPTS = 8
MAX_RETRY_SECONDS = 15


class Unavailable(Exception):
    """DynamoDB did not complete a part within the retry limit. The operation may or may not have been applied."""


def is_transient(code: str) -> bool:
    return code.removesuffix("Exception").removesuffix("Error") in TRANSIENT


def is_retryable(error: BaseException) -> bool:
    """Whether another attempt can help."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or is_transient(error.response["Error"]["Code"])
    return isinstance(error, Unavailable | HTTPClientError | HttpError | ResponseParserError | TimeoutError)


def refusal(error: ClientError) -> Exception:
    """RowRefused if DynamoDB refuses the row itself, else the error unchanged."""
    reasons = error.response.get("CancellationReasons", [])
    fields = " ".join(str(each.get("Message", "")) for each in (error.response["Error"], *reasons))
    if "Item size" in fields:
        return too_large_row()
    return too_deep_row() if "Nesting Levels" in fields else error


async def persist(step: Callable[[], Awaitable[None]]) -> None:
    """Retry ``step`` while its error is transient; then raise the error."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(is_retryable),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_attempt(MAX_ATTEMPTS) | stop_after_delay(MAX_RETRY_SECONDS),
        reraise=True,
    ):
        with attempt:
            await step()
