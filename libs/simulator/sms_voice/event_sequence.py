"""The events of an accepted message, by channel and outcome."""

from __future__ import annotations

from libs.simulator.behaviour import Behaviour
from libs.simulator.event_timing import SeededRandom

TEXT: dict[str, list[str]] = {
    "undeliverable": ["INVALID"],
    "fails_after_sent": ["PENDING", "CARRIER_BLOCKED"],
    "blocked": ["PENDING", "CARRIER_BLOCKED"],
    "unreachable": ["PENDING", "UNREACHABLE"],
    "unknown": ["UNKNOWN"],
    "silent": [],
    "failed": ["PENDING", "UNREACHABLE"],
    "invalid_message": ["INVALID_MESSAGE"],
}
VOICE: dict[str, list[str]] = {
    "undeliverable": ["INITIATED", "FAILED"],
    "fails_after_sent": ["INITIATED", "RINGING", "FAILED"],
    "blocked": ["INITIATED", "BUSY"],
    "unreachable": ["INITIATED", "RINGING", "NO_ANSWER"],
    "unknown": ["INITIATED"],
    "silent": [],
    "failed": ["INITIATED", "RINGING", "NO_ANSWER"],
}
RCS: dict[str, list[str]] = {
    "undeliverable": ["FAILED"],
    "fails_after_sent": ["SENT", "FAILED"],
    "blocked": ["REJECTED"],
    "unreachable": ["SENT", "TTL_EXPIRED"],
    "unknown": ["SENT"],
    "silent": [],
    "unread": ["SENT", "DELIVERED"],
    "failed": ["SENT", "FAILED"],
}
FALLS_BACK = ("FAILED", "TTL_EXPIRED")


def course(channel: str, outcome: str, behaviour: Behaviour, dice: SeededRandom, fallback: str | None) -> list[str]:
    """Event names with their channel, such as `TEXT_DELIVERED`; `fallback` is SMS, MMS or None (RCS only)."""
    read, failed = dice.chance(behaviour.read_share), dice.chance(behaviour.fail_share)
    if failed and outcome == "normal":
        outcome = "failed"
    if channel == "RCS":
        return _rcs(outcome, read, fallback)
    if channel == "VOICE":
        usual = ["INITIATED", "RINGING", "ANSWERED", "COMPLETED"]
        return [f"VOICE_{name}" for name in VOICE.get(outcome, usual)]
    last = "SUCCESSFUL" if behaviour.sms_receipts == "successful" else "DELIVERED"
    return [f"{channel}_{name}" for name in TEXT.get(outcome, ["PENDING", last])]


def _rcs(outcome: str, read: bool, fallback: str | None) -> list[str]:
    usual = ["SENT", "DELIVERED", "READ"] if read else ["SENT", "DELIVERED"]
    names = RCS.get(outcome, usual)
    if fallback is not None and names and names[-1] in FALLS_BACK:
        channel = "TEXT" if fallback == "SMS" else "MEDIA"
        rest = [f"{channel}_PENDING", f"{channel}_DELIVERED"]
        return [*(f"RCS_{name}" for name in names[:-1]), "RCS_FALLEN_BACK_TO_SMS", *rest]
    return [f"RCS_{name}" for name in names]
