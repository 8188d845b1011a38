"""The declaration of a channel's sender: its queues, tables, grants and ticks are derived from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from libs.common.declare.event import Event
from libs.common.declare.service import Bucket, Every, Grant, On, Secret, Service, every, on
from libs.common.settings import Settings
from libs.common.store.item import Item
from libs.messaging.events.bulk import ChunkCalledBack, ChunkReleased
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.messages import CancelAsked, MessageConfirmed, MessageQueued
from libs.messaging.events.outbound import (
    BudgetCounted,
    BudgetNoticed,
    CapReached,
    ChunkEnded,
    DeliveryChanged,
    OptOutFound,
    PermissionApplied,
    SendAgainDecided,
)
from libs.messaging.file_copy import stored_files
from libs.messaging.permission_copy import PermissionCopy
from libs.messaging.setting_copy import SettingsCopy, configured
from libs.messaging.settings import MessagingSettings
from libs.messaging.template_copy import TemplateCopy, templates
from libs.messaging.vocabulary import MessageClass
from services.outbound.contract import Channel
from services.outbound.ledger.model import Delivery
from services.outbound.limits.budget import WATCH_SECONDS, BudgetCount, BudgetMark
from services.outbound.limits.frequency import Frequency
from services.outbound.limits.portfolios import Portfolios
from services.outbound.limits.rates import Limits, LimitsFromProvider, RateLimitTracker
from services.outbound.sending import files, handlers, uncertain_metric
from services.outbound.sending.chunk_ends import called_back
from services.outbound.sending.chunks import Chunks
from services.outbound.sending.job_control import JobControl, job_controls
from services.outbound.sending.pipeline import Pipeline
from services.outbound.sending.preparation import Preparation, Prepare
from services.outbound.sending.reconcile import reconcile

#: Each lane is a queue of its own, so that an OTP never waits behind a hundred thousand bulk messages.
LANES: dict[str, tuple[str, ...]] = {
    "otp": (MessageClass.OTP,),
    "tx": (MessageClass.TRANSACTIONAL, MessageClass.REPLY),
    "bulk": (MessageClass.BULK,),
}
#: The shortest window of a class is that of an OTP, 5 s.
RECONCILE_SECONDS = 10


def channel_service(  # noqa: PLR0913 - a declaration, as Service is
    channel: Channel,
    limits: Limits | LimitsFromProvider,
    needs: Sequence[Bucket | Secret | Grant],
    *,
    senders: Callable[[Settings], Sequence[str]] | None = None,
    prepare: Prepare | None = None,
    serves: Any = None,
    owns: Sequence[type[Item]] = (),
    hears: Sequence[On] = (),
    says: Sequence[type[Event]] = (),
    portfolios: Portfolios | None = None,
) -> Service:
    """The service ``outbound-<channel>``. ``needs`` lists what it may call at the provider; ``senders`` the identities that may
    send (none: any), by default those of the channel in the setting ``senders``, whose parameters the channel's ``render``
    gets. ``prepare`` fetches what else ``render`` needs. ``serves``, ``owns``, ``hears`` and ``says`` are the channel's own, besides
    those of every sender. ``portfolios`` limit how many different people are written to in a day."""
    senders = senders or (lambda settings: settings.of(MessagingSettings).may_send(channel.name))
    pipeline = Pipeline(Preparation(channel, senders, prepare, portfolios), limits)
    messages = [
        heard
        for lane, classes in LANES.items()
        for heard in (
            on(MessageQueued, pipeline.queued, channel=channel.name, message_class=classes, lane=lane),
            on(SendAgainDecided, pipeline.again, channel=channel.name, message_class=classes, lane=lane),
        )
    ]
    return Service(
        f"outbound-{channel.name}",
        owns=[
            *(Delivery, RateLimitTracker, PermissionCopy, JobControl, TemplateCopy, SettingsCopy, Frequency),
            *((BudgetCount, BudgetMark) if portfolios else ()),
            *files.items_of(channel),
            *owns,
        ],
        hears=[
            *messages,
            on(
                ChunkReleased,
                Chunks(pipeline).released,
                channel=channel.name,
                message_class=MessageClass.BULK,
                lane="bulk",
            ),
            *job_controls.hears(channel=channel.name),
            on(ChunkCalledBack, called_back, channel=channel.name),
            on(PermissionChanged, handlers.permission_changed, channel=channel.name),
            *templates.hears(channel=channel.name),
            on(MessageConfirmed, handlers.confirmed, channel=channel.name),
            on(CancelAsked, handlers.cancel_asked, channel=channel.name),
            *configured.hears(),
            # A file can go out by any channel, whichever it came by.
            *(stored_files.hears() if files.carries_files(channel) else ()),
            *hears,
        ],
        says=[
            *(DeliveryChanged, ChunkEnded, SendAgainDecided, PermissionApplied, OptOutFound, CapReached),
            *((BudgetCounted, BudgetNoticed) if portfolios else ()),
            *says,
        ],
        serves=serves,
        every=[
            every(RECONCILE_SECONDS, reconcile),
            *([Every(WATCH_SECONDS, portfolios.watch, "budget")] if portfolios else []),
        ],
        needs=[*needs, *files.needs_of(channel)],
        counts=uncertain_metric.count,
    )
