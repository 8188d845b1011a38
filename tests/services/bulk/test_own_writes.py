"""A caller of bulk reads his own writes: what was just created elsewhere is found."""

from __future__ import annotations

from libs.messaging.channels import Channel
from libs.messaging.events.bulk import ChunkReleased
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.permission import Permission
from libs.messaging.templates import TemplateState, TemplateStatus
from tests.services.arriving import ArrivingClock
from tests.services.bulk.kit import Platform, phone


async def test_a_test_message_reaches_a_contact_who_was_just_created(on: Platform) -> None:
    job = (await on.create(audience={"contactIds": await on.people([1])}, hold=True))["jobId"]
    ArrivingClock(on.world, 0.5)
    standing = Permission(
        contact_id="contact-2", channel=Channel.WHATSAPP, revision=1, address=phone(2), name="Person 2", opted_in=True
    )
    await on.world.publish(PermissionChanged(contact_id="contact-2", channel=Channel.WHATSAPP, standing=standing))
    answer = await on.api.post(f"/api/bulk/jobs/{job}/test", json={"contactId": "contact-2", "variables": {}})
    assert answer.status_code == 202, answer.text
    assert [said.addressees[0].contact_id for said in on.world.said(ChunkReleased)] == ["contact-2"]


async def test_a_job_by_a_template_that_was_just_approved_is_planned(on: Platform) -> None:
    people = await on.people([1])
    await on.world.hear(TemplatesListed(channel=Channel.WHATSAPP, at=on.world.clock.now()))
    ArrivingClock(on.world, 0.5)
    state = TemplateState(
        template_id="whatsapp:order_update:en_US", channel=Channel.WHATSAPP, name="order_update", language="en_US",
        revision=1, status=TemplateStatus.APPROVED, category="UTILITY", variables=(),
    )  # fmt: skip
    await on.world.publish(TemplateChanged(template_id=state.template_id, channel=Channel.WHATSAPP, state=state))
    await on.create(audience={"contactIds": people}, hold=True)
