"""A job to people whom the provider knows by an id of its own: by a sheet of ids, and by contacts."""

from __future__ import annotations

from libs.messaging.channels import Channel
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Permission
from services.outbound.contract import Outcome, Request
from tests.services.bulk.kit import Platform
from tests.services.outbound.kit import Fake

IDS = ("US.aaa111", "US.AAA111", "US.bbb222")


async def people(on: Platform) -> list[str]:
    """Contacts without a number; each is said twice."""
    for n, address in enumerate(IDS):
        facts = {"contact_id": f"person-{n}", "channel": Channel.WHATSAPP}
        standing = Permission(**facts, revision=1, address=address, opted_in=True)
        for _ in range(2):
            await on.world.publish(PermissionChanged(**facts, standing=standing))
    await on.world.settle()
    return [f"person-{n}" for n in range(len(IDS))]


async def test_a_sheet_of_ids_finds_its_people_and_case_tells_them_apart(on: Platform) -> None:
    await people(on)
    sheet = "\n".join(["Name,User ID", *(f"Ana,{each}" for each in IDS), "Bea,US.nobody", "Cleo,not an id"])
    job = (await on.create(audience={"uploadId": await on.upload(sheet.encode())}, hold=True))["jobId"]
    plan = (await on.api.get(f"/api/bulk/jobs/{job}/plan")).json()
    assert plan["toSend"] == 3
    assert plan["skipped"] == {"no_consent": 1}
    assert plan["rejected"] == {"invalid": 1}
    listed = (await on.api.get(f"/api/bulk/jobs/{job}/recipients")).json()["items"]
    assert {(each["address"], each["contactId"]) for each in listed if each.get("contactId")} == {
        (address, f"person-{n}") for n, address in enumerate(IDS)
    }


async def test_contacts_with_ids_are_sent_to_once_each(on: Platform) -> None:
    written: list[str] = []

    async def notes(fake: Fake, request: Request) -> Outcome:
        written.append(request["to"])
        return fake.accept(request)

    on.fake.behaviour = notes
    job = (await on.create(audience={"contactIds": await people(on)}))["jobId"]
    assert (await on.run(job))["counts"]["sent"] == 3
    assert sorted(written) == sorted(IDS)
