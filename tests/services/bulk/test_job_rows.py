"""The row of a job fits into an item of DynamoDB, whatever it says and to whom."""

from __future__ import annotations

import orjson

from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Standing
from libs.messaging.words import Channel
from services.bulk.model import BulkJob
from tests.services.bulk.kit import TEXT, Platform

#: An item takes 400 KB; names and types of DynamoDB's own are in that.
MAX_ITEM_BYTES = 400_000


def address(n: int) -> str:
    return f"person-{n}@example.com"


async def readers(on: Platform, count: int) -> None:
    """Contacts that said yes to e-mail."""
    for n in range(count):
        standing = Standing(
            contact_id=f"contact-{n}", channel=Channel.EMAIL, revision=1, address=address(n), opted_in=True
        )
        await on.world.publish(PermissionChanged(contact_id=f"contact-{n}", channel=Channel.EMAIL, standing=standing))
    await on.world.settle()


async def test_a_planned_mailing_of_a_hundred_kilobytes_fits_into_its_row_and_shows_its_samples(on: Platform) -> None:
    await readers(on, 5)
    file = "\n".join(["Email,Name", *(f"{address(n)},Person {n}" for n in range(5))])
    mapping = {"address": "Email", "variables": {"name": "Name"}}
    content = {"kind": "email", "subject": "News", "html": "<p>{{name}}</p>" + "x" * 100_000}
    upload = await on.upload(file.encode())
    made = await on.create(channel="email", content=content, audience={"uploadId": upload}, mapping=mapping, hold=True)
    row = await on.world.row("bulk", BulkJob, made["jobId"])
    assert row is not None
    assert row.state == "planned"
    assert len(orjson.dumps(row.to_row())) < MAX_ITEM_BYTES
    plan = (await on.api.get(f"/api/bulk/jobs/{made['jobId']}/plan")).json()
    assert [sample["contactId"] for sample in plan["samples"]] == ["contact-0", "contact-1", "contact-2"]
    assert [sample["content"]["html"][:15] for sample in plan["samples"]] == [
        f"<p>Person {n}</p>"[:15] for n in range(3)
    ]


async def test_a_mapping_that_no_row_can_hold_is_refused_with_its_field(on: Platform) -> None:
    await on.people(range(1))
    body = {"name": "x", "channel": "whatsapp", "content": TEXT, "audience": {"contactIds": ["contact-0"]}}
    mapping = {"fallbacks": {f"v{n}": "x" * 5_000 for n in range(100)}}
    answer = await on.api.post("/api/bulk/jobs", json={**body, "mapping": mapping})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].startswith("mapping")
