"""Whoever accepts and whoever sends holds to the template, each by its own copy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Template, Text
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.events.templates import TemplateChanged, TemplatesListed
from libs.messaging.templates import TemplateState, TemplateStatus
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from services.messages.service import service as messages
from services.outbound.sending.channel_service import channel_service
from tests.services.outbound.kit import CONTACT, LIMITS, SENDER, Fake, NoAws, message, permission

CONTENT = {"kind": "template", "name": "order_update", "variables": {"1": "Ann", "2": "A-17"}}


def changed(revision: int = 1, channel: Channel = Channel.WHATSAPP, **facts: Any) -> TemplateChanged:
    reported: dict[str, Any] = {
        "template_id": f"{channel}:order_update:en_US",
        "channel": channel,
        "name": "order_update",
        "language": "en_US",
        "revision": revision,
        "status": TemplateStatus.APPROVED,
        "category": "UTILITY",
        "variables": ("1", "2"),
    }
    state = TemplateState(**{**reported, **facts})
    return TemplateChanged(template_id=state.template_id, channel=channel, state=state)


class Town:
    def __init__(self) -> None:
        self.fake = Fake()
        service = channel_service(self.fake, LIMITS, needs=[], senders=lambda settings: [SENDER])
        settings = Settings(stage="test", send_mode="LIVE")
        self.world = World([messages, service], settings=settings, aws=NoAws())  # type: ignore[arg-type]

    async def post(self, expect: int, content: dict[str, Any] = CONTENT, **more: Any) -> dict[str, Any]:
        body = {"contactId": CONTACT, "channel": "whatsapp", "content": content, **more}
        answer = await self.world.http().post("/api/messages", json=body)
        assert answer.status_code == expect, answer.text
        reported: dict[str, Any] = answer.json()
        return reported

    async def listed(self) -> None:
        await self.world.hear(TemplatesListed(channel=Channel.WHATSAPP, at=self.world.clock.now()))


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    town = Town()
    async with town.world:
        await town.world.hear(permission(town.world.clock.now()))
        yield town


async def test_before_the_list_was_read_the_provider_judges(town: Town) -> None:
    await town.post(202)
    await town.world.settle()
    assert len(town.fake.accepted) == 1


async def test_after_it_was_read_what_is_not_known_does_not_exist(town: Town) -> None:
    await town.listed()
    refused = await town.post(422)
    assert refused["code"] == "TEMPLATE_MISSING"
    assert "order_update in en_US" in refused["detail"]
    await town.world.hear(changed())
    await town.post(202)


@pytest.mark.parametrize("status", ["pending", "paused", "rejected", "disabled", "archived"])
async def test_what_is_not_approved_is_refused_with_the_providers_reason(town: Town, status: str) -> None:
    await town.world.hear(changed(status=TemplateStatus(status), reason="PROMOTIONAL"))
    refused = await town.post(422)
    assert refused["code"] == "TEMPLATE_REJECTED"
    assert f"{status}: PROMOTIONAL" in refused["detail"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"1": "Ann"}, "Missing: 2."),
        ({"1": "Ann", "2": ""}, "Missing: 2."),
        ({"1": "Ann", "2": "A", "3": "x", "name": "y"}, "Not part of it: 3, name."),
        ({}, "Missing: 1, 2."),
    ],
)
async def test_variables_that_do_not_fit_are_named(town: Town, variables: dict[str, str], said: str) -> None:
    await town.world.hear(changed())
    refused = await town.post(422, {**CONTENT, "variables": variables})
    assert refused["code"] == "VARIABLES_INCOMPLETE"
    assert said in refused["detail"]


async def test_a_header_and_buttons_that_are_wanted_are_named(town: Town) -> None:
    await town.world.hear(changed(header="IMAGE", buttons=(0,)))
    refused = await town.post(422)
    assert "Missing: header (image). Missing: button 0." in refused["detail"]
    button = {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "x"}]}
    header = {"url": "https://example.com/a.png", "contentType": "image/png"}
    await town.post(202, {**CONTENT, "header": header, "components": [button]})


async def test_a_template_that_was_paused_after_it_was_accepted_is_not_sent(town: Town) -> None:
    await town.world.hear(changed())
    now = town.world.clock.now()
    await town.world.hear(changed(2, status=TemplateStatus.PAUSED, reason="FIRST_PAUSE"))
    content = Template(name="order_update", variables={"1": "a", "2": "b"})
    await town.world.hear(message(now, content=content))
    (said,) = town.world.said(DeliveryChanged)
    assert (said.status, said.error_code) == (Status.FAILED, "template_rejected")
    assert "FIRST_PAUSE" in (said.detail or "")
    assert not town.fake.asked


async def test_an_old_revision_that_comes_late_is_no_news(town: Town) -> None:
    await town.world.hear(changed(2, status=TemplateStatus.PAUSED))
    await town.world.hear(changed(1))
    assert (await town.post(422))["code"] == "TEMPLATE_REJECTED"


async def test_a_copy_that_is_late_at_the_sender_is_waited_for(town: Town) -> None:
    await town.listed()
    content = Template(name="order_update", variables={"1": "a", "2": "b"})
    await town.world.hear(message(town.world.clock.now(), content=content))
    assert not town.world.said(DeliveryChanged)
    await town.world.hear(changed())
    await town.world.advance(5, step=1)
    assert town.fake.accepted == {"m1": 1}


async def test_a_marketing_template_is_marketing_whatever_the_sender_calls_it(town: Town) -> None:
    await town.world.hear(changed(category="MARKETING"))
    await town.world.hear(permission(town.world.clock.now(), 2, purposes=("service",)))
    refused = await town.post(422, purpose="service")
    assert (refused["code"], refused["detail"]) == ("NO_CONSENT", "The consent does not cover marketing.")
    content = Template(name="order_update", variables={"1": "a", "2": "b"})
    queued = message(town.world.clock.now(), content=content, message_class=MessageClass.BULK)
    assert queued.purpose is Purpose.SERVICE
    await town.world.hear(queued)
    await town.world.advance(20, step=2)
    assert [said.error_code for said in town.world.said(DeliveryChanged)] == ["no_consent"]


async def test_on_sms_the_words_are_put_together_when_it_is_accepted_and_stay(town: Town) -> None:
    sms = {"channel": Channel.SMS, "variables": ("name",), "number": 1, "body": "Hi {{name}}!"}
    await town.world.hear(changed(**sms))
    await town.world.hear(permission(town.world.clock.now(), channel=Channel.SMS))
    asked = {"kind": "template", "name": "order_update", "variables": {"name": "{{name}} <b>"}}
    made = await town.post(202, asked, channel="sms")
    assert made["template"] == {"name": "order_update", "language": "en_US", "number": 1}
    await town.world.settle()
    (said,) = town.world.said(MessageQueued)
    assert said.content == Text(body="Hi {{name}} <b>!")
    missing = {**asked, "name": "nothing"}
    assert (await town.post(422, missing, channel="sms"))["code"] == "TEMPLATE_MISSING"
