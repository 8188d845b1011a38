"""What each message class promises: how long it lives and what becomes of a send whose outcome is uncertain.

These are the shipped defaults of the promises; a setting can tighten them, never loosen them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from libs.messaging.vocabulary import Channel, MessageClass


@dataclass(frozen=True)
class ClassPolicy:
    """``resends``: how often an uncertain send may be sent again after ``window``; each is recorded and audited. When
    ``deadline`` has passed without a report it becomes ``unknown``."""

    resends: int
    window: timedelta
    deadline: timedelta
    time_to_live: timedelta


_DAY = timedelta(hours=24)
_SHORT_WAIT = timedelta(seconds=60)
_LONG_WAIT = timedelta(minutes=5)


def policy(message_class: MessageClass, channel: Channel) -> ClassPolicy:
    """The policy of a class on a channel."""
    if channel is Channel.VOICE:
        return ClassPolicy(0, timedelta(hours=72), timedelta(hours=72), timedelta(minutes=10))
    if message_class is MessageClass.OTP:
        return ClassPolicy(1, timedelta(seconds=5), timedelta(seconds=300), timedelta(seconds=300))
    if message_class is MessageClass.TRANSACTIONAL:
        window = _LONG_WAIT if channel in (Channel.SMS, Channel.RCS) else _SHORT_WAIT
        return ClassPolicy(1, window, window * 2, _DAY)
    if message_class is MessageClass.REPLY:
        return ClassPolicy(0, _SHORT_WAIT, _SHORT_WAIT, _DAY)
    return ClassPolicy(0, timedelta(hours=72), timedelta(hours=72), timedelta(hours=72))
