"""Chunks are cut by what their event weighs, whatever is in it; who does not fit at all is refused when the job is planned."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from libs.common.bus.encoding import MAX_EVENT_BYTES
from libs.messaging.channels import Channel
from libs.messaging.content import Template
from libs.messaging.events.bulk import ChunkReleased
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Permission
from services.bulk.planning.event_size import recipient_bytes, room_bytes
from tests.services.bulk.kit import Platform, phone

CONTROL, ODD = "\u0001", "\ufffe"


def mapped(names: list[str], values: str) -> dict[str, Any]:
    return {"address": "Phone", "variables": dict.fromkeys(names, "Value"), "fallbacks": dict.fromkeys(names, values)}


@pytest.mark.parametrize(
    ("names", "value", "people"),
    [
        ([f"{n}" for n in range(1, 101)], "short", 120),
        ([f"{n}" for n in range(1, 21)], "v" * 60, 120),
        ([f"{n}" for n in range(1, 6)], CONTROL * 900, 30),
        ([f"{n}" for n in range(1, 6)], ODD * 900, 30),
        (["x" * 1000], "y", 120),
    ],
)
async def test_a_job_of_heavy_rows_is_released_whole_in_events_that_fit(
    on: Platform, names: list[str], value: str, people: int
) -> None:
    await on.people(range(people))
    body = "\n".join(["Phone,Value", *(f"{phone(n)}," for n in range(people))])
    upload = await on.upload(body.encode())
    content = {"kind": "template", "name": "order_update", "language": "en_US", "variables": {}}
    job = await on.create(content=content, audience={"uploadId": upload}, mapping=mapped(names, value), hold=True)
    reported = await on.run(job["jobId"])
    assert reported["state"] == "planned"
    assert reported["planned"] == people
    await on.approve(job["jobId"])
    await on.run(job["jobId"])
    released = on.world.said(ChunkReleased)
    sizes = [len(orjson.dumps(on.world.envelope(said).to_wire())) for said in released]
    assert max(sizes) <= MAX_EVENT_BYTES
    assert {one.contact_id for said in released for one in said.addressees} == {f"contact-{n}" for n in range(people)}
    assert on.world.letters() == []


def test_what_a_recipient_may_weigh_is_what_the_content_leaves_of_an_event() -> None:
    content = Template(name="order_update", variables={"fixed": "z" * 150_000})
    room = room_bytes(content)
    assert 40_000 < room < MAX_EVENT_BYTES - 150_000
    assert recipient_bytes("contact-1", {"1": "\u0001" * 1000}) > 6000
    assert recipient_bytes("contact-1", {"1": ODD * 1000}) > 6000


async def test_a_content_that_leaves_no_room_for_recipients_is_refused_at_once(on: Platform) -> None:
    content = {"kind": "text", "body": "x", "registeredId": None}
    big = {"kind": "template", "name": "order_update", "variables": {"1": "z" * 190_000}}
    assert (await on.create(expect=422, content=big, audience={"contactIds": ["a"]}))["errors"][0]["field"] == "content"
    await on.people(range(1))
    await on.create(content=content, audience={"contactIds": ["contact-0"]})


async def test_an_erased_contact_is_left_out_with_its_reason_and_the_others_are_planned(on: Platform) -> None:
    await on.people(range(2))
    gone = Permission(contact_id="contact-0", channel=Channel.WHATSAPP, revision=2, deleted=True)
    await on.world.hear(PermissionChanged(contact_id="contact-0", channel=Channel.WHATSAPP, standing=gone))
    job = (await on.create(audience={"contactIds": ["contact-0", "contact-1"]}, hold=True))["jobId"]
    reported = await on.run(job)
    assert (reported["state"], reported["planned"]) == ("planned", 1)
    plan = (await on.api.get(f"/api/bulk/jobs/{job}/plan")).json()
    assert plan["rejected"] == {"missing": 1}
    test = await on.api.post(f"/api/bulk/jobs/{job}/test", json={"contactId": "contact-0"})
    assert (test.status_code, test.json()["code"]) == (422, "CONTACT_NOT_FOUND")


async def test_a_job_whose_planning_fails_each_time_ends_rejected_and_says_so(
    on: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    await on.people(range(2))
    with monkeypatch.context() as patched:
        patched.setattr("services.bulk.planning.steps.plan_part", broken)
        job = (await on.create(audience={"contactIds": ["contact-0", "contact-1"]}))["jobId"]
        for _ in range(30):
            await on.world.advance(60)
            await on.world.tick("bulk", "look-after")
    reported = await on.job(job)
    assert reported["state"] == "rejected"
    assert reported["problem"]["code"] == "PLANNING_FAILED"


async def test_a_plan_waits_for_changes_of_contacts_that_are_on_their_way(on: Platform) -> None:
    """Somebody records consents and creates a job in the next request."""
    await on.people(range(3), opted_in=False)
    for n in range(3):
        contact = f"contact-{n}"
        facts = {"address": phone(n), "opted_in": True}
        standing = Permission(contact_id=contact, channel=Channel.WHATSAPP, revision=2, **facts)
        await on.world.publish(PermissionChanged(contact_id=contact, channel=Channel.WHATSAPP, standing=standing))
    queue = "wecare-test-bulk-people"
    held = [record for record in await on.world.bus.receive(queue, 10, 0) if record.queue == queue]
    assert len(held) == 3
    job = (await on.create(audience={"contactIds": [f"contact-{n}" for n in range(3)]}, hold=True))["jobId"]
    assert (await on.job(job))["state"] == "planning"
    await on.world.advance(40, step=1)
    plan = (await on.api.get(f"/api/bulk/jobs/{job}/plan")).json()
    assert (plan["toSend"], plan["changesUnderWay"]) == (3, 0)


async def test_ten_thousand_contacts_and_a_job_planned_at_once_nobody_is_dropped(on: Platform) -> None:
    count = 10_000
    said = []
    for n in range(count):
        facts = {"address": f"+1{200 + n // 100}555{100 + n % 100:04d}", "opted_in": True}
        standing = Permission(contact_id=f"contact-{n}", channel=Channel.WHATSAPP, revision=1, **facts)
        said.append(PermissionChanged(contact_id=standing.contact_id, channel=Channel.WHATSAPP, standing=standing))
    await on.world.publish(*said)
    named = await on.create(audience={"contactIds": [f"contact-{n}" for n in range(count)]}, hold=True)
    found = await on.create(audience={"filter": {}}, hold=True)
    await on.world.advance(20, step=1)
    for job in (named, found):
        plan = (await on.api.get(f"/api/bulk/jobs/{job['jobId']}/plan")).json()
        assert (plan["toSend"], plan["skipped"], plan["rejected"], plan["changesUnderWay"]) == (count, {}, {}, 0)


async def test_a_plan_that_can_wait_no_longer_says_how_many_changes_are_missing(on: Platform) -> None:
    await on.people(range(3))
    standing = Permission(contact_id="contact-9", channel=Channel.WHATSAPP, revision=1, address=phone(9), opted_in=True)
    await on.world.publish(PermissionChanged(contact_id="contact-9", channel=Channel.WHATSAPP, standing=standing))
    job_made = on.create(audience={"contactIds": [f"contact-{n}" for n in range(3)]}, hold=True)
    (record,) = await on.world.bus.receive("wecare-test-bulk-people", 10, 0)
    await on.world.bus.change_visibility(record, 3600)
    job = (await job_made)["jobId"]
    await on.world.advance(200, step=5)
    plan = (await on.api.get(f"/api/bulk/jobs/{job}/plan")).json()
    assert (plan["toSend"], plan["changesUnderWay"]) == (3, 1)
