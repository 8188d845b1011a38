"""Pure rules: how a report changes a message. A report of a sender or a provider becomes one conditional write; the
events that follow are derived from the row, so a redelivery of the report publishes the same events again."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.declare.event import Event
from libs.common.store.item import Row
from libs.common.store.ops import When
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageChanged, MessageConfirmed
from libs.messaging.vocabulary import RANK, Status
from services.messages.model import Message, Moment, Settled

#: Statuses of a sender that does not know, or denies, that the provider accepted the message: a definite status that we
#: have is published to it.
NOT_CERTAIN = frozenset({Status.CLAIMED, Status.DEFERRED, Status.UNCERTAIN, Status.UNKNOWN})
DEFINITE = frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.FAILED})


@dataclass(frozen=True)
class Change:
    """One conditional update of the row."""

    moment: Moment
    set: Row
    remove: tuple[str, ...] = ()
    when: tuple[When, ...] = ()


@dataclass(frozen=True)
class Report:
    """A reported status, and facts about the message that hold whatever its status (camelCase)."""

    status: Status
    moment: Moment
    facts: Row = field(default_factory=dict)
    #: The provider's id for the confirmation.
    provider_id: str | None = None


def change(message: Message, report: Report) -> Change:
    """Returns the update for a report that is not recorded on the message yet."""
    slot = report.moment.slot()
    fresh = When(slot, "missing")
    if report.moment.what == "note":
        return Change(report.moment, {slot: report.moment.to_attribute(), **report.facts}, when=(fresh,))
    moved = RANK[report.status] > message.rank
    moment = report.moment.model_copy(update={"moved": moved, "settles": _settles(message, report, moved)})
    new: Row = {slot: moment.to_attribute(), **report.facts}
    if not moved:
        return Change(moment, new, when=(fresh,))
    new |= {"status": report.status.value, "rank": RANK[report.status]}
    errors = {"errorCode": moment.code, "providerCode": moment.provider_code, "errorDetail": moment.detail}
    if moment.code is None:
        errors = dict.fromkeys(errors)
    new |= {name: str(value) for name, value in errors.items() if value is not None}
    gone = [name for name, value in errors.items() if value is None]
    if RANK[report.status] > RANK[Status.DEFERRED]:
        gone += ["open", "settleBy"]
    return Change(moment, new, tuple(gone), (fresh, When("rank", "<", RANK[report.status])))


def _settles(message: Message, report: Report, moved: bool) -> Settled | None:
    """Returns the definite status to publish to the sender, so that it never resends a message that the provider
    accepted; else None."""
    if report.moment.source == "provider":
        if not moved or message.rank >= RANK[Status.SENT]:
            return None
        return Settled(status=report.status, provider_id=report.provider_id, error_code=report.moment.code)
    if moved or report.status not in NOT_CERTAIN or message.status not in DEFINITE or not message.was_reported():
        return None
    code: ErrorCode | None = message.error_code
    return Settled(status=message.status, provider_id=message.reported_id, error_code=code)


def follows(message: Message, moment: Moment) -> list[Event]:
    """Returns the events that follow from ``moment``; the same on each call."""
    events: list[Event] = []
    if moment.moved:
        events.append(
            MessageChanged(
                message_id=message.message_id,
                contact_id=message.contact_id,
                channel=message.channel,
                message_class=message.message_class,
                direction=message.direction,
                status=Status(moment.what),
                at=moment.at,
                error_code=moment.code,
                job_id=message.job_id,
                job_ref=message.job_ref,
                source=moment.source,
            )
        )
    if moment.settles is not None:
        events.append(
            MessageConfirmed(
                message_id=message.message_id,
                channel=message.channel,
                status=moment.settles.status,
                provider_id=moment.settles.provider_id,
                at=moment.at,
                error_code=moment.settles.error_code,
            )
        )
    return events
