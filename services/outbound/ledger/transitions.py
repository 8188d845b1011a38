"""Every transition of a row of the send ledger. Pure; each returns the row after it, one version on.

Absent -> claimed -> sent | failed | deferred | uncertain; deferred, and uncertain where it is allowed, -> claimed again;
uncertain -> sent | failed (the provider says so) | unknown. Refused messages begin and end as suppressed, failed or expired.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common.stable_hash import jitter_for, shard_for
from libs.messaging.checks import Refusal
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.vocabulary import Status
from services.outbound.contract import Accepted, NotSent, Outcome, Rejected
from services.outbound.ledger.model import OPEN_SHARDS, Delivery

#: The event of the next attempt can be lost; when it is this long overdue it is published again.
OVERDUE_AFTER = timedelta(seconds=60)
MAX_WAIT_SECONDS = 300.0
#: A row that waits long is taken up at a random moment of this many seconds before its time: a whole job may wait for the same
#: morning.
RELEASE_SPREAD_SECONDS = 840.0
#: States that were assumed of a claim; what its worker knows for certain replaces them.
_NOT_CERTAIN = frozenset({Status.UNCERTAIN, Status.UNKNOWN, Status.DEFERRED})
#: A refusal for lack of permission, or because the message expired, is not a failure.
_REFUSED = {
    ErrorCode.EXPIRED: Status.EXPIRED,
    ErrorCode.CONTACT_ERASED: Status.SUPPRESSED,
    ErrorCode.NO_CONSENT: Status.SUPPRESSED,
    ErrorCode.OPTED_OUT: Status.SUPPRESSED,
    ErrorCode.SUPPRESSED: Status.SUPPRESSED,
}


def _transition(row: Delivery, status: Status, now: datetime, due: datetime | None = None, **change: Any) -> Delivery:
    """The row after the transition. Members of the state before are cleared; with ``due`` the sweeper checks the row then."""
    cleared = {"error_code": None, "provider_code": None, "detail": None, "deadline": None, "not_before": None}
    if due is None:
        cleared["queued"] = None
    shard = str(shard_for(row.message_id, OPEN_SHARDS)) if due else None
    changes = {"status": status, "at": now, "due": due, "open": shard, "version": row.version + 1}
    return row.model_copy(update={**cleared, **changes, **change})


def ordered(row: Delivery, queued: MessageQueued) -> Delivery:
    """The row with the resend that an operator ordered, if it is not recorded yet."""
    if queued.resend <= row.ordered:
        return row
    note = f"resend {queued.resend} was ordered by an operator"
    return row.model_copy(update={"ordered": queued.resend, "notes": (*row.notes, note)})


def claimed(
    row: Delivery, queued: MessageQueued, *, owner: str, claim_id: str, sender: str, deadline: datetime, now: datetime
) -> Delivery:
    """Claimed by one worker, which has until ``deadline`` to report. ``uncertain_since`` stays: an earlier attempt may have
    been sent."""
    return _transition(
        row, Status.CLAIMED, now, due=deadline, deadline=deadline, owner=owner, claim_id=claim_id, sender=sender,
        attempt=row.attempt + 1, queued=queued,
    )  # fmt: skip


def seconds_left(claim: Delivery, now: datetime) -> float:
    """How long the claim still lasts."""
    return (claim.deadline - now).total_seconds() if claim.deadline else 0.0


def may_claim(row: Delivery, queued: MessageQueued) -> bool:
    """Whether the event may start an attempt: none was made yet, or an operator ordered the resend of an uncertain one."""
    return row.status is Status.QUEUED or (
        queued.resend > row.ordered and row.status in (Status.UNCERTAIN, Status.UNKNOWN)
    )


def refused(row: Delivery, refusal: Refusal, now: datetime) -> Delivery:
    """Refused by us before it was sent."""
    status = _REFUSED.get(refusal.code, Status.FAILED)
    return _unsent(row, status, now, refusal.code, detail=refusal.detail or None)


def cancelled(row: Delivery, now: datetime) -> Delivery:
    """Cancelled before it was claimed, or between two attempts."""
    return _unsent(row, Status.CANCELLED, now, ErrorCode.CANCELLED)


def put_off(row: Delivery, why: Refusal, until: datetime, now: datetime) -> Delivery:
    """Deferred until ``until`` (quiet hours, a cap, a budget). No attempt is counted. For a long wait the sweeper takes the row
    up shortly before, with jitter; see :func:`services.outbound.ledger.writes.events`."""
    if not row.wanted_at(until):
        return _unsent(
            row, Status.EXPIRED, now, ErrorCode.EXPIRED, detail=f"{why.code}: its time to live ends before it may go"
        )
    jitter = jitter_for(row.message_id)
    early = until - timedelta(seconds=60 + jitter * (RELEASE_SPREAD_SECONDS - 60))
    due = early if early > now else until + OVERDUE_AFTER
    return _transition(
        row, Status.DEFERRED, now, due=due, not_before=until, error_code=why.code, detail=why.detail or None
    )


def _unsent(row: Delivery, status: Status, now: datetime, code: ErrorCode, **why: Any) -> Delivery:
    """An attempt ended for good without a send. If an earlier one may have been sent, the message stays uncertain and is never
    called failed."""
    if row.uncertain_since is None:
        return _transition(row, status, now, error_code=code, **why)
    note = f"attempt {max(row.attempt, 1)}: {status} ({code}), but an earlier one may have gone out"
    return _transition(
        row, Status.UNCERTAIN, now, due=now, error_code=ErrorCode.NOT_CONFIRMED, detail=note, notes=(*row.notes, note)
    )


def dry_run(row: Delivery, sender: str, now: datetime) -> Delivery:
    """Everything but the call was done (``SEND_MODE`` is ``DRY_RUN``)."""
    notes = (*row.notes, "dry run: the provider was not called")
    return _transition(row, Status.SENT, now, sender=sender, dry_run=True, notes=notes)


def with_outcome(row: Delivery, outcome: Outcome, now: datetime, jitter: float, scale: float = 1.0) -> Delivery:
    """A claimed row after its call. ``jitter`` in [0, 1) spreads retries; ``scale`` shortens windows (settings)."""
    if isinstance(outcome, Accepted):
        return _transition(row, Status.SENT, now, provider_id=outcome.provider_id, uncertain_since=None)
    if isinstance(outcome, Rejected):
        detail = outcome.detail or None
        return _unsent(row, Status.FAILED, now, outcome.code, provider_code=outcome.provider_code, detail=detail)
    if isinstance(outcome, NotSent):
        return _deferred(row, outcome, now + timedelta(seconds=backoff_seconds(outcome, row.attempt, jitter)), now)
    return uncertain(row, outcome.cause, now, scale)


def backoff_seconds(outcome: NotSent, attempt: int, jitter: float) -> float:
    """Seconds until attempt ``attempt`` + 1: the time that the provider named, with a little jitter; else the provider's own
    rule if the growth is above 2 (Meta's pair rate: 4^X, X = 0, 1 …); else full jitter under a doubling bound."""
    if outcome.retry_after is not None:
        return outcome.retry_after + jitter
    bound = min(MAX_WAIT_SECONDS, outcome.growth ** min(attempt, 20))
    return bound / outcome.growth + jitter if outcome.growth > 2 else jitter * bound


def _deferred(row: Delivery, outcome: NotSent, until: datetime, now: datetime) -> Delivery:
    why: dict[str, Any] = {"provider_code": outcome.provider_code, "detail": outcome.cause}
    if not row.wanted_at(until):
        return _unsent(row, Status.EXPIRED, now, ErrorCode.EXPIRED, **why)
    return _transition(
        row, Status.DEFERRED, now, due=until + OVERDUE_AFTER, not_before=until, error_code=outcome.code, **why
    )


def uncertain(row: Delivery, cause: str, now: datetime, scale: float = 1.0) -> Delivery:
    """The message may have been sent; the sweeper checks the row again when the class's window has passed."""
    window = row.channel.traits.policies[row.message_class].window * scale
    return _transition(
        row, Status.UNCERTAIN, now, due=now + window, uncertain_since=now,
        error_code=ErrorCode.NOT_CONFIRMED, detail=cause, notes=(*row.notes, f"attempt {row.attempt}: {cause}"),
    )  # fmt: skip


def claim_expired(row: Delivery, now: datetime, scale: float = 1.0) -> Delivery:
    """A claim that ran out."""
    return uncertain(row, "the worker that claimed it never reported", now, scale)


def with_certain_outcome(row: Delivery, ended: Delivery) -> Delivery | None:
    """``ended`` is how a claim ended for its worker, but the ``row`` changed under the same claim (the worker was slow and the
    claim was marked uncertain, or a receipt came first). What the worker knows for certain replaces what was assumed; None:
    the row is as certain."""
    if ended.status is Status.UNCERTAIN:
        return None
    gives_way = {Status.UNCERTAIN} if ended.status is Status.DEFERRED else _NOT_CERTAIN
    nameless = row.status is ended.status is Status.SENT and row.provider_id is None
    if row.status not in gives_way and not nameless:
        return None
    notes = (*row.notes, *(note for note in ended.notes if note not in row.notes))
    kept = {"version": row.version + 1, "resends": row.resends, "ordered": row.ordered, "notes": notes}
    return ended.model_copy(update=kept)


def with_late_acceptance(row: Delivery, ended: Delivery) -> Delivery | None:
    """As above, but a resend has been claimed since: the acceptance of the first attempt is kept as a note."""
    note = f"attempt {ended.attempt} was accepted after all, as {ended.provider_id}"
    if ended.status is not Status.SENT or note in row.notes:
        return None
    return row.model_copy(update={"notes": (*row.notes, note), "version": row.version + 1})


def checked_again_at(row: Delivery, due: datetime) -> Delivery:
    """Checked, left as it is, and due for another check."""
    return row.model_copy(update={"due": due, "version": row.version + 1})


def resend_decided(row: Delivery, now: datetime) -> Delivery:
    """Deferred for a resend: the class allows one of an uncertain send once its window has passed."""
    note = f"attempt {row.attempt} stayed uncertain ({row.detail}): resent by the policy of {row.message_class}"
    return _transition(
        row,
        Status.DEFERRED,
        now,
        due=now + OVERDUE_AFTER,
        not_before=now,
        resends=row.resends + 1,
        notes=(*row.notes, note),
    )


def given_up(row: Delivery, now: datetime) -> Delivery:
    """The class's deadline has passed without a report of the provider."""
    return _transition(row, Status.UNKNOWN, now, error_code=ErrorCode.NOT_CONFIRMED, detail=row.detail)


def confirmed(
    row: Delivery, status: Status, provider_id: str | None, code: ErrorCode | None, now: datetime
) -> Delivery:
    """The provider has reported that it was sent, or that it failed. ``status`` may be further than sent."""
    failed = status is Status.FAILED
    change: dict[str, Any] = {
        "provider_id": row.provider_id or provider_id,
        "error_code": code if failed else None,
        "uncertain_since": None,
    }
    return _transition(row, Status.FAILED if failed else Status.SENT, now, **change)
