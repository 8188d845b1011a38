"""The common exam: every channel in the folder, as it is declared, against the carrier simulator over HTTP.

R7: one send is at most one acceptance, whatever the provider does after accepting. R20: its receipts early, doubled 46 times,
shuffled and partly lost. And nothing that is a secret or personal is ever logged. The simulator's ledger is the oracle; who
may send is what a local stack is told."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import pytest
import structlog

from deploy.local import carriers
from libs.common.aws import clients as entry_point
from libs.common.aws.clients import Aws
from libs.common.declare.discover import discover
from libs.common.declare.topology import topology
from libs.common.settings import Settings, read
from libs.common.testing.world import World
from libs.messaging.attachments import private_addresses
from libs.messaging.channels import Channel
from libs.messaging.events.messages import MessageChanged
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.providers.graph import OWNER, TOKEN
from libs.messaging.vocabulary import RANK, MessageClass, Status
from libs.simulator import demo
from libs.simulator.app import Simulator
from tests.services.outbound.kit import CONTACT, message, permission
from tests.services.outbound.test_cases import CHANNELS, FOLDER, META, WAYS, channel_name, outgoing

FAULTS = ["accept_then_reset", "accept_then_500", "accept_then_503", "accept_then_hang", "half_body", "bad_json"]
SERVICES = {service.name: service for service in discover()}
SECRET = "wJalrXUtnFEMI-marked-secret"
#: What the provider may have said before the rest was lost.
SEEDS = [1, 2]


@pytest.fixture
async def reported(simulator: Simulator) -> Settings:
    """The settings of a local stack whose carrier is this simulator."""

    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=simulator.url, region_name=demo.REGION, **keys)

    whole = topology(list(SERVICES.values()), "wecare-test")
    known = await asyncio.to_thread(carriers.provision, whole, client, demo.ACCOUNT_ID, demo.REGION)
    return read({**known, "WECARE_STAGE": "test", "WECARE_SEND_MODE": "LIVE"})


def by_way(way: str, simulator: Simulator, settings: Settings) -> Settings:
    """The settings under which the messages of a channel go that way."""
    if way != META:
        return settings
    only = {"whatsapp_phone_number_ids": "", "meta_numbers": (demo.META_PHONE_NUMBER_ID,)}
    return settings.model_copy(update={**only, "meta_graph_url": simulator.url})


@asynccontextmanager
async def world_of(
    way: str, simulator: Simulator, settings: Settings, times: int = 1, more: tuple[str, ...] = ()
) -> AsyncIterator[World]:
    keys = {"AWS_REGION": demo.REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": SECRET}
    settings = by_way(way, simulator, settings)
    services = [SERVICES[f"outbound-{channel_name(way)}"], *(SERVICES[each] for each in more)]
    async with (
        Aws(environment={**keys, "AWS_ENDPOINT_URL": simulator.url}) as aws,
        World(services, settings=settings, aws=aws, times=times) as running,
    ):
        running.secrets.values[f"wecare-test/{OWNER}/{TOKEN}"] = SECRET
        yield running


def good_case(way: str) -> tuple[str, Any]:
    """Recipient and content of the channel's first good case that the API takes, too."""
    name = channel_name(way)
    cases = [case for path in sorted((FOLDER / name / "cases").glob("*.json")) for case in json.loads(path.read_text())]
    good = (outgoing(case["message"]) for case in cases if "expect" in case)
    found = next(each for each in good if not private_addresses(each.content))
    return found.to, found.content


async def told_of_contact(world: World, name: str) -> None:
    await world.hear(permission(world.clock.now(), channel=Channel(channel_name(name)), address=good_case(name)[0]))


async def asked(world: World, name: str, message_class: MessageClass) -> None:
    """The message ``m1`` is queued; a second time nothing new."""
    _, content = good_case(name)
    now = world.clock.now()
    channel = Channel(channel_name(name))
    await world.hear(message(now, message_class=message_class, channel=channel, content=content), key="m1")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_point, "READ_TIMEOUT_SECONDS", 0.3)


@pytest.mark.parametrize("name", WAYS)
async def test_what_is_sent_is_accepted_once_under_our_id(simulator: Simulator, reported: Settings, name: str) -> None:
    async with world_of(name, simulator, reported, times=2) as world:
        await told_of_contact(world, name)
        await asked(world, name, MessageClass.TRANSACTIONAL)
        (accepted,) = simulator.core.ledger.by_id["m1"]
        (said,) = world.said(DeliveryChanged)
        assert (said.status, said.provider_id) == (Status.SENT, accepted.provider_id)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", WAYS)
async def test_a_send_whose_answer_is_lost_is_one_acceptance(
    simulator: Simulator, reported: Settings, name: str, fault: str
) -> None:
    """The provider takes it and then fails to say so. The SDK, the pipeline and the queue all hold still."""
    simulator.core.faults.add({"fault": fault, "to": good_case(name)[0], "times": 1, "seconds": 2})
    async with world_of(name, simulator, reported) as world:
        await told_of_contact(world, name)
        for _ in range(3):
            await asked(world, name, MessageClass.BULK)
            await world.advance(40)
            await world.tick(f"outbound-{channel_name(name)}")
        assert len(simulator.core.ledger.by_id["m1"]) == 1
        assert {said.status for said in world.said(DeliveryChanged)} == {Status.UNCERTAIN}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CHANNELS)
async def test_receipts_early_doubled_shuffled_and_lost_end_at_the_truth(
    simulator: Simulator, reported: Settings, name: str, seed: int
) -> None:
    _, content = good_case(name)
    body = {
        "contactId": CONTACT,
        "channel": name,
        "content": content.model_dump(mode="json", by_alias=True, exclude_none=True),
        "messageClass": "transactional",
    }

    async def accepted(world: World) -> str:
        await told_of_contact(world, name)
        answer = await world.http().post("/api/messages", json=body, headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["messageId"])

    async with world_of(name, simulator, reported, more=("messages", "inbound")) as sending:
        message_id = await accepted(sending)
        await sending.settle()
        recorded = sending.said(DeliveryChanged)
        assert simulator.core.ledger.by_id[message_id]
        await simulator.core.emitter.flush()
        receipts = [
            (str(topic).partition("-feed-")[2], str(event["message"]))
            for event in simulator.core.emitter.recent
            for topic in event["topics"]  # type: ignore[attr-defined]
        ]
    assert receipts, "the carrier reports nothing to our feeds"
    lot = random.Random(seed)
    kept = [each for each in receipts if lot.random() >= 0.05]
    # The same message, heard of by receipts first: the sender's own word comes last.
    async with World([SERVICES["messages"], SERVICES["inbound"]], settings=reported) as world:
        assert await accepted(world) == message_id
        await world.settle()
        for feed, text in lot.sample([*kept * 46], len(kept) * 46):
            await world.feed(feed, text)
        await world.hear(*recorded, key="sender")
        await world.advance(17 * 60)
        ranks = [RANK[said.status] for said in world.said(MessageChanged) if said.message_id == message_id]
        assert ranks == sorted(set(ranks)), "a status went back, or came twice"
        answer = await world.http().get(f"/api/messages/{message_id}")
        assert RANK[Status(answer.json()["status"])] == max(ranks) >= RANK[Status.SENT]
        assert world.letters() == []


@pytest.mark.parametrize("fault", ["ok", "accept_then_500", "accept_then_hang", "throttle_429", "invalid_number"])
@pytest.mark.parametrize("name", WAYS)
async def test_no_secret_address_or_word_of_a_message_is_logged(
    simulator: Simulator, reported: Settings, name: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    if fault != "ok":
        simulator.core.faults.add({"fault": fault, "times": 1, "seconds": 2})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    caplog.set_level(logging.INFO)
    with structlog.testing.capture_logs() as lines:
        async with world_of(name, simulator, reported) as world:
            await told_of_contact(world, name)
            await asked(world, name, MessageClass.TRANSACTIONAL)
            await world.advance(40, step=5)
            await world.tick(f"outbound-{channel_name(name)}")
    logged = json.dumps(lines, default=str) + caplog.text
    assert "send" in {line["event"] for line in lines}, "nothing was logged, so nothing was looked at"
    to, content = good_case(name)
    words = [word for word in _texts(content.model_dump(mode="json")) if len(word) > 12]
    assert [secret for secret in (SECRET, to, *words) if secret in logged] == []


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
