"""An opt-out that came to the provider and not to us: known once a send is refused for it."""

from __future__ import annotations

from typing import Any

from libs.messaging.channels import Channel
from libs.messaging.events.contacts import ConsentChanged, PermissionChanged
from libs.messaging.events.outbound import OptOutFound
from tests.services.contacts.conftest import Town

REASON = "DESTINATION_PHONE_NUMBER_OPTED_OUT"


def found_out(town: Town, contact_id: str, **facts: Any) -> OptOutFound:
    reported = {
        "message_id": "m1",
        "contact_id": contact_id,
        "channel": Channel.SMS,
        "scope": "all",
        "provider_code": REASON,
    }
    return OptOutFound(**{**reported, "at": town.world.clock.now(), **facts})


async def test_who_is_on_the_providers_list_has_opted_out_with_evidence(town: Town) -> None:
    contact = (await town.create())["contactId"]
    assert (await town.consent(contact, "sms"))["optedIn"]
    event = found_out(town, contact)
    await town.world.hear(event, key="once")
    await town.world.hear(event, key="once")
    evidence = (await town.history(contact))[-1]
    assert (evidence["channel"], evidence["who"], evidence["how"], evidence["words"], evidence["messageId"]) == (
        "sms",
        "provider",
        "provider",
        REASON,
        "m1",
    )
    assert len(await town.history(contact)) == 2
    assert [changed.opted_in for changed in town.world.said(ConsentChanged)] == [True, False]
    newest = max(
        (said.standing for said in town.world.said(PermissionChanged) if said.channel is Channel.SMS),
        key=lambda standing: standing.revision,
    )
    assert newest.opted_out_at is not None


async def test_metas_list_is_about_marketing_alone(town: Town) -> None:
    contact = (await town.create())["contactId"]
    await town.consent(contact)
    await town.world.hear(found_out(town, contact, channel=Channel.WHATSAPP, scope="marketing", provider_code="131050"))
    consent = (await town.api.get(f"/api/contacts/{contact}")).json()["consents"]["whatsapp"]
    assert (consent["optedIn"], consent["purposes"]) == (True, ["service"])


async def test_an_opt_in_after_that_counts(town: Town) -> None:
    contact = (await town.create())["contactId"]
    await town.world.hear(found_out(town, contact))
    await town.world.advance(2, step=2)
    assert (await town.consent(contact, "sms"))["optedIn"]


async def test_of_a_contact_that_is_gone_nothing_is_kept(town: Town) -> None:
    await town.world.hear(found_out(town, "nobody"))
    assert town.world.said(ConsentChanged) == []
    assert town.world.letters() == []
