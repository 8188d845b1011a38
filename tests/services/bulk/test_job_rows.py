"""What a job says, to whom, and with which values: it fits into the rows and events that carry it, or is refused by row."""

from __future__ import annotations

import json

import orjson
import pytest

from libs.messaging.channels import Channel
from libs.messaging.events.bulk import ChunkReleased
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Permission
from services.bulk.model import BulkJob
from services.bulk.planning import plan_totals
from tests.services.bulk.kit import TEXT, Platform, phone

#: An item takes 400 KB; names and types of DynamoDB's own are in that.
MAX_ITEM_BYTES = 400_000


def address(n: int) -> str:
    return f"person-{n}@example.com"


async def readers(on: Platform, count: int) -> None:
    """Contacts that said yes to e-mail."""
    for n in range(count):
        standing = Permission(
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


async def test_a_message_that_its_values_make_too_large_is_skipped_by_row_and_the_others_go(on: Platform) -> None:
    """The message of each recipient is a row and may be an event of its own."""
    await readers(on, 3)
    values = ["short", "x" * 1000, '"' * 20]
    file = "\n".join(["Email;Name", *(f"{address(n)};{json.dumps(value)}" for n, value in enumerate(values))])
    mapping = {"address": "Email", "variables": {"name": "Name"}}
    content = {"kind": "email", "subject": "News", "html": "{{name}}" * 4000}
    upload = await on.upload(file.replace('\\"', '""').encode())
    made = await on.create(channel="email", content=content, audience={"uploadId": upload}, mapping=mapping, hold=True)
    reported = await on.job(made["jobId"])
    assert (reported["counts"]["pending"], reported["counts"]["skipped"]) == (1, 2)
    for skipped in await on.recipients(made["jobId"], status="skipped"):
        assert (skipped["reason"], skipped["variables"]) == ("variables_incomplete", {})
        assert "bytes" in skipped["detail"]


async def test_a_value_that_no_row_can_hold_does_not_stop_the_plan(on: Platform) -> None:
    """It is longer than a value may be anyway, so its recipient is skipped: the row of who is skipped is written, too."""
    await on.people(range(26))
    names = [f"v{n}" for n in range(15)]
    usual = (phone(n) + ";ok" * 15 for n in range(25))
    lines = ["Phone;" + ";".join(names), *usual, phone(25) + (";" + "y" * 30_000) * 15]
    upload = await on.upload("\n".join(lines).encode())
    mapping = {"address": "Phone", "variables": {name: name for name in names}}
    job = (await on.create(audience={"uploadId": upload}, mapping=mapping, hold=True))["jobId"]
    reported = await on.job(job)
    assert (reported["counts"]["pending"], reported["reasons"]) == (25, {"variables_incomplete": 1})
    row = await on.recipient(job, 25)
    assert len(orjson.dumps(row.to_row())) < MAX_ITEM_BYTES


async def test_a_test_send_whose_values_do_not_fit_is_refused_with_its_field(on: Platform) -> None:
    job = (await on.create(audience={"contactIds": await on.people(range(1))}, hold=True))["jobId"]
    cases = [{f"v{n}": "\x01" * 1000 for n in range(100)}, {f"v{n}": "x" for n in range(101)}]
    for values in cases:
        answer = await on.api.post(f"/api/bulk/jobs/{job}/test", json={"contactId": "contact-0", "variables": values})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"].startswith("variables")
    assert not on.world.said(ChunkReleased)


async def test_a_chunk_that_no_event_can_carry_ends_visibly_and_its_job_with_it(
    on: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a build planned it that weighed less exactly."""
    await on.people(range(60))
    names = [f"v{n}" for n in range(20)]
    lines = ["Phone," + ",".join(names), *(phone(n) + ("," + "v" * 400) * 20 for n in range(60))]
    upload = await on.upload("\n".join(lines).encode())
    with monkeypatch.context() as older:
        older.setattr(plan_totals, "room_bytes", lambda content: 10**9)
        mapping = {"address": "Phone", "variables": {name: name for name in names}}
        job = (await on.create(audience={"uploadId": upload}, mapping=mapping))["jobId"]
    await on.approve(job)
    reported = await on.run(job)
    # So many failures pause a job by themselves.
    assert (reported["state"], reported["counts"]["failed"], reported["reasons"]) == (
        "paused",
        60,
        {"invalid_content": 60},
    )
    assert (await on.api.post(f"/api/bulk/jobs/{job}/resume")).status_code == 200
    assert (await on.run(job))["state"] == "finished"
    assert not on.world.said(ChunkReleased)
    (one, *_) = await on.recipients(job, status="failed")
    assert (one["reason"], "bytes" in one["detail"]) == ("invalid_content", True)
    assert not await on.world.tick("bulk", "audit")
