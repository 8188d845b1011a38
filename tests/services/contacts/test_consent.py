"""Yes, no, and yes again, with the evidence of it."""

from __future__ import annotations

import pytest

from libs.messaging.channels import Channel
from libs.messaging.content import Choosing, Email
from libs.messaging.events.contacts import ConsentChanged, OptOutEffective, PermissionChanged
from libs.messaging.events.outbound import PermissionApplied
from tests.services.contacts.conftest import OTHER, PHONE, Town


def _applied(town: Town, contact_id: str, revision: int | None = None) -> PermissionApplied:
    return PermissionApplied(
        contact_id=contact_id,
        channel=Channel.WHATSAPP,
        revision=town.standing().revision if revision is None else revision,
        at=town.world.clock.now(),
    )


async def test_nobody_is_opted_in_by_being_created(town: Town) -> None:
    contact = await town.create()
    assert {channel for channel, consent in contact["consents"].items() if not consent["optedIn"]} == set(Channel)
    assert not any(consent["allowListed"] for consent in contact["consents"].values())


@pytest.mark.parametrize(
    "words", ["STOP", " stop. ", "Stop!", "UNSUBSCRIBE", "Opt-Out", "optout", "ＳＴＯＰ", "Arrêt", "td", "Baja", "रोकें"]
)
async def test_an_opt_out_word_opts_out(town: Town, words: str) -> None:
    contact = await town.create()
    await town.consent(contact["contactId"])
    await town.writes(words)
    standing = town.standing()
    assert not standing.opted_in
    assert standing.opted_out_at is not None
    evidence = (await town.history(contact["contactId"]))[-1]
    assert (evidence["words"], evidence["who"], evidence["how"]) == (words, "customer", "keyword")
    assert evidence["messageId"] == "message-1"


@pytest.mark.parametrize("words", ["please do not stop", "stop it, I like it", "the end is near", "we stop at 5"])
async def test_the_word_inside_a_sentence_is_none(town: Town, words: str) -> None:
    contact = await town.create()
    await town.consent(contact["contactId"])
    await town.writes(words)
    assert town.standing().opted_in


async def test_a_button_and_a_subject_can_opt_out(town: Town) -> None:
    await town.writes(content=Choosing(id="1", title="Stop"))
    assert town.standing().opted_out_at
    await town.writes(channel=Channel.EMAIL, sender="ana@example.com", content=Email(subject="Unsubscribe"))
    assert town.standing(Channel.EMAIL).opted_out_at


async def test_yes_then_stop_then_start(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    consent = await town.consent(
        contact_id, purposes=["marketing", "service"], how="web form", words="Yes, write to me"
    )
    assert (consent["optedIn"], consent["how"]) == (True, "web form")
    await town.writes("STOP")
    assert not town.standing().opted_in
    await town.writes("START")
    standing = town.standing()
    assert (standing.opted_in, standing.opted_out_at, standing.purposes) == (True, None, ())
    evidence = await town.history(contact_id)
    assert [(each["optedIn"], each.get("words")) for each in evidence] == [
        (True, "Yes, write to me"),
        (False, "STOP"),
        (True, "START"),
    ]
    assert [each.opted_in for each in town.world.said(ConsentChanged)] == [True, False, True]
    assert evidence[0]["who"] == "user:test-operator"


async def test_start_gives_back_what_was_agreed_and_no_more(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    await town.consent(contact_id, purposes=["service"])
    await town.writes("STOP")
    await town.writes("START")
    assert town.standing().purposes == ("service",)
    await town.writes("YES", sender=OTHER)
    assert town.standing().purposes == ("service",)


async def test_an_opt_out_holds_whatever_they_write_until_a_new_opt_in(town: Town) -> None:
    await town.writes("STOP")
    await town.writes("where is my parcel?")
    assert town.standing().opted_out_at is not None
    await town.consent((await town.only())["contactId"])
    assert (town.standing().opted_in, town.standing().opted_out_at) == (True, None)


async def test_of_requests_in_the_same_instant_the_last_counts(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    path = f"/api/contacts/{contact_id}/consents/whatsapp"
    for opted_in in (True, False, True, False, True):
        await town.api.put(path, json={"optedIn": opted_in})
        assert town.standing().opted_in is opted_in
    await town.api.put(path, json={"optedIn": True, "purposes": ["service"]})
    assert town.standing().purposes == ("service",)
    await town.api.put(path, json={"optedIn": False})
    assert not town.standing().opted_in


async def test_a_stop_that_comes_late_does_not_undo_a_newer_opt_in(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    await town.consent(contact_id)
    await town.writes("STOP", after=-60)
    assert town.standing().opted_in
    assert [each["optedIn"] for each in await town.history(contact_id)] == [False, True]


async def test_a_stop_of_the_same_second_wins_because_providers_tell_whole_seconds(town: Town) -> None:
    town.world.clock.advance(0.5)
    contact_id = (await town.create())["contactId"]
    await town.api.put(f"/api/contacts/{contact_id}/consents/whatsapp", json={"optedIn": True})
    await town.writes("STOP", after=-0.5)
    assert town.standing().opted_out_at is not None


async def test_an_opt_out_is_in_force_once_the_sender_obeys(town: Town) -> None:
    await town.writes("STOP")
    contact_id = (await town.only())["contactId"]
    asked = [each for each in town.world.said(PermissionChanged) if each.acknowledge]
    assert [each.channel for each in asked] == [Channel.WHATSAPP]
    assert "effectiveAt" not in (await town.only())["consents"]["whatsapp"]
    assert town.world.said(OptOutEffective) == []
    for _ in range(3):
        await town.world.hear(_applied(town, contact_id, asked[0].standing.revision))
    (effective,) = town.world.said(OptOutEffective)
    (evidence,) = await town.history(contact_id)
    assert (effective.evidence_id, effective.how) == (evidence["evidenceId"], "keyword")
    assert evidence["effectiveAt"] == (await town.only())["consents"]["whatsapp"]["effectiveAt"]


async def test_saying_stop_again_is_kept_but_not_confirmed_again(town: Town) -> None:
    await town.writes("STOP")
    await town.writes("STOP")
    contact_id = (await town.only())["contactId"]
    await town.world.hear(_applied(town, contact_id))
    await town.writes("stop!!!")
    await town.world.hear(_applied(town, contact_id))
    assert len(town.world.said(OptOutEffective)) == 1
    evidence = await town.history(contact_id)
    assert len(evidence) == 3
    assert all("effectiveAt" in each for each in evidence)


async def test_an_old_acknowledgement_does_not_put_a_newer_opt_out_into_force(town: Town) -> None:
    await town.writes("STOP")
    contact_id, old = (await town.only())["contactId"], town.standing().revision
    await town.writes("START")
    await town.writes("STOP")
    await town.world.hear(_applied(town, contact_id, old))
    assert town.world.said(OptOutEffective) == []
    await town.world.hear(_applied(town, contact_id))
    assert len(town.world.said(OptOutEffective)) == 1


async def test_an_opt_out_by_request_is_acknowledged_too(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    await town.consent(contact_id, optedIn=False)
    await town.world.hear(_applied(town, contact_id))
    assert [each.how for each in town.world.said(OptOutEffective)] == ["api"]


async def test_stopping_marketing_at_the_provider_leaves_service(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    await town.consent(contact_id)
    await town.world.hear(town.preference(False, "marketing"))
    assert (town.standing().opted_in, town.standing().purposes) == (True, ("service",))
    await town.world.hear(town.preference(True, "marketing", after=1))
    assert town.standing().purposes == ()


async def test_stopping_marketing_leaves_nothing_of_a_consent_to_marketing(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    await town.consent(contact_id, purposes=["marketing"])
    await town.world.hear(town.preference(False, "marketing"))
    assert not town.standing().opted_in
    assert not town.standing().opted_out_at


async def test_stopping_everything_at_the_provider_is_an_opt_out_even_of_a_stranger(town: Town) -> None:
    await town.world.hear(town.preference(False))
    await town.writes(after=-5)
    assert (await town.only())["phone"] == PHONE
    assert town.standing().opted_out_at is not None


async def test_the_allow_list_flag_is_set_by_itself(town: Town) -> None:
    contact_id = (await town.create())["contactId"]
    consent = await town.consent(contact_id, optedIn=None, allowListed=True)
    assert (consent["allowListed"], consent["optedIn"]) == (True, False)
    assert await town.history(contact_id) == []


@pytest.mark.parametrize(
    ("body", "field"), [({}, "optedIn"), ({"optedIn": True, "purposes": ["compliance"]}, "purposes")]
)
async def test_a_consent_that_says_nothing_is_refused(town: Town, body: dict[str, object], field: str) -> None:
    contact_id = (await town.create())["contactId"]
    answer = await town.api.put(f"/api/contacts/{contact_id}/consents/whatsapp", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
