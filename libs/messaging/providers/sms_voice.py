"""Maps AWS End User Messaging SMS and Voice to statuses and error codes: reasons of refusals, event types; and its
voices.

Sources: model ``pinpoint-sms-voice-v2`` (2022-03-31; the ``Reason`` enums of its exceptions, ``VoiceId``), AWS, *Event
types for SMS, MMS and voice* and *RCS events*.
"""

from __future__ import annotations

from libs.messaging.channels import Channel
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Status

#: The reason of a refusal because the destination is on the account's own opt-out list.
OPTED_OUT_REASON = "DESTINATION_PHONE_NUMBER_OPTED_OUT"

_REASONS: dict[ErrorCode, str] = {
    ErrorCode.OPTED_OUT: OPTED_OUT_REASON,
    ErrorCode.BLOCKED: """
        DESTINATION_COUNTRY_BLOCKED DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION
        DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE""",
    ErrorCode.BILLING: """
        MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT MONTHLY_SPEND_LIMIT_REACHED_FOR_MEDIA MONTHLY_SPEND_LIMIT_REACHED_FOR_VOICE
        MONTHLY_SPEND_LIMIT_REACHED_FOR_RCS MONTHLY_SPEND_LIMIT_REACHED_FOR_NOTIFY PRICE_OVER_THRESHOLD""",
    ErrorCode.FREQUENCY_CAPPED: "DAILY_DESTINATION_CALL_LIMIT",
    ErrorCode.MEDIA_FAILED: "MEDIA_TYPE_NOT_SUPPORTED RESOURCE_NOT_ACCESSIBLE",
    ErrorCode.INVALID_CONTENT: """
        CANNOT_PARSE FIELD_VALIDATION_FAILED INVALID_PARAMETER INVALID_REQUEST MAXIMUM_SIZE_EXCEEDED MISSING_PARAMETER
        PARAMETERS_CANNOT_BE_USED_TOGETHER UNSPECIFIED_PARAMETER_NOT_SUPPORTED""",
    ErrorCode.MISCONFIGURED: """
        ACCOUNT_DISABLED CHANNEL_NOT_ENABLED COUNTRY_CODE_MISMATCH COUNTRY_NOT_ENABLED
        DAILY_NOTIFY_TIER_MESSAGE_LIMIT DESTINATION_PHONE_NUMBER_NOT_VERIFIED INSUFFICIENT_ACCOUNT_REPUTATION
        INTERNATIONAL_SENDING_NOT_SUPPORTED INVALID_ARN INVALID_IDENTITY_FOR_DESTINATION_COUNTRY MESSAGE_TYPE_MISMATCH
        NO_ORIGINATION_IDENTITIES_FOUND NOTIFY_CONFIGURATION_NOT_ACTIVE NUMBER_CAPABILITIES_MISMATCH
        PHONE_NUMBER_NOT_IN_REGISTRATION_REGION RESOURCE_NOT_ACTIVE SENDER_ID_NOT_REGISTERED SENDER_ID_NOT_SUPPORTED
        SENDER_ID_REQUIRES_REGISTRATION VOICE_CAPABILITY_NOT_AVAILABLE""",
}
REASONS: dict[str, ErrorCode] = {reason: code for code, reasons in _REASONS.items() for reason in reasons.split()}
EXCEPTIONS = {
    "AccessDeniedException": ErrorCode.MISCONFIGURED,
    "ResourceNotFoundException": ErrorCode.MISCONFIGURED,
    "ServiceQuotaExceededException": ErrorCode.MISCONFIGURED,
    "ValidationException": ErrorCode.INVALID_CONTENT,
}

#: The channel of an event by the first word of its type; it may differ from the message's channel (fallback).
CHANNELS = {"TEXT": Channel.SMS, "MEDIA": Channel.SMS, "VOICE": Channel.VOICE, "RCS": Channel.RCS}

Meaning = tuple[Status, ErrorCode | None]
_SENT: Meaning = (Status.SENT, None)
_TEXT: dict[str, Meaning] = {
    # Accepted by AWS or the carrier. SUCCESSFUL is reported by the carrier, in some countries as the last status; it is
    # not a confirmation of the handset.
    "QUEUED": _SENT,
    "PENDING": _SENT,
    "SENT": _SENT,
    "SUCCESSFUL": _SENT,
    # No receipt within 72 hours: the message was accepted, and its outcome is not known.
    "UNKNOWN": _SENT,
    "DELIVERED": (Status.DELIVERED, None),
    "INVALID": (Status.FAILED, ErrorCode.INVALID_RECIPIENT),
    "INVALID_MESSAGE": (Status.FAILED, ErrorCode.INVALID_CONTENT),
    "UNREACHABLE": (Status.FAILED, ErrorCode.UNDELIVERABLE),
    "CARRIER_UNREACHABLE": (Status.FAILED, ErrorCode.UNDELIVERABLE),
    "BLOCKED": (Status.FAILED, ErrorCode.BLOCKED),
    "CARRIER_BLOCKED": (Status.FAILED, ErrorCode.BLOCKED),
    "PROTECT_BLOCKED": (Status.FAILED, ErrorCode.BLOCKED),
    "SPAM": (Status.FAILED, ErrorCode.SPAM),
    "TTL_EXPIRED": (Status.FAILED, ErrorCode.EXPIRED),
}
_MEDIA: dict[str, Meaning] = {
    **_TEXT,
    "FILE_INACCESSIBLE": (Status.FAILED, ErrorCode.MEDIA_FAILED),
    "FILE_TYPE_UNSUPPORTED": (Status.FAILED, ErrorCode.MEDIA_FAILED),
    "FILE_SIZE_EXCEEDED": (Status.FAILED, ErrorCode.MEDIA_FAILED),
}
_VOICE: dict[str, Meaning] = {
    "INITIATED": _SENT,
    "RINGING": _SENT,
    # The call was answered, by a person or a machine; the text has not been spoken yet.
    "ANSWERED": _SENT,
    "COMPLETED": (Status.DELIVERED, None),
    "BUSY": (Status.FAILED, ErrorCode.UNDELIVERABLE),
    "NO_ANSWER": (Status.FAILED, ErrorCode.UNDELIVERABLE),
    "FAILED": (Status.FAILED, ErrorCode.UNDELIVERABLE),
    "TTL_EXPIRED": (Status.FAILED, ErrorCode.EXPIRED),
    "SPAM": (Status.FAILED, ErrorCode.SPAM),
    "PROTECT_BLOCKED": (Status.FAILED, ErrorCode.BLOCKED),
}
_RCS: dict[str, Meaning] = {
    "QUEUED": _SENT,
    "SENT": _SENT,
    # Sent on the fallback channel, whose own events follow.
    "FALLEN_BACK_TO_SMS": _SENT,
    "DELIVERED": (Status.DELIVERED, None),
    "READ": (Status.READ, None),
    "FAILED": (Status.FAILED, ErrorCode.UNDELIVERABLE),
    "TTL_EXPIRED": (Status.FAILED, ErrorCode.EXPIRED),
    "PROTECT_BLOCKED": (Status.FAILED, ErrorCode.BLOCKED),
}
EVENTS: dict[str, Meaning] = {
    f"{channel}_{word}": meaning
    for channel, words in (("TEXT", _TEXT), ("MEDIA", _MEDIA), ("VOICE", _VOICE), ("RCS", _RCS))
    for word, meaning in words.items()
}
#: An expired RCS message that could not be revoked may still be delivered.
STILL_OUT = "TTL_EXPIRATION_REVOKE_FAILED"

_VOICES = """
    AMY ASTRID BIANCA BRIAN CAMILA CARLA CARMEN CELINE CHANTAL CONCHITA CRISTIANO DORA EMMA ENRIQUE EWA FILIZ GERAINT
    GIORGIO GWYNETH HANS INES IVY JACEK JAN JOANNA JOEY JUSTIN KARL KENDRA KIMBERLY LEA LIV LOTTE LUCIA LUPE MADS MAJA
    MARLENE MATHIEU MATTHEW MAXIM MIA MIGUEL MIZUKI NAJA NICOLE PENELOPE RAVEENA RICARDO RUBEN RUSSELL SALLI SEOYEON
    TAKUMI TATYANA VICKI VITORIA ZEINA ZHIYU"""
VOICES = frozenset(_VOICES.split())


def refusal_code(exception: str, reason: str) -> ErrorCode:
    """Returns the error code of a refused request: by its reason, else by the exception; UNKNOWN if neither is in the
    tables."""
    return REASONS.get(reason) or EXCEPTIONS.get(exception, ErrorCode.UNKNOWN)
