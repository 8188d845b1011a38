"""Somebody writes to us."""

from __future__ import annotations

import asyncio

from libs.common.handle.delivery import deliver
from libs.messaging.channels import Channel
from libs.messaging.checks import SendFacts, refusal
from libs.messaging.content import Text
from libs.messaging.errors import ErrorCode
from libs.messaging.events.contacts import ContactCreated, ContactWroteIn, PermissionChanged
from libs.messaging.vocabulary import Purpose
from services.contacts.service import service
from tests.services.contacts.conftest import OTHER, PHONE, Town


async def test_a_first_message_makes_a_contact_who_may_be_answered_and_no_more(town: Town) -> None:
    await town.writes()
    contact = await town.only()
    assert (contact["name"], contact["phone"]) == ("José Álvarez", PHONE)
    assert contact["consents"]["whatsapp"]["purposes"] == ["service"]
    assert not contact["consents"]["sms"]["optedIn"]
    standing, now = town.standing(), town.world.clock.now()
    answer = SendFacts(Channel.WHATSAPP, Purpose.SERVICE, Text(body="hi"))
    assert refusal(standing, answer, now) is None
    refused = refusal(standing, SendFacts(Channel.WHATSAPP, Purpose.MARKETING, Text(body="buy")), now)
    assert refused
    assert refused.code is ErrorCode.NO_CONSENT
    refused = refusal(town.standing(Channel.SMS), SendFacts(Channel.SMS, Purpose.SERVICE, Text(body="hi")), now)
    assert refused
    assert refused.code is ErrorCode.NO_CONSENT


async def test_the_same_message_three_times_is_one_contact_one_evidence_one_story(town: Town) -> None:
    message = town.message()
    for _ in range(3):
        await town.world.hear(message, key="same")
    await town.world.hear(message, key="replayed under another id")
    contact = await town.only()
    evidence = await town.history(contact["contactId"])
    assert [(each["how"], each["messageId"]) for each in evidence] == [("wrote-in", "message-1")]
    assert len(town.world.said(ContactCreated)) == 1
    assert {each.message_id for each in town.world.said(ContactWroteIn)} == {"message-1"}


async def test_twenty_first_messages_at_once_are_from_one_contact(town: Town) -> None:
    (on,) = [on for on in service.hears if on.event.__name__ == "MessageReceived"]
    waiting = [town.world.envelope(town.message(after=n)) for n in range(20)]
    while waiting:  # what met others too often comes back, as from its queue
        results = await asyncio.gather(
            *(deliver(town.world.runtime, service, on, each) for each in waiting), return_exceptions=True
        )
        waiting = [each for each, result in zip(waiting, results, strict=True) if result is not None]
    assert len(await town.everybody()) == 1
    assert len(town.world.said(ContactWroteIn)) == 20
    assert len({each.contact_id for each in town.world.said(ContactWroteIn)}) == 1
    assert town.standing().last_inbound_at == town.message(after=19).received_at


async def test_the_window_only_moves_forward(town: Town) -> None:
    await town.writes(after=100)
    await town.writes(after=0)
    assert town.standing().last_inbound_at == town.message(after=98).received_at


async def test_a_later_message_is_no_second_evidence(town: Town) -> None:
    await town.writes()
    await town.writes()
    assert len(await town.history((await town.only())["contactId"])) == 1


async def test_somebody_without_a_number_is_known_by_the_user_id_and_gets_the_number_later(town: Town) -> None:
    user = "US.13491208655302741918"
    await town.writes(sender=None, sender_user_id=user)
    assert town.standing().address == user
    await town.writes(sender=PHONE, sender_user_id=user)
    contact = await town.only()
    assert contact["phone"] == PHONE
    assert contact["providerUserIds"] == {"whatsapp": user}
    assert town.standing().address == PHONE
    assert town.standing(Channel.SMS).address == PHONE
    await town.writes(sender=None, sender_user_id=user)
    assert len(await town.everybody()) == 1


async def test_an_email_finds_its_contact_in_any_case(town: Town) -> None:
    created = await town.create(email="Ana@Example.com")
    await town.writes(channel=Channel.EMAIL, sender="ana@example.com")
    assert {each.contact_id for each in town.world.said(ContactWroteIn)} == {created["contactId"]}
    assert town.standing(Channel.EMAIL).address == "Ana@Example.com"


async def test_a_short_code_is_told_apart_but_not_written_to(town: Town) -> None:
    await town.writes(channel=Channel.SMS, sender="72975")
    await town.writes(channel=Channel.SMS, sender="72975")
    assert len(await town.everybody()) == 1
    refused = refusal(
        town.standing(Channel.SMS), SendFacts(Channel.SMS, Purpose.SERVICE, Text(body="hi")), town.world.clock.now()
    )
    assert refused
    assert refused.code is ErrorCode.INVALID_RECIPIENT


async def test_a_message_from_nobody_is_a_dead_letter(town: Town) -> None:
    await town.world.hear(town.message(sender=None))
    assert len(town.world.letters()) > 0
    assert await town.everybody() == []


async def test_the_profile_does_not_overwrite_the_name_that_we_gave(town: Town) -> None:
    await town.create(name="Dr. Alvarez")
    await town.writes()
    assert (await town.only())["name"] == "Dr. Alvarez"


async def test_revisions_only_grow(town: Town) -> None:
    for n in range(5):
        await town.writes(sender=(PHONE, OTHER)[n % 2])
    for contact in await town.everybody():
        said = [
            each.standing.revision
            for each in town.world.said(PermissionChanged)
            if (each.contact_id, each.channel) == (contact["contactId"], Channel.WHATSAPP)
        ]
        assert said == sorted(set(said))
