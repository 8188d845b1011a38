"""The outcome of a send, from the error that the client raised (AWS's or :mod:`libs.common.aws.rest`), for every channel.

There are three kinds. Nothing was sent: NotSent. The provider read the request and refused it: the channel's table of codes
gives the meaning. Anything in between: Unknown. Checked against aiobotocore 3.10 and botocore 1.44.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientConnectorError, ConnectionTimeoutError
from botocore import exceptions as boto

from libs.common.aws.rest import Answered, NoToken
from libs.messaging.errors import ErrorCode
from services.outbound.contract import Accepted, NotSent, Outcome, Rejected, Unknown

#: Raised before a connection exists: nothing can have left.
_BEFORE: tuple[tuple[type[Exception], str], ...] = (
    (boto.SSLError, "no TLS connection"),
    (boto.ConnectTimeoutError, "no connection in time"),
    (boto.ProxyConnectionError, "no connection to the proxy"),
    (boto.NoCredentialsError, "no credentials"),
    (boto.PartialCredentialsError, "no credentials"),
    (boto.CredentialRetrievalError, "no credentials"),
    (boto.NoRegionError, "no region is set"),
    (NoToken, "no credentials"),
    (ConnectionTimeoutError, "no connection in time"),
    (ClientConnectorError, "no connection (refused, no TLS, or the name is not known)"),
)
#: Throttling codes (botocore's list without LimitExceededException, which is a hard limit).
_THROTTLED = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "ThrottledRequestException", "RequestThrottled",
        "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded",
        "SlowDown", "PriorRequestNotComplete",
    }
)  # fmt: skip
#: Refused because of our credentials or clock, not because of the message: it can be sent once that is fixed.
_REFUSED_BEFORE_SEND = frozenset(
    {
        "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException",
        "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "UnrecognizedClientException",
    }
)  # fmt: skip
#: Error codes that mean "retry later", not "refused".
_LATER = frozenset({ErrorCode.THROTTLED, ErrorCode.UNAVAILABLE})


@dataclass(frozen=True)
class Refused:
    """A refusal (4xx) of the provider: ``code`` is the exception; ``reason`` and ``fields`` (members of the request) are set if
    the service's exceptions have them."""

    status: int
    code: str
    message: str
    reason: str = ""
    fields: tuple[str, ...] = ()


async def outcome_of(
    call: Awaitable[dict[str, Any]], answer_id: str, verdict: Callable[[Refused], Rejected | NotSent]
) -> Outcome:
    """Awaits the one call of a send. ``answer_id`` names the member with the provider's id; ``verdict`` is the channel's
    interpretation of a refusal (see :func:`by_code`)."""
    try:
        answer = await call
    except Exception as error:
        return classify(error, verdict)
    provider_id = answer.get(answer_id) if isinstance(answer, dict) else None
    if isinstance(provider_id, str) and provider_id:
        return Accepted(provider_id)
    return Unknown(f"the answer has no {answer_id}")


def was_answered(error: Exception) -> bool:
    """Whether the error of a harmless read is an answer of the provider: a refusal, or throttling."""
    outcome = classify(error, lambda refused: Rejected(ErrorCode.UNKNOWN, refused.code))
    return isinstance(outcome, Rejected) or (isinstance(outcome, NotSent) and outcome.provider_code is not None)


def by_code(
    refused: Refused, code: ErrorCode, provider_code: str | None = None, growth: float = 2.0
) -> Rejected | NotSent:
    """The outcome that belongs to one of our error codes."""
    theirs = provider_code or refused.code
    if code in _LATER:
        return NotSent(f"{theirs}: {refused.message}", code=code, growth=growth, provider_code=theirs)
    return Rejected(code, theirs, refused.message)


def classify(error: Exception, verdict: Callable[[Refused], Rejected | NotSent]) -> Outcome:
    """The outcome behind an error of the client."""
    if isinstance(error, Answered):
        return _judged(Refused(error.status, error.code, error.message), error.retry_after, verdict)
    if isinstance(error, boto.ClientError):
        return _answered(error, verdict)
    if isinstance(error, boto.ParamValidationError):
        return Rejected(ErrorCode.INVALID_CONTENT, "ParamValidation", str(error))
    for kind, cause in _BEFORE:
        if isinstance(error, kind):
            return NotSent(cause)
    if isinstance(error, boto.EndpointConnectionError) and _never_connected(error):
        return NotSent("no connection (refused, or the name is not known)")
    return Unknown(_named(error))


def _never_connected(error: Exception) -> bool:
    """aiobotocore calls every aiohttp ClientConnectionError an EndpointConnectionError, a reset in mid-request too. Only
    the connector's own error is from before the connection."""
    cause = getattr(error, "kwargs", {}).get("error") or error.__cause__ or error.__context__
    return isinstance(cause, ClientConnectorError)


def _answered(error: Any, verdict: Callable[[Refused], Rejected | NotSent]) -> Outcome:
    details = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    code, message = str(details.get("Code", "")), str(details.get("Message") or "")
    status = metadata.get("HTTPStatusCode", 0)
    fields = tuple(str(each.get("Name")) for each in error.response.get("Fields") or () if isinstance(each, dict))
    refused = Refused(status, code, message, str(error.response.get("Reason") or ""), fields)
    return _judged(refused, metadata.get("HTTPHeaders", {}).get("retry-after"), verdict)


def _judged(refused: Refused, retry_after: str | None, verdict: Callable[[Refused], Rejected | NotSent]) -> Outcome:
    """The outcome of an answer other than 2xx."""
    status, code, cause = refused.status, refused.code, f"{refused.code}: {refused.message}"
    if status == 429 or (code in _THROTTLED and 400 <= status < 500):
        known = verdict(refused)
        growth = known.growth if isinstance(known, NotSent) else 2.0
        return NotSent(cause, _seconds(retry_after), ErrorCode.THROTTLED, growth, code)
    if not 400 <= status < 500 or status == 408:
        return Unknown(f"HTTP {status} {code}".rstrip())
    if code in _REFUSED_BEFORE_SEND:
        return NotSent(cause, provider_code=code)
    return verdict(refused)


def _seconds(header: str | None) -> float | None:
    """``Retry-After`` in seconds; its other form, a date, is not used by these services."""
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None


def _named(error: Exception) -> str:
    inner = getattr(error, "kwargs", {}).get("error")
    return f"{type(error).__name__} ({type(inner).__name__})" if inner is not None else type(error).__name__
