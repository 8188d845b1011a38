"""Chunks are cut by what they weigh on the wire; who cannot fit even alone is told so by row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from libs.common.event import BATCH_BYTES
from libs.messaging.events.bulk import ChunkReleased
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.outbound import ChunkEnded
from libs.messaging.permission import Standing
from libs.messaging.words import Channel
from services.bulk.model import BulkJob
from services.bulk.sizes import Sizes
from tests.services.bulk.kit import Platform, phone, rows

#: SNS refuses a message that weighs more, with its attributes.
SNS_BYTES = 262_144
#: DynamoDB refuses an item that weighs more.
ITEM_BYTES = 400_000


def address(n: int) -> str:
    return f"person-{n}@example.com"


async def readers(on: Platform, count: int) -> None:
    """Contacts that said yes to e-mail."""
    said = []
    for n in range(count):
        standing = Standing(
            contact_id=f"contact-{n}", channel=Channel.EMAIL, revision=1, address=address(n), opted_in=True
        )
        said.append(PermissionChanged(contact_id=f"contact-{n}", channel=Channel.EMAIL, standing=standing))
    await on.world.hear(*said)


async def mailing(on: Platform, html: str, names: Sequence[str], values: Sequence[Sequence[str]]) -> str:
    """A job by e-mail: ``values`` of each person, by column."""
    await readers(on, len(values))
    out = io.StringIO()
    csv.writer(out).writerows([["Email", *names], *([address(n), *row] for n, row in enumerate(values))])
    upload = await on.upload(out.getvalue().encode())
    mapping = {"address": "Email", "variables": {name: name for name in names}}
    content = {"kind": "email", "subject": "News", "html": html}
    made = await on.create(
        channel="email", content=content, purpose="marketing", audience={"uploadId": upload}, mapping=mapping, hold=True
    )
    return str(made["jobId"])


def wire_bytes(on: Platform) -> list[int]:
    """Of each chunk that was said, as it is published."""
    return [
        len(orjson.dumps(envelope.to_wire())) + sum(len(k) + len(v) for k, v in envelope.attributes().items())
        for envelope in on.world.bus.heard
        if isinstance(envelope.data, ChunkReleased)
    ]


async def released(on: Platform, job: str, count: int) -> None:
    """Approve it and play the sender of e-mail, who is through with each chunk at once, until everybody was released."""
    await on.approve(job)
    await on.world.settle()
    ended: set[str] = set()
    while chunks := [said for said in on.world.said(ChunkReleased) if said.chunk not in ended]:
        for said in chunks:
            ended.add(said.chunk)
            end = ChunkEnded(
                job_id=job, channel=Channel.EMAIL, chunk=said.chunk, release=said.release, why="done",
                at=on.world.clock.now(),
            )  # fmt: skip
            await on.world.hear(end)
    assert len({who.message_id for said in on.world.said(ChunkReleased) for who in said.addressees}) == count


def filled(names: Sequence[str], size: int) -> str:
    """HTML of so many bytes in which each variable stands once."""
    body = "".join(f"<p>{{{{{name}}}}}</p>" for name in names)
    return body + "x" * (size - len(body))


CASES: dict[str, tuple[int, list[str], str]] = {
    "content of 96 KB and 20 variables of 60 bytes": (96_000, [f"v{n}" for n in range(20)], "y" * 60),
    "a hundred short variables": (2_000, [f"variable_number_{n:03}" for n in range(100)], "z" * 20),
    "values that JSON writes six times as long": (2_000, [f"v{n}" for n in range(10)], "a" + "\x01" * 200 + "b"),
    "values in an alphabet of three bytes": (2_000, [f"v{n}" for n in range(10)], "\u0950" * 300),
}


@pytest.mark.parametrize("case", CASES)
async def test_no_chunk_of_a_legal_job_is_larger_than_an_event_may_be(on: Platform, case: str) -> None:
    size, names, value = CASES[case]
    job = await mailing(on, filled(names, size), names, [[value] * len(names)] * 120)
    plan = (await on.api.get(f"/api/bulk/jobs/{job}/plan")).json()
    assert plan["toSend"] == 120
    assert [len(sample["content"]["html"]) > 1000 for sample in plan["samples"]] == [True] * 3
    row = await on.world.row("bulk", BulkJob, job)
    assert row is not None
    assert len(json.dumps(row.to_row())) < ITEM_BYTES
    await released(on, job, 120)
    assert max(wire_bytes(on)) <= BATCH_BYTES < SNS_BYTES
    # And not one by one either.
    assert max(len(said.addressees) for said in on.world.said(ChunkReleased)) >= 10


async def test_who_does_not_fit_even_alone_is_skipped_by_row_and_the_others_go(on: Platform) -> None:
    names = [f"v{n}" for n in range(100)]
    usual, huge = ["short"] * 100, ["a" + "\x01" * 200 + "b"] * 100
    job = await mailing(on, filled(names, 98_000), names, [usual, huge, usual])
    told = await on.job(job)
    assert (told["state"], told["counts"]["pending"], told["counts"]["skipped"]) == ("planned", 2, 1)
    (skipped,) = await on.recipients(job, status="skipped")
    assert (skipped["address"], skipped["reason"], skipped["row"]) == (address(1), "invalid_content", 3)
    assert "bytes" in skipped["detail"]
    await released(on, job, 2)


async def test_a_message_that_its_values_make_too_large_is_skipped_by_row(on: Platform) -> None:
    html = "{{v0}}" * 3000
    job = await mailing(on, html, ["v0"], [["short"], ["x" * 1000], ['"' * 20]])
    told = await on.job(job)
    assert (told["counts"]["pending"], told["counts"]["skipped"]) == (1, 2)
    assert {each["reason"] for each in await on.recipients(job, status="skipped")} == {"invalid_content"}


async def test_content_that_grows_too_large_by_its_escapes_is_refused_with_its_field(on: Platform) -> None:
    await readers(on, 1)
    content = {"kind": "email", "subject": "News", "text": "\x01" * 119_000}
    answer = await on.api.post(
        "/api/bulk/jobs",
        json={"name": "x", "channel": "email", "content": content, "audience": {"contactIds": ["contact-0"]}},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_CONTENT")
    assert answer.json()["errors"][0]["field"] == "content"


async def test_names_and_fallbacks_of_a_mapping_have_a_limit(on: Platform) -> None:
    for mapping in (
        {"fallbacks": {"v": "x" * 2000}},
        {"variables": {"v" * 200: "Name"}},
        {"variables": {"v": "N" * 200}},
    ):
        body = {"name": "x", "channel": "whatsapp", "content": {"kind": "template", "name": "t"}}
        answer = await on.api.post(
            "/api/bulk/jobs", json={**body, "audience": {"contactIds": ["contact-0"]}, "mapping": mapping}
        )
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"].startswith("mapping.")


async def test_a_chunk_that_no_event_can_carry_ends_visibly_and_its_job_with_it(
    on: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a build planned it that weighed less exactly."""
    await on.people(range(60))
    names = [f"v{n}" for n in range(20)]
    lines = ["Phone," + ",".join(names), *(phone(n) + ("," + "v" * 400) * 20 for n in range(60))]
    upload = await on.upload("\n".join(lines).encode())
    with monkeypatch.context() as older:
        older.setattr(Sizes, "room", property(lambda self: 10**9))
        mapping = {"address": "Phone", "variables": {name: name for name in names}}
        job = (await on.create(audience={"uploadId": upload}, mapping=mapping))["jobId"]
    await on.approve(job)
    told = await on.run(job)
    # So many failures pause a job by themselves.
    assert (told["state"], told["counts"]["failed"], told["reasons"]) == ("paused", 60, {"invalid_content": 60})
    assert (await on.api.post(f"/api/bulk/jobs/{job}/resume")).status_code == 200
    assert (await on.run(job))["state"] == "finished"
    assert not on.world.said(ChunkReleased)
    (one, *_) = await on.recipients(job, status="failed")
    assert (one["reason"], "bytes" in one["detail"]) == ("invalid_content", True)
    assert not await on.world.tick("bulk", "audit")


async def test_a_test_send_whose_values_do_not_fit_is_refused_with_its_field(on: Platform) -> None:
    await on.people(range(1))
    upload = await on.upload(rows(range(1)))
    job = (await on.create(audience={"uploadId": upload}, mapping={"address": "Phone"}, hold=True))["jobId"]
    url = f"/api/bulk/jobs/{job}/test"
    huge = {f"v{n}": "\x01" * 1000 for n in range(100)}
    cases: list[dict[str, Any]] = [huge, {"v": "x" * 2000}, {f"v{n}": "x" for n in range(101)}]
    for values in cases:
        answer = await on.api.post(url, json={"contactId": "contact-0", "variables": values})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"].startswith("variables")
    assert not on.world.said(ChunkReleased)
