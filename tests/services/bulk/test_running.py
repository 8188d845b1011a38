"""From the file to the last receipt."""

from __future__ import annotations

from libs.messaging.vocabulary import Status
from tests.services.bulk.kit import Platform, rows


async def test_a_job_sends_to_each_once_and_counts_what_became_of_it(on: Platform) -> None:
    await on.people(range(250))
    upload = await on.upload(rows(range(250)))
    job = (await on.create(audience={"uploadId": upload}, mapping={"address": "Phone"}))["jobId"]
    reported = await on.job(job)
    assert reported["state"] == "planned"
    assert reported["counts"]["pending"] == reported["planned"] == 250
    assert not on.fake.accepted
    await on.approve(job)
    reported = await on.run(job)
    assert reported["state"] == "finished"
    assert reported["counts"]["sent"] == 250
    assert len(on.fake.accepted) == 250
    assert set(on.fake.accepted.values()) == {1}
    await on.receipts(Status.DELIVERED, on.fake.accepted)
    reported = await on.job(job)
    assert reported["counts"]["delivered"] == 250
    shown = await on.recipients(job, status="delivered")
    assert len({each["recipientId"] for each in shown}) == 250
    assert all(each["sentAt"] and each["deliveredAt"] for each in shown)
