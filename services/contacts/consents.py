"""A contact's consent on one channel, computed from the recorded statements; pure.

Of each kind of statement only the latest counts (of ``wroteIn``: the first), by the time at which it was made. The
current consent is a function of these alone, so statements may arrive late, twice and in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from libs.common.clock import Timestamp, iso
from libs.common.declare.wire import Part
from libs.messaging.vocabulary import Purpose

#: The purposes that a consent can cover. ``compliance`` needs none.
EVERY = frozenset({Purpose.SERVICE, Purpose.MARKETING})


class Kind(StrEnum):
    """The kinds of statement."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    #: START, UNSTOP, YES: lifts an earlier opt-out and restores the previous consent; by itself it permits a reply.
    RESTARTED = "restarted"
    #: A message to us permits a reply: a consent to ``service`` alone.
    WROTE_IN = "wroteIn"
    MARKETING_STOPPED = "marketingStopped"
    MARKETING_RESUMED = "marketingResumed"


class Statement(Part):
    """One statement: when it was made, how it was received, the id of its evidence; ``purposes`` of an opt-in (empty:
    every)."""

    at: Timestamp
    how: str
    evidence_id: str
    purposes: tuple[Purpose, ...] = ()


class Consent(Part):
    """The consent of one contact on one channel. The first block is the current state; the rest is its input."""

    opted_in: bool = False
    #: Set while opted out; only a new opt-in clears it.
    opted_out_at: Timestamp | None = None
    #: When the sender applied the opt-out; it is in force from then on.
    effective_at: Timestamp | None = None
    purposes: tuple[Purpose, ...] = ()
    at: Timestamp | None = None
    how: str | None = None
    evidence_id: str | None = None

    allow_listed: bool = False
    #: Why nothing may be sent to the address; None while it is not suppressed.
    suppressed: str | None = None
    suppressed_at: Timestamp | None = None
    #: When an administrator last lifted a suppression; reports from before that time do not count.
    suppression_lifted_at: Timestamp | None = None
    last_inbound_at: Timestamp | None = None
    heard: dict[Kind, Statement] = Field(default_factory=dict)
    #: Ids of the evidence of an opt-out that the sender has not acknowledged, and the revision that published it.
    awaiting: tuple[str, ...] = ()
    awaiting_revision: int = 0

    def covers(self, purpose: Purpose) -> bool:
        return self.opted_in and (not self.purposes or purpose in self.purposes)


def moment(at: datetime) -> datetime:
    """Truncates to milliseconds, as rows and events store times, so that a comparison gives the same result before and
    after writing."""
    return datetime.fromisoformat(iso(at))


def surely_after(at: datetime, stop: datetime) -> bool:
    """Providers report times in whole seconds: a STOP of 12:00:00 may have been written after a YES of 12:00:00.5."""
    return at.replace(microsecond=0) > stop.replace(microsecond=0)


def wrote_in(consent: Consent, at: datetime) -> Consent:
    """Records the time of an inbound message; the time only increases."""
    if consent.last_inbound_at is not None and consent.last_inbound_at >= at:
        return consent
    return settled(consent.model_copy(update={"last_inbound_at": moment(at)}))


def stated(consent: Consent, kind: Kind, statement: Statement) -> Consent:
    """Returns the consent after ``statement``."""
    statement = statement.model_copy(update={"at": moment(statement.at)})
    known = consent.heard.get(kind)
    if known is not None:
        first, last = sorted((known, statement), key=lambda each: (each.at, each.evidence_id))
        statement = first if kind is Kind.WROTE_IN else last
    return settled(consent.model_copy(update={"heard": {**consent.heard, kind: statement}}))


def moved(consent: Consent) -> Consent:
    """Returns the consent for a new address, without the facts that belong to the old address."""
    heard = {kind: statement for kind, statement in consent.heard.items() if kind is not Kind.WROTE_IN}
    gone = dict.fromkeys(("last_inbound_at", "suppressed", "suppressed_at", "suppression_lifted_at"))
    return settled(consent.model_copy(update={"heard": heard, **gone}))


def suppressed(consent: Consent, reason: str, at: datetime) -> Consent:
    """Returns the suppressed consent. The first report counts; a report from before the last lifting does not."""
    if consent.suppressed or (consent.suppression_lifted_at and moment(at) <= consent.suppression_lifted_at):
        return consent
    return consent.model_copy(update={"suppressed": reason, "suppressed_at": moment(at)})


def lifted(consent: Consent, now: datetime) -> Consent:
    """Returns the consent with the suppression lifted."""
    change = {"suppressed": None, "suppressed_at": None, "suppression_lifted_at": moment(now)}
    return consent.model_copy(update=change)


def settled(consent: Consent) -> Consent:
    """Computes the current state. An opt-out overrides everything but a later opt-in, also one of the same second."""
    heard = consent.heard
    withdrawn = heard.get(Kind.WITHDRAWN)
    opt_ins = [heard[kind] for kind in (Kind.GIVEN, Kind.RESTARTED) if kind in heard]
    if withdrawn and not any(surely_after(each.at, withdrawn.at) for each in opt_ins):
        return _decided(consent, frozenset(), withdrawn, opted_out_at=withdrawn.at)
    because = max(opt_ins, key=lambda each: (each.at, each.evidence_id), default=heard.get(Kind.WROTE_IN))
    return _decided(consent, _covered(consent), because)


def _covered(consent: Consent) -> frozenset[Purpose]:
    """The purposes that a contact agrees to who has not opted out, or has opted in again."""
    heard, covered = consent.heard, set[Purpose]()
    withdrawn, given, restarted = (heard.get(kind) for kind in (Kind.WITHDRAWN, Kind.GIVEN, Kind.RESTARTED))
    if given:
        covered |= set(given.purposes) or EVERY
    if restarted and (withdrawn is None or surely_after(restarted.at, withdrawn.at)):
        covered.add(Purpose.SERVICE)
    wrote = consent.last_inbound_at
    if Kind.WROTE_IN in heard and wrote and (withdrawn is None or wrote > withdrawn.at):
        covered.add(Purpose.SERVICE)
    if _no_marketing(heard):
        covered.discard(Purpose.MARKETING)
    return frozenset(covered)


def _no_marketing(heard: Mapping[Kind, Statement]) -> bool:
    stopped = heard.get(Kind.MARKETING_STOPPED)
    later = (heard[kind] for kind in (Kind.MARKETING_RESUMED, Kind.GIVEN) if kind in heard)
    return stopped is not None and not any(surely_after(each.at, stopped.at) for each in later)


def _decided(
    consent: Consent, covered: frozenset[Purpose], because: Statement | None, opted_out_at: datetime | None = None
) -> Consent:
    return consent.model_copy(
        update={
            "opted_in": bool(covered),
            "opted_out_at": opted_out_at,
            # Empty means every purpose to a reader; ``opted_in`` alone distinguishes a consent that covers nothing.
            "purposes": () if covered == EVERY else tuple(sorted(covered)),
            "at": because and because.at,
            "how": because and because.how,
            "evidence_id": because and because.evidence_id,
            "effective_at": consent.effective_at if opted_out_at else None,
            "awaiting": consent.awaiting if opted_out_at else (),
        }
    )
