"""What the tests of bulk share: a platform of bulk, messages and a sender whose provider is a counter; people; files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import httpx

from libs.common.aws.clients import Aws
from libs.common.declare.names import Names
from libs.common.declare.service import Service
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.events.bulk import JobChanged
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.inbound import ReceiptReceived
from libs.messaging.permission import Permission
from libs.messaging.vocabulary import Status
from services.bulk.running import counts
from services.bulk.running.chunks import BulkChunk, BulkRecipient
from services.bulk.service import service as bulk
from services.messages.service import service as messages
from services.outbound.limits.portfolios import Portfolios
from services.outbound.limits.rates import Limits
from tests.services.outbound.kit import Fake, fake_sender

TEXT = {"kind": "template", "name": "order_update", "language": "en_US", "variables": {}}


def phone(n: int) -> str:
    """Numbers reserved for fiction (NANP 555-0100 to 555-0199), over all area codes."""
    return f"+1{200 + n // 100}555{100 + n % 100:04d}"


class Platform:
    """Bulk, messages and one sender in a world; files in the emulator's S3."""

    def __init__(self, world: World, fake: Fake) -> None:
        self.world = world
        self.fake = fake
        self.api: httpx.AsyncClient = world.http()

    async def people(self, numbers: Iterable[int], **facts: Any) -> list[str]:
        """Contacts that said yes on WhatsApp; returns their ids."""
        ids = []
        for n in numbers:
            contact = f"contact-{n}"
            standing = Permission(
                contact_id=contact, channel=Channel.WHATSAPP, revision=1, address=phone(n), name=f"Person {n}",
                **{"opted_in": True, **facts},
            )  # fmt: skip
            await self.world.publish(PermissionChanged(contact_id=contact, channel=Channel.WHATSAPP, standing=standing))
            ids.append(contact)
        await self.world.settle()
        return ids

    async def upload(self, body: bytes, filename: str = "people.csv") -> str:
        """Create an upload and put the file where it says."""
        made = (await self.api.post("/api/bulk/uploads", json={"filename": filename, "size": len(body)})).json()
        async with httpx.AsyncClient(trust_env=False) as s3:
            put = await s3.put(made["url"], content=body)
            assert put.status_code == 200, put.text
        return str(made["uploadId"])

    async def create(self, *, expect: int = 202, key: str | None = None, **body: Any) -> Any:
        whole = {"name": "A job", "channel": "whatsapp", "content": TEXT, "purpose": "service", **body}
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self.api.post("/api/bulk/jobs", json=whole, headers=headers)
        assert answer.status_code == expect, answer.text
        await self.world.settle()
        return answer.json()

    async def job(self, job_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/api/bulk/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        reported: dict[str, Any] = answer.json()
        assert sum(reported["counts"].values()) == reported["planned"], reported
        return reported

    async def approve(self, job_id: str) -> None:
        plan_hash = (await self.job(job_id))["planHash"]
        answer = await self.api.put(f"/api/bulk/jobs/{job_id}/approve", json={"hash": plan_hash})
        assert answer.status_code == 200, answer.text

    async def run(self, job_id: str, maximum: int = 40) -> dict[str, Any]:
        """Let time pass until the job is over."""
        for _ in range(maximum):
            await self.world.settle()
            reported = await self.job(job_id)
            if reported["state"] in ("finished", "cancelled", "rejected", "paused", "planned"):
                return reported
            await self.world.advance(3)
            await self.world.tick("bulk", "look-after")
        raise AssertionError(f"the job did not end: {reported}")

    async def receipts(self, status: Status, message_ids: Iterable[str], **more: Any) -> None:
        for message_id in message_ids:
            said = ReceiptReceived(
                channel=Channel.WHATSAPP, provider_id=f"wamid.{message_id}", message_id=message_id, status=status,
                provider_status=status.value, at=self.world.clock.now(), **more,
            )  # fmt: skip
            await self.world.publish(said)
        await self.world.settle()

    def states(self) -> list[str]:
        return [said.state for said in self.world.said(JobChanged)]

    def sent_to(self) -> Counter[str]:
        return self.fake.accepted

    async def recipients(self, job_id: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            params = {**query, **({"cursor": cursor} if cursor else {})}
            answer = await self.api.get(f"/api/bulk/jobs/{job_id}/recipients", params=params)
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            cursor = answer.json().get("cursor")
            if cursor is None:
                return found

    async def chunk(self, job_id: str, name: str) -> BulkChunk:
        row = await self.world.row("bulk", BulkChunk, job_id, name)
        assert row is not None
        return row

    async def recipient(self, job_id: str, n: int) -> BulkRecipient:
        row = await self.world.row("bulk", BulkRecipient, job_id, BulkRecipient.id_of("whatsapp", phone(n)))
        assert row is not None
        return row


async def platform(
    emulator: dict[str, str],
    fake: Fake | None = None,
    *,
    times: int = 2,
    rate: float = 10_000,
    portfolios: Portfolios | None = None,
    beside: Sequence[Service] = (),
    **settings: Any,
) -> Platform:
    """``beside``: services that listen in the same world."""
    fake = fake or Fake()
    counts.LINGER_SECONDS = 0.002
    aws = Aws(environment=emulator)
    reported = Settings(stage="test", send_mode="LIVE", **settings)
    sender = fake_sender(fake, Limits(per_second=rate), portfolios)
    world = World([bulk, messages, sender, *beside], aws=aws, times=times, settings=reported)
    s3 = await aws.client("s3")
    await s3.create_bucket(Bucket=Names(world.settings.prefix).bucket("bulk", "files"))
    return Platform(world, fake)


def rows(numbers: Iterable[int], *more: str) -> bytes:
    """A CSV of these people."""
    return "\n".join(["Phone,Name", *(f"{phone(n)},Person {n}" for n in numbers), *more]).encode()
