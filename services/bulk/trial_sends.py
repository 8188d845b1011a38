"""Test sends: one message of a job to a test contact, before the job runs."""

from __future__ import annotations

from datetime import timedelta

from libs.common.errors import CopyRefusal, Problem
from libs.common.handle.context import Context, Done
from libs.messaging.checks import Refusal
from libs.messaging.errors import EXPLANATIONS, problem_code
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.personalization import personal
from libs.messaging.rendering import Unfit
from services.bulk.audience import contact_copy
from services.bulk.bodies import TestSend
from services.bulk.model import BulkJob
from services.bulk.planning.event_size import unfit
from services.bulk.running.chunks import message_id
from services.bulk.views import TestSendView


async def send_test(job: BulkJob, body: TestSend, ctx: Context) -> Done[TestSendView]:
    """Sends a test message, which is not part of the job's counts. All checks apply. Raises Problem."""
    (standing,) = await contact_copy.by_contacts([body.contact_id], job.channel, ctx)
    if standing is None or standing.deleted:
        errors = [{"field": "contactId", "detail": f"There is no such contact on {job.channel}."}]
        raise CopyRefusal(422, "CONTACT_NOT_FOUND", "There is no such contact on this channel", "", errors)
    _check_values(job, body)
    message = message_id(job.job_id, f"test-{ctx.required_cause.id}", job.channel, 1)
    event = ChunkReleased(
        job_id=job.job_id,
        chunk=f"t{ctx.required_cause.id[:8]}",
        release=1,
        # Independent of the job's state.
        revision=2**53,
        channel=job.channel,
        purpose=job.purpose,
        sender=job.sender,
        content=job.content,
        released_at=ctx.now,
        expires_at=ctx.now + timedelta(hours=1),
        addressees=(
            Addressee(
                position=0,
                message_id=message,
                contact_id=body.contact_id,
                ref=f"t.0.{message}.1",
                variables=body.variables,
            ),
        ),
    )
    return Done(TestSendView(message_id=message), (event,))


def _check_values(job: BulkJob, body: TestSend) -> None:
    """Checks the given variables. Raises Problem."""
    try:
        personal(job.content, body.variables)
    except Unfit as unsafe:
        raise _refused(unsafe.refusal) from None
    too_large = unfit(job.content, body.contact_id, body.variables)
    if too_large is not None:
        raise _refused(too_large)


def _refused(why: Refusal) -> Problem:
    explained = EXPLANATIONS[why.code]
    errors = [{"field": "variables", "detail": why.detail or explained.do}]
    return Problem(422, problem_code(why.code), explained.means, why.detail, errors)
