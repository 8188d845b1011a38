"""The common exam: every sender as it is declared, by each of its clients, against its provider over HTTP.

R7: one send is at most one acceptance, whatever the provider does after accepting. R20: its receipts early, doubled 46 times,
shuffled and partly lost. And nothing that is a secret or personal is ever logged. The provider's ledger is the oracle; who
may send is what a local stack is told."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest
import structlog

from libs.common.aws import clients as entry_point
from libs.common.testing.world import World
from libs.messaging.attachments import private_addresses
from libs.messaging.channels import Channel
from libs.messaging.events.messages import MessageChanged
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import RANK, MessageClass, Status
from tests.channels.carriers import Simulated, carrier_of
from tests.channels.senders import CLIENTS, SECRET, SERVICES, Client, cases_of, outgoing, world_of
from tests.services.outbound.kit import CONTACT, message, permission

LOST = ["accept_then_reset", "accept_then_500", "accept_then_503", "accept_then_hang", "half_body", "bad_json"]
#: What the provider may have said before the rest was lost.
SEEDS = [1, 2]
#: Those whose carrier reports by the feeds.
REPORTED = [client for client in CLIENTS if client.simulated and client.is_aws]

by_every_client = pytest.mark.parametrize("client", CLIENTS, ids=str)


def good_case(channel: str) -> tuple[str, Any]:
    """Recipient and content of the channel's first good case that the API takes, too."""
    good = (outgoing(case["message"]) for case in cases_of(channel) if "expect" in case)
    found = next(each for each in good if not private_addresses(each.content))
    return found.to, found.content


async def told_of_contact(world: World, channel: str) -> None:
    await world.hear(permission(world.clock.now(), channel=Channel(channel), address=good_case(channel)[0]))


async def asked(world: World, channel: str, message_class: MessageClass) -> None:
    """The message ``m1`` is queued; a second time nothing new."""
    _, content = good_case(channel)
    queued = message(world.clock.now(), message_class=message_class, channel=Channel(channel), content=content)
    await world.hear(queued, key="m1")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_point, "READ_TIMEOUT_SECONDS", 0.3)


@by_every_client
async def test_what_is_sent_is_accepted_once_under_our_id(client: Client) -> None:
    async with carrier_of(client) as carrier, world_of(client, carrier.url, carrier.settings, times=2) as world:
        await told_of_contact(world, client.channel)
        await asked(world, client.channel, MessageClass.TRANSACTIONAL)
        (accepted,) = carrier.accepted("m1")
        (said,) = world.said(DeliveryChanged)
        assert (said.status, said.provider_id) == (Status.SENT, accepted)


@pytest.mark.parametrize("fault", LOST)
@by_every_client
async def test_a_send_whose_answer_is_lost_is_one_acceptance(client: Client, fault: str) -> None:
    """The provider takes it and then fails to say so. The SDK, the pipeline and the queue all hold still."""
    async with carrier_of(client) as carrier, world_of(client, carrier.url, carrier.settings) as world:
        carrier.fails(fault, to=good_case(client.channel)[0])
        await told_of_contact(world, client.channel)
        for _ in range(3):
            await asked(world, client.channel, MessageClass.BULK)
            await world.advance(40)
            await world.tick(client.service)
        assert len(carrier.accepted("m1")) == 1
        assert {said.status for said in world.said(DeliveryChanged)} == {Status.UNCERTAIN}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("client", REPORTED, ids=str)
async def test_receipts_early_doubled_shuffled_and_lost_end_at_the_truth(client: Client, seed: int) -> None:
    _, content = good_case(client.channel)
    body = {
        "contactId": CONTACT,
        "channel": client.channel,
        "content": content.model_dump(mode="json", by_alias=True, exclude_none=True),
        "messageClass": "transactional",
    }

    async def accepted(world: World) -> str:
        await told_of_contact(world, client.channel)
        answer = await world.http().post("/api/messages", json=body, headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["messageId"])

    async with carrier_of(client) as carrier:
        assert isinstance(carrier, Simulated)
        async with world_of(client, carrier.url, carrier.settings, more=("messages", "inbound")) as sending:
            message_id = await accepted(sending)
            await sending.settle()
            recorded = sending.said(DeliveryChanged)
            assert carrier.accepted(message_id)
            receipts = await carrier.receipts()
    assert receipts, "the carrier reports nothing to our feeds"
    lot = random.Random(seed)
    kept = [each for each in receipts if lot.random() >= 0.05]
    # The same message, heard of by receipts first: the sender's own word comes last.
    async with World([SERVICES["messages"], SERVICES["inbound"]], settings=carrier.settings) as world:
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
@by_every_client
async def test_no_secret_address_or_word_of_a_message_is_logged(
    client: Client, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    caplog.set_level(logging.INFO)
    async with carrier_of(client) as carrier:
        if fault != "ok":
            carrier.fails(fault)
        with structlog.testing.capture_logs() as lines:
            async with world_of(client, carrier.url, carrier.settings) as world:
                await told_of_contact(world, client.channel)
                await asked(world, client.channel, MessageClass.TRANSACTIONAL)
                await world.advance(40, step=5)
                await world.tick(client.service)
    logged = json.dumps(lines, default=str) + caplog.text
    assert "send" in {line["event"] for line in lines}, "nothing was logged, so nothing was looked at"
    to, content = good_case(client.channel)
    words = [word for word in _texts(content.model_dump(mode="json")) if len(word) > 12]
    assert [secret for secret in (SECRET, to, *words) if secret in logged] == []


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
