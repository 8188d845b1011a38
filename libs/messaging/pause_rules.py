"""Auto-pause rules of bulk jobs: shares of recipients whose messages ended in certain error codes."""

from __future__ import annotations

from dataclasses import dataclass

from libs.messaging.errors import ErrorCode


@dataclass(frozen=True)
class PauseRule:
    """Pauses the job when more than ``share`` of at least ``least`` settled recipients, and at least ``count`` of them, ended
    in one of ``codes``."""

    name: str
    codes: frozenset[ErrorCode]
    share: float
    count: int = 5
    least: int = 50


_BOUNCED = frozenset({ErrorCode.UNDELIVERABLE, ErrorCode.INVALID_RECIPIENT})
_COMPLAINED = frozenset({ErrorCode.SPAM, ErrorCode.BLOCKED})
_OURS = frozenset({ErrorCode.UNKNOWN, ErrorCode.MISCONFIGURED, ErrorCode.BILLING, ErrorCode.TEMPLATE_REJECTED,
                   ErrorCode.TEMPLATE_MISSING, ErrorCode.INVALID_CONTENT, ErrorCode.SENDER_NOT_ALLOWED})  # fmt: skip
_ANY_PROVIDER = (
    PauseRule("errors of ours or unknown ones", _OURS, 0.2, count=20, least=20),
    PauseRule("sends without an answer", frozenset({ErrorCode.NOT_CONFIRMED}), 0.6, count=200, least=200),
)
#: 131049 is Meta's "not delivered to maintain healthy ecosystem engagement": further sends make it worse.
STANDARD_RULES = (
    PauseRule("undeliverable addresses", _BOUNCED, 0.3, count=20),
    PauseRule("complaints or blocks", _COMPLAINED, 0.02),
    PauseRule("the provider's limit for marketing (131049)", frozenset({ErrorCode.FREQUENCY_CAPPED}), 0.2, count=10),
    *_ANY_PROVIDER,
)
#: SES pauses accounts at 10 % bounces or 0.5 % complaints and reviews them at 5 % and 0.1 % (AWS, SES sender review).
MAIL_RULES = (
    PauseRule("bounces", _BOUNCED, 0.05, count=5),
    PauseRule("complaints", _COMPLAINED, 0.001, count=2),
    *_ANY_PROVIDER,
)
