"""When a job stops itself: by what its recipients' messages come to. Pure. Codes and transactional messages go on."""

from __future__ import annotations

from collections.abc import Mapping

from libs.messaging.channels import Channel

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
    for limit in channel.traits.pause_rules:
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
