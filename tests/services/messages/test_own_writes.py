"""A caller reads his own writes: what lag can explain is refused only after the copy had time to arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.events.media import MediaStored
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.templates import TemplatesListed
from libs.messaging.template_copy import TemplateCopy
from libs.messaging.templates import TemplateState, TemplateStatus
from services.contacts.service import service as contacts
from services.messages.service import service as messages
from tests.services.arriving import ArrivingClock
from tests.services.messages.scenario import ALEX, TEMPLATE, a_world, asked, later, permission

YES = {"optedIn": True, "how": "form", "words": "Yes, message me on WhatsApp"}


async def _contact(world: World, phone: str = "+12025550111") -> str:
    made = await world.http().post("/api/contacts", json={"name": "Ann Example", "phone": phone})
    assert made.status_code == 201, made.text
    return str(made.json()["contactId"])


async def test_a_contact_who_has_just_said_yes_can_be_written_to_twenty_times_of_twenty() -> None:
    async with World([contacts, messages]) as world:
        api = world.http()
        for n in range(20):
            contact = await _contact(world, f"+1202555{100 + n:04d}")
            ArrivingClock(world, 0.7)
            assert (await api.put(f"/api/contacts/{contact}/consents/whatsapp", json=YES)).status_code == 200
            answer = await api.post("/api/messages", json=asked(contactId=contact, content=TEMPLATE))
            assert answer.status_code == 202, answer.text
        assert len(world.said(MessageQueued)) == 20


async def test_who_has_opted_in_again_can_be_written_to_at_once() -> None:
    async with a_world() as world:
        await world.hear(permission(world, opted_in=False, opted_out_at=world.clock.now()))
        ArrivingClock(world, 0.5)
        await world.publish(permission(world, revision=2))
        assert (await world.http().post("/api/messages", json=asked())).status_code == 202


async def test_a_refusal_that_lag_can_explain_is_given_after_two_seconds_of_growing_pauses() -> None:
    async with a_world() as world:
        await world.hear(permission(world, opted_in=False))
        clock = ArrivingClock(world, 1000)
        began = clock.now()
        answer = await world.http().post("/api/messages", json=asked())
        assert (answer.status_code, answer.json()["code"]) == (422, "NO_CONSENT")
        assert (clock.now() - began).total_seconds() == pytest.approx(2)
        assert clock.slept[:3] == [0.05, 0.1, 0.2]
        assert len(clock.slept) < 10
        assert world.said(MessageQueued) == []


@pytest.mark.parametrize(
    "request_of",
    [
        lambda world: (permission(world, deleted=True), asked(), "CONTACT_ERASED"),
        lambda world: (permission(world), asked(content={"kind": "text"}), "VALIDATION_FAILED"),
        lambda world: (permission(world), asked(), None),
    ],
)
async def test_nothing_else_waits(request_of: Callable[[World], tuple[Any, dict[str, Any], str | None]]) -> None:
    async with a_world() as world:
        said, body, code = request_of(world)
        await world.hear(said)
        clock = ArrivingClock(world, 1000)
        answer = await world.http().post("/api/messages", json=body)
        assert answer.json().get("code") == code
        assert clock.slept == []


async def test_how_long_a_refusal_waits_is_a_setting() -> None:
    async with World([messages], settings=Settings(stage="test", copy_wait_seconds=0)) as world:
        clock = ArrivingClock(world, 1000)
        answer = await world.http().post("/api/messages", json=asked())
        assert answer.json()["code"] == "CONTACT_NOT_FOUND"
        assert clock.slept == []


async def test_a_template_that_was_just_approved_can_be_sent_though_its_absence_was_remembered() -> None:
    async with a_world() as world:
        await world.hear(permission(world), TemplatesListed(channel=Channel.WHATSAPP, at=world.clock.now()))
        assert (await world.http().post("/api/messages", json=asked(content=TEMPLATE))).status_code == 422
        clock = ArrivingClock(world, 0.5)
        state = TemplateState(
            template_id="whatsapp:order_shipped_v1:en_US", channel=Channel.WHATSAPP, name="order_shipped_v1",
            language="en_US", revision=1, status=TemplateStatus.APPROVED, category="UTILITY", variables=("1",),
        )  # fmt: skip
        ctx = world.runtime.context(messages)

        async def by_another_process() -> None:
            await ctx.write(ctx.put(TemplateCopy(id=state.template_id, state=state)))

        clock.settle = by_another_process
        assert (await world.http().post("/api/messages", json=asked(content=TEMPLATE))).status_code == 202
        assert sum(clock.slept) < 1


async def test_a_file_that_was_just_uploaded_can_be_sent() -> None:
    async with a_world() as world:
        await world.hear(permission(world))
        ArrivingClock(world, 0.5)
        stored = MediaStored(
            file_id="file-1", bucket="files", key="files/file-1", content_type="image/png", size=100, sha256="0" * 64,
            stored_at=world.clock.now(), expires_at=later(world, 3600),
        )  # fmt: skip
        await world.publish(stored)
        body = asked(content={"kind": "media", "mediaType": "image", "file": {"fileId": "file-1"}})
        answer = await world.http().post("/api/messages", json=body)
        assert answer.status_code == 202, answer.text


async def test_a_repeat_under_one_key_is_answered_alike_whether_it_waited_or_not() -> None:
    async with a_world() as world:
        ArrivingClock(world, 0.5)
        await world.publish(permission(world))
        headers = {"Idempotency-Key": "once"}
        first, second = [await world.http().post("/api/messages", json=asked(), headers=headers) for _ in range(2)]
        assert first.status_code == second.status_code == 202
        assert first.json() == second.json()
        assert len(world.said(MessageQueued)) == 1
        assert first.json()["contactId"] == ALEX
