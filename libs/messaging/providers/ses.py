"""Maps Amazon SES's events, bounces and bulk entries to statuses and error codes. Sources: *Amazon SES developer
guide*, "Contents of event data that Amazon SES publishes to Amazon SNS"; SES API v2, ``BulkEmailEntryResult`` (model
2019-09-27)."""

from __future__ import annotations

from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Status

#: The status that an event proves. A delay is not final: the message was accepted and is still being delivered. Opens
#: and clicks of likely bots prove the delivery only (see :func:`status_of`).
EVENTS: dict[str, Status] = {
    "Send": Status.SENT,
    "DeliveryDelay": Status.SENT,
    "Delivery": Status.DELIVERED,
    "Open": Status.READ,
    "Click": Status.READ,
    "Bounce": Status.FAILED,
    "Complaint": Status.FAILED,
    "Reject": Status.FAILED,
    "Rendering Failure": Status.FAILED,
    "RenderingFailure": Status.FAILED,
}

_SUPPRESSED = frozenset(
    {"Suppressed", "OnAccountSuppressionList", "OnTenantSuppressionList", "EmailValidationSuppressed"}
)
_BOUNCES: dict[str, ErrorCode] = {
    "NoEmail": ErrorCode.INVALID_RECIPIENT,
    "MessageTooLarge": ErrorCode.INVALID_CONTENT,
    "CustomTimeoutExceeded": ErrorCode.EXPIRED,
    "ContentRejected": ErrorCode.SPAM,
    "AttachmentRejected": ErrorCode.MEDIA_FAILED,
    **dict.fromkeys(_SUPPRESSED, ErrorCode.SUPPRESSED),
}
#: Failure statuses of an entry of SendBulkEmail.
BULK_ENTRIES: dict[str, ErrorCode] = {
    "MESSAGE_REJECTED": ErrorCode.INVALID_CONTENT,
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": ErrorCode.MISCONFIGURED,
    "CONFIGURATION_SET_NOT_FOUND": ErrorCode.MISCONFIGURED,
    "TEMPLATE_NOT_FOUND": ErrorCode.TEMPLATE_MISSING,
    "ACCOUNT_SUSPENDED": ErrorCode.MISCONFIGURED,
    "ACCOUNT_THROTTLED": ErrorCode.THROTTLED,
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": ErrorCode.THROTTLED,
    "INVALID_SENDING_POOL_NAME": ErrorCode.MISCONFIGURED,
    "ACCOUNT_SENDING_PAUSED": ErrorCode.MISCONFIGURED,
    "CONFIGURATION_SET_SENDING_PAUSED": ErrorCode.MISCONFIGURED,
    "INVALID_PARAMETER": ErrorCode.INVALID_CONTENT,
    "TRANSIENT_FAILURE": ErrorCode.UNAVAILABLE,
    "FAILED": ErrorCode.UNKNOWN,
}


def status_of(event: str, likely_bot: bool) -> Status:
    """Returns the status that an event reports; UNKNOWN for an unknown event."""
    status = EVENTS.get(event, Status.UNKNOWN)
    return Status.DELIVERED if status is Status.READ and likely_bot else status


def bounce_code(subtype: str) -> ErrorCode:
    """Returns the error code of a bounce by its subtype; UNDELIVERABLE for a subtype that is not in the table."""
    return _BOUNCES.get(subtype, ErrorCode.UNDELIVERABLE)


def is_hard(kind: str) -> bool:
    """Whether the bounce is permanent: SES requires no more mail to the address. A transient or undetermined bounce has
    no such consequence."""
    return kind == "Permanent"


def is_suppressed(subtype: str) -> bool:
    """Whether SES did not attempt delivery because the address is on a suppression list."""
    return subtype in _SUPPRESSED


def bulk_code(status: str) -> ErrorCode:
    """Returns the error code of a rejected entry of SendBulkEmail."""
    return BULK_ENTRIES.get(status, ErrorCode.UNKNOWN)
