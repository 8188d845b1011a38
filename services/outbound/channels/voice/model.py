"""The record of a call, built from the provider's reports. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.store.item import Index, Item, Table
from libs.messaging.events.inbound import ReceiptReceived
from libs.messaging.vocabulary import Direction

RETENTION = timedelta(days=90)


class CallStatus(StrEnum):
    """The provider's statuses, and ``unknown`` for any other."""

    UNKNOWN = "unknown"
    INITIATED = "initiated"
    RINGING = "ringing"
    ANSWERED = "answered"
    TTL_EXPIRED = "ttl_expired"
    PROTECT_BLOCKED = "protect_blocked"
    SPAM = "spam"
    FAILED = "failed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    COMPLETED = "completed"


#: Reports arrive in any order: a status is never replaced by an earlier one in this list. The order of the final statuses
#: is arbitrary, except that ``completed`` is last.
_ORDER = list(CallStatus)
_ENDS = frozenset(_ORDER[_ORDER.index(CallStatus.TTL_EXPIRED) :])


class VoiceCall(Item):
    """One call. ``call_id`` is our message id; ``duration_seconds`` and ``minutes`` (billed) come with the final
    report. ``events`` holds the time of each event, by the provider's name; a completed call may have been answered by
    an answering machine. ``stream`` is one value, the index key of all calls: there are few (20 a minute at most)."""

    TABLE: ClassVar[Table] = Table(
        "voice-call",
        key="callId",
        indexes=(
            Index("by-contact", hash="contactId", sort="startedAt"),
            Index("by-status", hash="status", sort="startedAt"),
            Index("by-time", hash="stream", sort="startedAt"),
        ),
        ttl="expiresAt",
    )

    call_id: str
    contact_id: str
    number: str | None = None
    #: Our number or pool that called.
    caller: str | None = None
    provider: str = "aws-sms-voice"
    provider_id: str
    #: ``message``: a text that is read out. No other type exists yet.
    type: str = "message"
    direction: Direction = Direction.OUTBOUND
    status: CallStatus = CallStatus.UNKNOWN
    duration_seconds: int | None = None
    minutes: int | None = None
    #: As the provider reports it, in USD; its unit is not documented further.
    price: float | None = None
    started_at: Timestamp
    answered_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    events: dict[str, Timestamp] = Field(default_factory=dict)
    stream: str = "all"
    expires_at: int = 0


def call_started(receipt: ReceiptReceived, contact_id: str) -> VoiceCall:
    """Returns the call for the first report that arrives about it."""
    started = receipt.at
    requested = _moment(receipt.details.get("messageRequestTimestamp"), started)
    return VoiceCall(
        call_id=receipt.message_id or receipt.provider_id,
        contact_id=contact_id,
        number=_text(receipt.details.get("destinationPhoneNumber")),
        caller=_text(receipt.details.get("originationPhoneNumber")),
        provider_id=receipt.provider_id,
        started_at=requested,
        expires_at=int((requested + RETENTION).timestamp()),
    )


def reported(call: VoiceCall, receipt: ReceiptReceived) -> VoiceCall:
    """Returns the call updated by this report; the same call if it adds nothing."""
    word = receipt.provider_status.removeprefix("VOICE_").lower()
    if word in call.events:
        return call
    status = CallStatus(word) if word in _ORDER else CallStatus.UNKNOWN
    change: dict[str, object] = {"events": {**call.events, word: receipt.at}}
    if _ORDER.index(status) > _ORDER.index(call.status):
        change["status"] = status
        if status in _ENDS:
            change["ended_at"] = receipt.at
    if status is CallStatus.ANSWERED:
        change["answered_at"] = receipt.at
    facts = {
        "duration_seconds": _whole(receipt.details.get("callDurationInSeconds")),
        "minutes": _whole(receipt.details.get("totalDurationInMinutes")),
        "price": _number(receipt.details.get("totalMessagePrice")),
    }
    if status in _ENDS and change.get("status") is status:
        change |= {name: value for name, value in facts.items() if value is not None}
    return call.model_copy(update=change)


def _moment(value: object, otherwise: datetime) -> datetime:
    """Converts milliseconds since 1970."""
    try:
        number = _number(value)
        return datetime.fromtimestamp(number / 1000, otherwise.tzinfo) if number is not None else otherwise
    except (OverflowError, OSError, ValueError):
        return otherwise


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
