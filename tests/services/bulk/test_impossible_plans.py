"""A job never stays in planning: what cannot be planned is rejected, and says why."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from libs.common.declare.topology import Names
from libs.common.store.item import Item
from libs.messaging.channels import Channel
from libs.messaging.events.bulk import ChunkReleased, JobChanged
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Permission
from services.bulk import requests, ticks
from services.bulk.audience.parts import part_key
from services.bulk.model import BulkJob
from services.bulk.service import service as bulk
from tests.services.bulk.kit import TEXT, Platform


async def test_a_test_send_with_a_value_that_is_no_safe_address_is_refused_with_its_field(on: Platform) -> None:
    said = Permission(contact_id="c", channel=Channel.EMAIL, revision=1, address="ann@example.com", opted_in=True)
    await on.world.hear(PermissionChanged(contact_id="c", channel=Channel.EMAIL, standing=said))
    content = {"kind": "email", "subject": "Hi", "html": '<a href="{{link}}">here</a>'}
    mapping = {"fallbacks": {"link": "https://example.com"}}
    made = await on.create(channel="email", content=content, audience={"contactIds": ["c"]}, mapping=mapping, hold=True)
    body = {"contactId": "c", "variables": {"link": "javascript:alert(1)"}}
    answer = await on.api.post(f"/api/bulk/jobs/{made['jobId']}/test", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "variables")


async def asked(on: Platform, count: int) -> str:
    """A job whose parts lie in the bucket and of which nothing was planned yet."""
    body = {
        "name": "x",
        "channel": "whatsapp",
        "content": TEXT,
        "audience": {"contactIds": [f"contact-{n}" for n in range(count)]},
    }
    answer = await on.api.post("/api/bulk/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


async def spoil(on: Platform, job: str, part: int, body: bytes | None) -> None:
    """Put something else in place of a part, or nothing."""
    s3: Any = await on.world.aws.client("s3")
    where = {"Bucket": Names(on.world.settings.prefix).bucket("bulk", "files"), "Key": part_key(f"rows/{job}/", part)}
    await (s3.delete_object(**where) if body is None else s3.put_object(**where, Body=body))


async def test_a_job_whose_audience_cannot_be_read_is_rejected_and_says_why(on: Platform) -> None:
    await on.people(range(2))
    job = await asked(on, 2)
    await spoil(on, job, 0, b"no JSON")
    await on.world.advance(30, step=5)
    reported = await on.job(job)
    assert (reported["state"], reported["planned"]) == ("rejected", 0)
    assert reported["problem"]["code"] == "PLANNING_FAILED"
    assert "part 1 of the audience" in reported["problem"]["detail"]
    assert reported["why"] == reported["problem"]["detail"]
    assert on.states()[-1] == "rejected"
    assert not on.world.letters()
    other = (await on.create(audience={"contactIds": ["contact-0"]}))["jobId"]
    assert (await on.run(other))["counts"]["sent"] == 1


async def test_what_may_pass_is_tried_for_minutes_and_then_the_job_is_rejected(on: Platform) -> None:
    await on.people(range(2))
    job = await asked(on, 2)
    await spoil(on, job, 0, None)
    minutes = 0
    while (reported := await on.job(job))["state"] == "planning":
        await on.world.advance(61, step=20)
        await on.world.tick("bulk", "look-after")
        minutes += 1
        assert minutes < 3 * ticks.MAX_PLAN_TRIES
    assert minutes >= ticks.MAX_PLAN_TRIES
    assert (reported["state"], reported["problem"]["code"]) == ("rejected", "PLANNING_FAILED")
    assert "NoSuchKey" in reported["problem"]["detail"]


async def test_a_part_that_comes_back_in_time_is_planned(on: Platform) -> None:
    await on.people(range(2))
    job = await asked(on, 2)
    await spoil(on, job, 0, None)
    await on.world.advance(61, step=20)
    await on.world.tick("bulk", "look-after")
    assert (await on.job(job))["state"] == "planning"
    await spoil(on, job, 0, b'[1, "contact-0"]\n[2, "contact-1"]')
    await on.world.advance(400)
    assert (await on.run(job))["counts"]["sent"] == 2
    row = await on.world.row("bulk", BulkJob, job)
    assert row is not None
    assert (row.plan_tries, row.plan_error) == (0, None)


async def test_who_was_planned_before_the_rest_failed_is_not_left_pending(
    on: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MAX_PART_ROWS", 10)
    await on.people(range(25))
    job = await asked(on, 25)
    await spoil(on, job, 1, b"\xff\xfe")
    await on.world.advance(30, step=5)
    assert (await on.job(job))["state"] == "rejected"
    await on.world.tick("bulk", "look-after")
    reported = await on.job(job)
    assert (reported["state"], reported["planned"], reported["counts"]["cancelled"]) == ("rejected", 10, 10)
    await on.world.tick("bulk", "look-after")
    row = await on.world.row("bulk", BulkJob, job)
    assert row is not None
    assert row.active is None
    assert [said.state for said in on.world.said(JobChanged)] == ["planning", "rejected"]
    assert not on.world.said(ChunkReleased)


async def test_a_job_that_is_settled_is_not_looked_after_again_for_a_report(on: Platform) -> None:
    """What is None is not written: it must come back as None, not as the default of a new job."""
    await on.people(range(2))
    job = (await on.create(audience={"contactIds": ["contact-0", "contact-1"]}))["jobId"]
    await on.run(job)
    await on.world.advance(73 * 3600, step=3600)
    await on.world.tick("bulk", "look-after")
    row = await on.world.row("bulk", BulkJob, job)
    assert row is not None
    assert (row.active, row.settled_at is not None, (row.report or {})["final"]) == (None, True, True)
    assert not await on.world.tick("bulk", "look-after")
    assert (await on.api.post(f"/api/bulk/jobs/{job}/report")).status_code == 202
    await on.world.settle()
    await on.world.tick("bulk", "look-after")
    again = await on.world.row("bulk", BulkJob, job)
    assert again is not None
    assert (again.active, again.reports) == (None, row.reports + 1)


@pytest.mark.parametrize("item", bulk.owns, ids=lambda item: str(item.__name__))
def test_a_field_that_is_none_comes_back_as_none(item: type[Item]) -> None:
    fields = item.model_fields.items()
    optional = {name: field for name, field in fields if type(None) in get_args(field.annotation)}
    assert [name for name, field in optional.items() if field.is_required() or field.default is not None] == []
