"""A day at work over the HTTP front entry point: everything is asked for twice under one key and delivered twice, and each is on record
once."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from libs.common.aws.clients import Aws
from libs.common.declare.names import Names
from libs.common.errors import Poison
from libs.common.settings import Settings
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from services.bulk.service import service as bulk
from services.contacts.service import service as contacts
from services.dlq_replay.service import service as workbench
from services.messages.service import service as messages
from services.templates.service import service as templates
from tests.kit.toy import Greeted
from tests.services.audit.kit import Record
from tests.services.bulk.kit import TEXT
from tests.services.dlq_replay.kit import Shop
from tests.services.outbound.kit import Fake, fake_sender

WHATSAPP = {
    "channel": "whatsapp",
    "name": "appointment",
    "body": "Hi {{1}}, see you.",
    "variables": [{"name": "1", "example": "Ann"}],
}


@dataclass
class Day:
    record: Record
    shop: Shop
    did: list[str] = field(default_factory=list)

    async def does(
        self, action: str, method: str, path: str, body: Any = None, role: str = "OPERATOR", **query: Any
    ) -> Any:
        """Twice under one key; the answers are the same."""
        key = {"Idempotency-Key": f"{action} {len(self.did)}"}
        api = self.record.world.http(role)
        answers = []
        for _ in range(2):
            answers.append(await api.request(method, path, json=body, headers=key, params=query))
            await self.record.world.settle()
        assert answers[0].is_success, answers[0].text
        reported = [answer.json() if answer.content else None for answer in answers]
        assert reported[0] == reported[1]
        self.did.append(action)
        self.record.world.clock.advance(1)
        return reported[0]

    async def is_refused(self, status: int, method: str, path: str, body: Any = None, role: str = "OPERATOR") -> None:
        answer = await self.record.world.http(role).request(method, path, json=body)
        assert answer.status_code == status, answer.text
        await self.record.world.settle()

    async def dies(self, *names: str) -> list[str]:
        self.shop.broken = Poison("the shop is closed")
        await self.record.world.hear(*(Greeted(name=each) for each in names))
        self.shop.broken = None
        reported = (await self.record.world.http().get("/api/dlq")).json()
        return [each["dlqMessageId"] for each in reported["items"]]


@pytest.fixture
async def day(emulator: dict[str, str]) -> AsyncIterator[Day]:
    shop = Shop()
    settings = Settings(stage="test", send_mode="LIVE", max_attempts=1)
    services = [contacts, messages, bulk, templates, workbench, shop.service, fake_sender(Fake())]
    async with Simulator(SimulatorSettings(seed="1", grace_s=0)) as simulator:
        aws = Aws(environment={**emulator, "AWS_ENDPOINT_URL_SOCIALMESSAGING": simulator.url})
        record = Record(*services, aws=aws, settings=settings)
        async with aws, record.world:
            s3 = await aws.client("s3")
            await s3.create_bucket(Bucket=Names(settings.prefix).bucket("bulk", "files"))
            yield Day(record, shop)


async def test_each_thing_that_was_done_is_on_record_once(day: Day) -> None:
    people = [
        (await day.does("contacts.create_contact", "POST", "/api/contacts", {"phone": f"+120255501{n:02}"}))[
            "contactId"
        ]
        for n in range(4)
    ]
    ann, *_ = people
    await day.does("contacts.update_contact", "PUT", f"/api/contacts/{ann}", {"name": "Ann Example"})
    for each in people:
        yes = {"optedIn": True, "how": "form", "words": "yes"}
        await day.does("contacts.set_consent", "PUT", f"/api/contacts/{each}/consents/whatsapp", yes)
    sent = {"contactId": ann, "channel": "whatsapp", "content": TEXT}
    message = (await day.does("messages.send_message", "POST", "/api/messages", sent))["messageId"]
    await day.does("messages.delete_message", "DELETE", f"/api/messages/{message}", role="ADMIN")

    whole = {
        "name": "News",
        "channel": "whatsapp",
        "content": TEXT,
        "purpose": "service",
        "hold": True,
        "audience": {"contactIds": people},
    }
    job = (await day.does("bulk.create_job", "POST", "/api/bulk/jobs", whole))["jobId"]
    planned = (await day.record.world.http().get(f"/api/bulk/jobs/{job}")).json()
    await day.does("bulk.approve_job", "PUT", f"/api/bulk/jobs/{job}/approve", {"hash": planned["planHash"]})
    await day.does("bulk.pause_job", "POST", f"/api/bulk/jobs/{job}/pause", {"why": "wait"})
    await day.does("bulk.resume_job", "POST", f"/api/bulk/jobs/{job}/resume")
    await day.record.world.advance(60, step=5)

    await day.does("templates.create_template", "POST", "/api/templates", WHATSAPP)
    await day.does("templates.submit_template", "POST", "/api/templates/whatsapp:appointment:en_US/submit", {})
    letters = await day.dies("ann", "bob", "cid")
    await day.does("dlq-replay.replay", "POST", "/api/dlq/replay", {"ids": letters[:2]})
    await day.does(
        "dlq-replay.discard", "POST", "/api/dlq/discard", {"ids": letters[2:], "why": "not wanted"}, role="ADMIN"
    )
    await day.does("contacts.delete_contact", "DELETE", f"/api/contacts/{ann}")
    for _ in range(3):
        await day.record.world.tick("dlq-replay")
    await day.record.world.tick("bulk", "look-after")
    await day.record.links()

    entries = await day.record.entries(kind="request", limit=100)
    assert Counter(entry["action"] for entry in entries) == Counter(day.did)
    assert {entry["action"] for entry in entries if entry.get("resource") is None} == {"dlq-replay.discard"}
    assert [entry["kind"] for entry in await day.record.entries(kind="refusal")] == []
    moves = {
        entry["action"]: (entry.get("before"), entry.get("after")) for entry in await day.record.entries(resource=job)
    }
    assert moves["bulk.approve_job"] == ({"state": "planned"}, {"state": "running"})
    assert moves["bulk.pause_job"] == ({"state": "running"}, {"state": "paused"})
    (discarded,) = [entry for entry in entries if entry["action"] == "dlq-replay.discard"]
    assert [fact["subject"] for fact in discarded["facts"]] == letters[2:]
    assert await day.record.entries(kind="fact") == [], "all of it was asked for"
    reported = await day.record.verified()
    assert (reported["ok"], reported["entries"], reported["waiting"]) == (True, len(day.did), 0)


async def test_what_was_refused_is_not_on_record_unless_it_was_for_the_role(day: Day) -> None:
    (letter,) = await day.dies("ann")
    await day.is_refused(422, "POST", "/api/contacts", {"phone": "12"})
    await day.is_refused(404, "DELETE", "/api/contacts/nobody")
    await day.is_refused(422, "POST", "/api/messages", {"contactId": "nobody", "channel": "whatsapp", "content": TEXT})
    await day.is_refused(409, "POST", "/api/dlq/replay", {"filter": {"cause": "version"}})
    data = {"name": "eve", "channel": "sms"}
    await day.is_refused(422, "POST", f"/api/dlq/{letter}/edit", {"data": data, "why": "to another"}, role="ADMIN")
    assert await day.record.entries() == []

    await day.is_refused(403, "POST", "/api/dlq/replay", {"ids": [letter]}, role="VIEWER")
    await day.is_refused(403, "POST", f"/api/dlq/{letter}/edit", {"data": data, "why": "a mistake"})
    await day.is_refused(403, "POST", "/api/messages", {}, role="VIEWER")
    entries = await day.record.entries()
    assert sorted((entry["action"], entry["role"], entry.get("resource")) for entry in entries) == sorted(
        [
            ("dlq-replay.replay", "VIEWER", None),
            ("dlq-replay.edit_letter", "OPERATOR", letter),
            ("messages.send_message", "VIEWER", None),
        ],
        key=str,
    )
