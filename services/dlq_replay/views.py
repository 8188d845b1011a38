"""Response models of dead letters, groups and jobs. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.messaging.vocabulary import Status
from services.dlq_replay import transitions
from services.dlq_replay.model import DLQMessage, State, Watched
from services.dlq_replay.replay_job import ReplayJob
from services.dlq_replay.search import Group
from services.dlq_replay.simulate import Foreseen


class LetterView(View):
    """One dead letter in a list: event, queue and cause. ``deaths`` counts its failures, ``replays`` its replays."""

    dlq_message_id: str
    state: State
    queue: str
    service: str
    handler: str
    build: str
    cause: str
    exception: str
    text: str
    event_id: str | None = None
    event_type: str | None = None
    channel: str | None = None
    message_id: str | None = None
    contact_id: str | None = None
    deaths: int
    replays: int
    edited: bool
    job_id: str | None = None
    first_died_at: Timestamp
    died_at: Timestamp
    replayed_at: Timestamp | None = None
    #: When it expires; missing while it is quarantined.
    expires_at: int | None = None


class LetterList(PageView[LetterView]):
    pass


class DeathView(View):
    at: Timestamp
    cause: str
    exception: str
    text: str
    handler: str
    build: str
    #: How often it had been received before it was dead-lettered.
    receives: int
    first_received_at: Timestamp | None = None
    #: The replay that failed; missing for the first failure.
    replay: int | None = None


class ActionView(View):
    what: str
    at: Timestamp
    by: str
    why: str
    job_id: str | None = None


class MessageStanding(View):
    """The status of the message that a dead letter is about, as published when the dead letter was stored and by its
    sender's later events; ``status`` is missing if none was published. ``href`` returns the current status,
    ``timeline`` the delivery timeline."""

    message_id: str
    status: Status | None = None
    at: Timestamp | None = None
    href: str
    timeline: str


class LetterDetail(LetterView):
    """One dead letter in full. ``event`` is the original event, ``body`` its text if it is not a JSON object;
    ``edited_event`` is sent instead, if set."""

    correlation_id: str | None = None
    traceparent: str | None = None
    attributes: dict[str, str]
    event: dict[str, Any] | None = None
    body: str | None = None
    edited_event: dict[str, Any] | None = None
    attempts: list[DeathView]
    history: list[ActionView]
    message: MessageStanding | None = None


class GroupView(View):
    cause: str
    event_type: str | None = None
    count: int
    oldest_at: str
    newest_at: str
    queues: dict[str, int]


class QueueDepth(View):
    """Open dead letters of a queue; ``alarm``: there are too many. (SQS itself shows none of them: they are deleted
    there as soon as they are stored here.)"""

    queue: str
    waiting: int
    quarantined: int
    alarm: bool


class GroupList(View):
    """Groups. ``groups`` and ``total`` count the matching dead letters, ``queues`` all dead letters. ``complete`` is
    false if there are more than one query counts; the counts are then lower bounds."""

    groups: list[GroupView]
    queues: list[QueueDepth]
    total: int
    complete: bool


class Simulation(View):
    """A simulation. ``outcomes`` counts all ``total`` dead letters; ``refusals`` counts the refused ones by code."""

    total: int
    outcomes: dict[str, int]
    refusals: dict[str, int]
    items: list[Foreseen]


class JobView(View):
    """A replay job. ``skipped``: dead letters with another decision meanwhile. ``rate`` is the requested rate,
    ``actual_rate`` the measured one; ``seconds_left`` is estimated with it."""

    job_id: str
    state: str
    by: str
    why: str
    rate: float
    total: int
    position: int
    sent: int
    skipped: int
    actual_rate: float | None = None
    seconds_left: float | None = None
    created_at: Timestamp
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    history: list[ActionView]


class JobList(PageView[JobView]):
    pass


def dead_letter_view(dead_letter: DLQMessage) -> LetterView:
    return LetterView(**_shown(dead_letter))


def dead_letter_detail(dead_letter: DLQMessage, watched: Watched | None) -> LetterDetail:
    event = transitions.read(dead_letter.body)
    message = None
    if dead_letter.message_id:
        href = f"/api/messages/{dead_letter.message_id}"
        known = watched.model_dump(include={"status", "at"}) if watched else {}
        message = MessageStanding(message_id=dead_letter.message_id, href=href, timeline=f"{href}/timeline", **known)
    return LetterDetail(
        **_shown(dead_letter),
        correlation_id=dead_letter.correlation_id,
        traceparent=dead_letter.traceparent,
        attributes=dead_letter.attributes,
        event=event or None,
        body=None if event else dead_letter.body,
        edited_event=transitions.read(dead_letter.edited_body) if dead_letter.edited_body else None,
        attempts=[DeathView(**each.model_dump(), replay=each.decision or None) for each in dead_letter.deaths],
        history=[ActionView(**each.model_dump()) for each in dead_letter.history],
        message=message,
    )


def _shown(dead_letter: DLQMessage) -> dict[str, Any]:
    same = {name: getattr(dead_letter, name) for name in LetterView.model_fields if name in DLQMessage.model_fields}
    counted = {
        "deaths": dead_letter.death_count,
        "replays": dead_letter.decision,
        "edited": dead_letter.edited_body is not None,
    }
    return {**same, **counted}


def group_view(group: Group) -> GroupView:
    return GroupView(
        cause=group.cause,
        event_type=group.event_type or None,
        count=group.count,
        oldest_at=group.oldest,
        newest_at=group.newest,
        queues=group.queues,
    )


def job_view(job: ReplayJob, now: datetime) -> JobView:
    shown = {name: getattr(job, name) for name in JobView.model_fields if name in ReplayJob.model_fields}
    shown["history"] = [ActionView(**each.model_dump()) for each in job.history]
    # The duration includes pauses of the job.
    seconds = ((job.finished_at or now) - job.started_at).total_seconds() if job.started_at else 0.0
    rate = job.sent / seconds if seconds >= 1 and job.sent > 1 and job.state != "paused" else None
    left = (job.total - job.position) / (rate or job.rate) if job.state == "running" else None
    return JobView(**shown, actual_rate=rate and round(rate, 2), seconds_left=left and round(left, 1))


def summed(items: list[Foreseen], shown: int) -> Simulation:
    outcomes: dict[str, int] = {}
    refusals: dict[str, int] = {}
    for item in items:
        outcomes[item.outcome] = outcomes.get(item.outcome, 0) + 1
        if item.code:
            refusals[item.code] = refusals.get(item.code, 0) + 1
    return Simulation(total=len(items), outcomes=outcomes, refusals=refusals, items=items[:shown])
