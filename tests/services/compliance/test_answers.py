"""STOP, START and HELP are answered once, on the same channel, and only to somebody who has just written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.auto_replies import TEXTS, Answer, answer_text
from libs.messaging.channels import Channel
from libs.messaging.content import Email, Text
from libs.messaging.events.contacts import OptOutEffective
from libs.messaging.events.inbound import MessageReceived, PreferenceChanged
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import OptOutFound
from libs.messaging.segments import segments
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from services.contacts.service import service as contacts
from services.messages.model import Message
from services.messages.service import service as messages
from services.outbound.sending.channel_service import channel_service
from tests.services.outbound.kit import LIMITS, SENDER, Fake, NoAws

PHONE, OURS = "+12025550143", "+12025550100"


class SmsFake(Fake):
    name = Channel.SMS
    provider = "pinpoint-sms-voice-v2"


class Town:
    def __init__(self, **more: Any) -> None:
        self.whatsapp, self.sms = Fake(), SmsFake()
        settings = Settings(stage="test", send_mode="LIVE", business_name="Example Store", **more)
        senders = [
            channel_service(self.whatsapp, LIMITS, needs=[], senders=lambda settings: [SENDER]),
            channel_service(self.sms, LIMITS, needs=[], senders=lambda settings: ["pool-1"]),
        ]
        self.world = World([contacts, messages, *senders], settings=settings, aws=NoAws())  # type: ignore[arg-type]
        self._n = 0

    async def writes(self, text: str, channel: Channel = Channel.WHATSAPP, times: int = 1, **more: Any) -> None:
        self._n += 1
        reported: dict[str, Any] = {
            "message_id": f"in-{self._n}",
            "channel": channel,
            "provider_message_id": f"provider-{self._n}",
            "sender": PHONE,
            "to": OURS,
            "content": Text(body=text),
            "received_at": self.world.clock.now(),
        }
        received = MessageReceived(**{**reported, **more})
        for _ in range(times):
            await self.world.hear(received, key=f"in-{self._n}")
        await self.world.advance(10, step=2)

    def answers(self) -> list[MessageQueued]:
        return [said for said in self.world.said(MessageQueued) if said.purpose is Purpose.COMPLIANCE]

    def texts(self) -> list[str]:
        return [said.content.body for said in self.answers() if isinstance(said.content, Text)]


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    town = Town()
    async with town.world:
        yield town


async def test_a_stop_is_confirmed_once_though_the_contact_has_opted_out(town: Town) -> None:
    await town.writes("STOP", times=3)
    (answer,) = town.answers()
    assert "Example Store: You are unsubscribed" in town.texts()[0]
    assert (answer.channel, answer.message_class) == (Channel.WHATSAPP, MessageClass.REPLY)
    assert town.whatsapp.accepted == {answer.message_id: 1}
    row = await town.world.row("messages", Message, answer.message_id)
    assert row is not None
    assert row.status is Status.SENT


async def test_a_stop_that_is_said_again_is_not_confirmed_again(town: Town) -> None:
    for _ in range(3):
        await town.writes("stop")
    assert len(town.answers()) == 1


async def test_the_same_event_in_a_new_envelope_is_not_confirmed_again(town: Town) -> None:
    await town.writes("STOP")
    (effective,) = town.world.said(OptOutEffective)
    await town.world.hear(effective)
    assert len(town.answers()) == 1
    assert sum(town.whatsapp.accepted.values()) == 1


async def test_start_is_confirmed_when_it_lifts_an_opt_out_and_then_no_more(town: Town) -> None:
    await town.writes("START")
    assert not town.answers()
    await town.writes("STOP")
    await town.writes("START")
    await town.writes("START")
    assert [text.split(".")[0] for text in town.texts()] == [
        "Example Store: You are unsubscribed and will receive no more messages here",
        "Example Store: You are subscribed again",
    ]
    await town.writes("STOP")
    assert len(town.answers()) == 3


async def test_help_is_answered_and_two_machines_do_not_keep_each_other_awake() -> None:
    town = Town(help_contact="help@example.com")
    async with town.world:
        for _ in range(20):
            await town.writes("HELP")
        assert 1 <= len(town.answers()) <= 2
        assert town.texts()[0] == "Example Store: help@example.com Reply STOP to unsubscribe."
        await town.world.advance(600)
        await town.writes("info")
        assert len(town.answers()) in (2, 3)


async def test_help_reaches_somebody_who_has_opted_out(town: Town) -> None:
    await town.writes("STOP")
    await town.writes("HELP")
    assert len(town.whatsapp.accepted) == 2


async def test_on_sms_the_carrier_confirms_and_we_do_not(town: Town) -> None:
    await town.writes("STOP", channel=Channel.SMS)
    await town.writes("HELP", channel=Channel.SMS)
    assert not town.answers()
    assert not town.sms.asked


async def test_on_self_managed_sms_we_confirm_from_the_number_that_was_written_to() -> None:
    town = Town(answers_on="whatsapp,sms")
    async with town.world:
        await town.writes("STOP", channel=Channel.SMS)
        (answer,) = town.answers()
        assert (answer.channel, answer.sender) == (Channel.SMS, OURS)
        assert town.sms.accepted == {answer.message_id: 1}


async def test_an_opt_out_that_was_no_message_gets_no_message(town: Town) -> None:
    await town.writes("hello")
    now = town.world.clock.now()
    stop = PreferenceChanged(channel=Channel.WHATSAPP, address=PHONE, scope="all", wanted=False, at=now)
    await town.world.hear(stop)
    assert len(town.world.said(OptOutEffective)) == 1
    assert not town.answers()


async def test_a_mail_about_help_is_for_people(town: Town) -> None:
    mail = Email(subject="Help", text="My order is late.")
    await town.writes("mail", channel=Channel.EMAIL, sender="ann@example.com", content=mail)
    assert not town.answers()


async def test_a_stop_that_arrives_an_hour_late_is_obeyed_and_not_confirmed(town: Town) -> None:
    await town.writes("STOP", received_at=town.world.clock.now() - timedelta(hours=1))
    await town.world.advance(120)
    assert len(town.world.said(OptOutEffective)) == 1
    assert not town.answers()


async def test_marketing_stopped_at_meta_and_learned_from_a_refusal_stops_marketing_alone(town: Town) -> None:
    api = town.world.http()
    made = (await api.post("/api/contacts", json={"phone": PHONE})).json()["contactId"]
    await api.put(f"/api/contacts/{made}/consents/whatsapp", json={"optedIn": True})
    await town.world.settle()
    town.world.clock.advance(5)
    now = town.world.clock.now()
    found = OptOutFound(
        message_id="m", contact_id=made, channel=Channel.WHATSAPP, scope="marketing", provider_code="131050", at=now
    )
    await town.world.hear(found)
    body = {"contactId": made, "channel": "whatsapp", "content": {"kind": "template", "name": "promo"}}
    refused = await api.post("/api/messages", json={**body, "purpose": "marketing"})
    assert (refused.status_code, refused.json()["code"]) == (422, "NO_CONSENT")
    assert (await api.post("/api/messages", json=body)).status_code == 202
    assert not town.answers()


@pytest.mark.parametrize("language", sorted(TEXTS))
@pytest.mark.parametrize("answer", list(Answer))
def test_every_answer_is_one_or_two_parts_and_says_how_to_come_back_or_away(language: str, answer: Answer) -> None:
    settings = MessagingSettings(business_name="Example Store", help_contact="help@example.com")
    text = answer_text(answer, f"{language}_XX", settings)
    assert segments(text).parts <= 2
    assert ("START" if answer is Answer.OPTED_OUT else "STOP") in text
    assert "{" not in text


def test_an_unknown_language_is_answered_in_english() -> None:
    assert answer_text(Answer.HELP, "tlh", MessagingSettings()) == answer_text(Answer.HELP, None, MessagingSettings())


async def test_on_whatsapp_the_answer_comes_from_the_number_that_was_written_to() -> None:
    town = Town(whatsapp_phone_number_ids=f"another,{SENDER}")
    async with town.world:
        await town.writes("hello")
        await town.writes("STOP", received_by=SENDER)
        (queued,) = town.world.said(MessageQueued)
        assert queued.sender == SENDER
