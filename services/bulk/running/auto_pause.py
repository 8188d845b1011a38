"""Auto-pause of a job, based on the outcomes of its messages. Pure. OTPs and transactional messages are not
affected."""

from __future__ import annotations

from collections.abc import Mapping

from libs.messaging.channels import Channel

MAX_OPT_OUT_SHARE, MIN_OPT_OUTS = 0.02, 5
_DONE_STATUSES = ("uncertain", "sent", "delivered", "read", "failed", "skipped")


def opt_outs_allowed(counts: Mapping[str, int]) -> int:
    """Returns the maximum of opt-outs; above it the job is paused."""
    return max(MIN_OPT_OUTS, int(MAX_OPT_OUT_SHARE * sum(counts.get(status, 0) for status in _DONE_STATUSES)))


def pause_reason(
    channel: Channel, counts: Mapping[str, int], reasons: Mapping[str, int], base: Mapping[str, int]
) -> str | None:
    """Returns why the job should be paused, or None. ``base`` has the counts at the last resume, which are ignored."""
    done = sum(counts.get(status, 0) for status in _DONE_STATUSES) - base.get("done", 0)
    for limit in channel.traits.pause_rules:
        bad = sum(reasons.get(code, 0) - base.get(code, 0) for code in limit.codes)
        if done >= limit.least and bad >= limit.count and bad > limit.share * done:
            return f"{limit.name}: {bad} of {done} recipients ({bad / done:.0%}; the limit is {limit.share:.1%})"
    return None


def baseline_of(counts: Mapping[str, int], reasons: Mapping[str, int]) -> dict[str, int]:
    """Returns the counts to ignore after a resume: all that are known now."""
    return {
        "done": sum(counts.get(status, 0) for status in _DONE_STATUSES),
        **{str(code): n for code, n in reasons.items()},
    }
