"""Maps refusals of SendEmail to our error codes: by SES's exceptions (model 2019-09-27) and, where ambiguous, their
messages."""

from __future__ import annotations

from libs.messaging.errors import ErrorCode
from libs.messaging.providers.ses import bulk_code
from services.outbound.contract import Accepted, NotSent, Outcome, Rejected, Unknown
from services.outbound.sending.outcomes import Refused, by_code

_AWS = {
    "AccessDeniedException": ErrorCode.MISCONFIGURED,
    "AccountSuspendedException": ErrorCode.MISCONFIGURED,
    "SendingPausedException": ErrorCode.MISCONFIGURED,
    "MailFromDomainNotVerifiedException": ErrorCode.MISCONFIGURED,
    "MessageRejected": ErrorCode.INVALID_CONTENT,
    "BadRequestException": ErrorCode.INVALID_CONTENT,
    "ValidationException": ErrorCode.INVALID_CONTENT,
    "NotFoundException": ErrorCode.MISCONFIGURED,
    "ConflictException": ErrorCode.UNAVAILABLE,
    "ConcurrentModificationException": ErrorCode.UNAVAILABLE,
}
#: The 24-hour quota is rolling: an immediate retry is useless (SES: "wait up to 10 minutes").
QUOTA_RETRY_SECONDS = 600.0


def verdict(refused: Refused) -> Rejected | NotSent:
    """Returns the outcome of a 4xx other than throttling (which is handled alike for every channel)."""
    text = refused.message.lower()
    if refused.code == "LimitExceededException":
        detail = f"{refused.code}: {refused.message}"
        return NotSent(detail, QUOTA_RETRY_SECONDS, ErrorCode.THROTTLED, provider_code=refused.code)
    code = _AWS.get(refused.code, ErrorCode.UNKNOWN)
    if refused.code == "MessageRejected" and "not verified" in text:
        code = ErrorCode.MISCONFIGURED
    elif refused.code == "NotFoundException" and "template" in text:
        code = ErrorCode.TEMPLATE_MISSING
    elif refused.code == "BadRequestException" and ("invalid address" in text or "local address" in text):
        code = ErrorCode.INVALID_RECIPIENT
    return by_code(refused, code)


def entry_outcome(entry: dict[str, str]) -> Outcome:
    """Returns the outcome of one entry of SendBulkEmail, whose answer is a 200 even if every entry failed."""
    status, error = entry.get("Status", ""), entry.get("Error", "")
    if status == "SUCCESS":
        provider_id = entry.get("MessageId")
        return Accepted(provider_id) if provider_id else Unknown("the entry has no MessageId")
    if status == "ACCOUNT_DAILY_QUOTA_EXCEEDED":
        return NotSent(f"{status}: {error}", QUOTA_RETRY_SECONDS, ErrorCode.THROTTLED, provider_code=status)
    if not status or status == "FAILED":
        return Unknown(f"the entry says {status or 'nothing'}")
    return by_code(Refused(400, status, error), bulk_code(status))
