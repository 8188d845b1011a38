"""Policies of the message classes: time to live, deadlines, and resends of sends whose outcome is uncertain.

These are the defaults; a setting can make them stricter, never looser. Each channel's traits contain its policies
(:mod:`libs.messaging.channels`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from libs.messaging.vocabulary import MessageClass


@dataclass(frozen=True)
class ClassPolicy:
    """A policy. ``resends``: how often an uncertain send may be resent after ``window``; each resend is recorded and
    audited. A send without a final report by ``deadline`` becomes ``unknown``."""

    resends: int
    window: timedelta
    deadline: timedelta
    time_to_live: timedelta


_DAY, _THREE_DAYS = timedelta(hours=24), timedelta(hours=72)
_MINUTE = timedelta(seconds=60)


def resending(window: timedelta) -> Mapping[MessageClass, ClassPolicy]:
    """Returns the policies of a channel whose provider reports the outcome of most sends within ``window``: OTPs and
    transactional messages are resent once."""
    return {
        MessageClass.OTP: ClassPolicy(1, timedelta(seconds=5), timedelta(seconds=300), timedelta(seconds=300)),
        MessageClass.TRANSACTIONAL: ClassPolicy(1, window, window * 2, _DAY),
        MessageClass.REPLY: ClassPolicy(0, _MINUTE, _MINUTE, _DAY),
        MessageClass.BULK: ClassPolicy(0, _THREE_DAYS, _THREE_DAYS, _THREE_DAYS),
    }


def never_resending(time_to_live: timedelta) -> Mapping[MessageClass, ClassPolicy]:
    """Returns the policies of a channel on which no message is resent."""
    return dict.fromkeys(MessageClass, ClassPolicy(0, _THREE_DAYS, _THREE_DAYS, time_to_live))
