"""When a job stops itself: by what its recipients' messages come to. Pure. Codes and transactional messages go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Channel


@dataclass(frozen=True)
class AutoPauseRule:
    """More than ``share`` of at least ``least`` settled recipients, and at least ``count`` of them, ended so."""

    name: str
    codes: frozenset[ErrorCode]
    share: float
    count: int = 5
    least: int = 50


#: SES pauses accounts at 10 % bounces or 0.5 % complaints and reviews them at 5 % and 0.1 % (AWS, SES sender review).
#: 131049 is Meta's "not delivered to maintain healthy ecosystem engagement": going on makes it worse.
_BOUNCED = frozenset({ErrorCode.UNDELIVERABLE, ErrorCode.INVALID_RECIPIENT})
_COMPLAINED = frozenset({ErrorCode.SPAM, ErrorCode.BLOCKED})
_OURS = frozenset({ErrorCode.UNKNOWN, ErrorCode.MISCONFIGURED, ErrorCode.BILLING, ErrorCode.TEMPLATE_REJECTED,
                   ErrorCode.TEMPLATE_MISSING, ErrorCode.INVALID_CONTENT, ErrorCode.SENDER_NOT_ALLOWED})  # fmt: skip
RULES = (
    AutoPauseRule("undeliverable addresses", _BOUNCED, 0.3, count=20),
    AutoPauseRule("complaints or blocks", _COMPLAINED, 0.02),
    AutoPauseRule(
        "the provider's limit for marketing (131049)", frozenset({ErrorCode.FREQUENCY_CAPPED}), 0.2, count=10
    ),
    AutoPauseRule("errors of ours or unknown ones", _OURS, 0.2, count=20, least=20),
    AutoPauseRule("sends without an answer", frozenset({ErrorCode.NOT_CONFIRMED}), 0.6, count=200, least=200),
)
EMAIL_RULES = (
    AutoPauseRule("bounces", _BOUNCED, 0.05, count=5),
    AutoPauseRule("complaints", _COMPLAINED, 0.001, count=2),
    *RULES[3:],
)
MAX_OPT_OUT_SHARE, MIN_OPT_OUTS = 0.02, 5
_DONE_STATUSES = ("uncertain", "sent", "delivered", "read", "failed", "skipped")


def opt_outs_allowed(counts: Mapping[str, int]) -> int:
    """More opt-outs than these stop the job."""
    return max(MIN_OPT_OUTS, int(MAX_OPT_OUT_SHARE * sum(counts.get(status, 0) for status in _DONE_STATUSES)))


def pause_reason(
    channel: Channel, counts: Mapping[str, int], reasons: Mapping[str, int], base: Mapping[str, int]
) -> str | None:
    """Why the job should stop, or None. ``base`` is what had been seen when somebody let it go on: it does not count again."""
    done = sum(counts.get(status, 0) for status in _DONE_STATUSES) - base.get("done", 0)
    for limit in EMAIL_RULES if channel is Channel.EMAIL else RULES:
        bad = sum(reasons.get(code, 0) - base.get(code, 0) for code in limit.codes)
        if done >= limit.least and bad >= limit.count and bad > limit.share * done:
            return f"{limit.name}: {bad} of {done} recipients ({bad / done:.0%}; the limit is {limit.share:.1%})"
    return None


def baseline_of(counts: Mapping[str, int], reasons: Mapping[str, int]) -> dict[str, int]:
    """What does not count again: all that is known now."""
    return {
        "done": sum(counts.get(status, 0) for status in _DONE_STATUSES),
        **{str(code): n for code, n in reasons.items()},
    }
