"""What a contact agreed to on one channel, worked out from what was heard; pure.

Of each kind of statement only the latest counts (of writing in: the first), by the time at which it was made. What holds
now follows from these alone, so statements may arrive late, twice and in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from libs.common.clock import Timestamp, iso
from libs.common.declare.wire import Part
from libs.messaging.vocabulary import Purpose

#: What a consent can cover. ``compliance`` needs none.
EVERY = frozenset({Purpose.SERVICE, Purpose.MARKETING})


class Kind(StrEnum):
    """What was stated."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    #: START, UNSTOP, YES: lifts an opt-out that came before it, back to what was agreed; by itself it allows an answer.
    RESTARTED = "restarted"
    #: Writing to us allows an answer: a consent to ``service`` alone.
    WROTE_IN = "wroteIn"
    MARKETING_STOPPED = "marketingStopped"
    MARKETING_RESUMED = "marketingResumed"


class Statement(Part):
    """When it was made, how it came to us, which evidence is kept; ``purposes`` of an opt-in (empty: every)."""

    at: Timestamp
    how: str
    evidence_id: str
    purposes: tuple[Purpose, ...] = ()


class Consent(Part):
    """One channel of one contact. The first block is what holds now; the rest is what it is worked out from."""

    opted_in: bool = False
    #: Set while opted out; only a new opt-in clears it.
    opted_out_at: Timestamp | None = None
    #: When the sender had applied the opt-out: from then on it is in force.
    effective_at: Timestamp | None = None
    purposes: tuple[Purpose, ...] = ()
    at: Timestamp | None = None
    how: str | None = None
    evidence_id: str | None = None

    allow_listed: bool = False
    #: Why nothing may be sent to the address, while that is so.
    suppressed: str | None = None
    suppressed_at: Timestamp | None = None
    #: When an administrator last lifted it: reports of before that no longer count.
    suppression_lifted_at: Timestamp | None = None
    last_inbound_at: Timestamp | None = None
    heard: dict[Kind, Statement] = Field(default_factory=dict)
    #: Evidence of the opt-out that the sender has not acknowledged yet, and the revision that told it.
    awaiting: tuple[str, ...] = ()
    awaiting_revision: int = 0

    def covers(self, purpose: Purpose) -> bool:
        return self.opted_in and (not self.purposes or purpose in self.purposes)


def moment(at: datetime) -> datetime:
    """To the millisecond, as rows and events keep it, so that a comparison has one answer before and after writing."""
    return datetime.fromisoformat(iso(at))


def surely_after(at: datetime, stop: datetime) -> bool:
    """Providers tell time in whole seconds: a STOP of 12:00:00 may have been written after a yes of 12:00:00.5."""
    return at.replace(microsecond=0) > stop.replace(microsecond=0)


def wrote_in(consent: Consent, at: datetime) -> Consent:
    """They wrote to us; the time only moves forward."""
    if consent.last_inbound_at is not None and consent.last_inbound_at >= at:
        return consent
    return settled(consent.model_copy(update={"last_inbound_at": moment(at)}))


def stated(consent: Consent, kind: Kind, statement: Statement) -> Consent:
    """The consent once ``statement`` has been heard."""
    statement = statement.model_copy(update={"at": moment(statement.at)})
    known = consent.heard.get(kind)
    if known is not None:
        first, last = sorted((known, statement), key=lambda each: (each.at, each.evidence_id))
        statement = first if kind is Kind.WROTE_IN else last
    return settled(consent.model_copy(update={"heard": {**consent.heard, kind: statement}}))


def moved(consent: Consent) -> Consent:
    """For a new address: what was tied to the old one stays behind."""
    heard = {kind: statement for kind, statement in consent.heard.items() if kind is not Kind.WROTE_IN}
    gone = dict.fromkeys(("last_inbound_at", "suppressed", "suppressed_at", "suppression_lifted_at"))
    return settled(consent.model_copy(update={"heard": heard, **gone}))


def suppressed(consent: Consent, reason: str, at: datetime) -> Consent:
    """The first report counts; none does that is older than the lifting of one."""
    if consent.suppressed or (consent.suppression_lifted_at and moment(at) <= consent.suppression_lifted_at):
        return consent
    return consent.model_copy(update={"suppressed": reason, "suppressed_at": moment(at)})


def lifted(consent: Consent, now: datetime) -> Consent:
    """May be written to again, as far as the address goes."""
    change = {"suppressed": None, "suppressed_at": None, "suppression_lifted_at": moment(now)}
    return consent.model_copy(update=change)


def settled(consent: Consent) -> Consent:
    """Work out what holds now. STOP wins over everything but a newer opt-in, also over one of the same second."""
    heard = consent.heard
    withdrawn = heard.get(Kind.WITHDRAWN)
    opt_ins = [heard[kind] for kind in (Kind.GIVEN, Kind.RESTARTED) if kind in heard]
    if withdrawn and not any(surely_after(each.at, withdrawn.at) for each in opt_ins):
        return _decided(consent, frozenset(), withdrawn, opted_out_at=withdrawn.at)
    because = max(opt_ins, key=lambda each: (each.at, each.evidence_id), default=heard.get(Kind.WROTE_IN))
    return _decided(consent, _covered(consent), because)


def _covered(consent: Consent) -> frozenset[Purpose]:
    """What a contact who has not opted out, or is back, agrees to."""
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
            # Empty means every purpose to a reader, so what covers nothing is told by ``opted_in`` alone.
            "purposes": () if covered == EVERY else tuple(sorted(covered)),
            "at": because and because.at,
            "how": because and because.how,
            "evidence_id": because and because.evidence_id,
            "effective_at": consent.effective_at if opted_out_at else None,
            "awaiting": consent.awaiting if opted_out_at else (),
        }
    )
