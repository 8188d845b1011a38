"""The real channel against the carrier simulator over HTTP: its ledger, not ours, says what was accepted (R7, R16)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.common.aws import clients as entry_point
from libs.common.aws.clients import Aws
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Template
from libs.messaging.events.media import MediaDeleted, MediaStored
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.events.settings import SettingChanged, SettingTold
from libs.messaging.vocabulary import MessageClass, Status
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from services.outbound.channels.whatsapp.channel import WhatsApp
from services.outbound.channels.whatsapp.service import service as whatsapp
from services.outbound.ledger.model import Delivery
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service
from tests.services.outbound.kit import NAME, message, permission, row

FAULTS = ["accept_then_reset", "accept_then_500", "accept_then_503", "accept_then_hang", "half_body", "bad_json"]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(seed="1", grace_s=0)) as running:
        running.core.behaviour.always_open_window = True
        yield running


@pytest.fixture
async def w(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(entry_point, "READ_TIMEOUT_SECONDS", 0.3)
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    settings = Settings(stage="test", send_mode="LIVE", whatsapp_phone_number_ids=demo.PHONE_NUMBER_ID)
    service = channel_service(WhatsApp(), Limits(per_second=1000), needs=[])
    async with (
        Aws(environment={**keys, "AWS_ENDPOINT_URL_SOCIALMESSAGING": simulator.url}) as aws,
        World([service], settings=settings, aws=aws, times=1) as running,
    ):
        yield running


async def test_sent_and_named(simulator: Simulator, w: World) -> None:
    await w.hear(permission(w.clock.now()))
    await w.hear(message(w.clock.now()))
    (accepted,) = simulator.core.ledger.by_id["m1"]
    (said,) = w.said(DeliveryChanged)
    assert (said.status, said.provider_id) == (Status.SENT, accepted.provider_id)
    assert accepted.to == "+12025550143"


@pytest.mark.parametrize("fault", FAULTS)
async def test_one_send_is_one_acceptance(simulator: Simulator, w: World, fault: str) -> None:
    """The provider takes it and then fails to say so. The SDK, the pipeline and the queue all hold still."""
    simulator.core.faults.add({"fault": fault, "times": 1, "seconds": 2})
    await w.hear(permission(w.clock.now()))
    queued = message(w.clock.now(), message_class=MessageClass.BULK)
    await w.hear(queued)
    for _ in range(3):
        await w.hear(queued)
        await w.advance(40)
        await w.tick(NAME)
    assert len(simulator.core.ledger.by_id["m1"]) == 1
    assert [said.status for said in w.said(DeliveryChanged)] == [Status.UNCERTAIN] * 4
    assert (await row(w)).status is Status.UNCERTAIN


async def test_throttled_once(simulator: Simulator, w: World) -> None:
    await w.hear(permission(w.clock.now(), address="+12025550195"))
    await w.hear(message(w.clock.now()))
    await w.advance(20, step=1)
    assert [said.status for said in w.said(DeliveryChanged)] == [Status.DEFERRED, Status.SENT]


async def test_an_invalid_number(simulator: Simulator, w: World) -> None:
    await w.hear(permission(w.clock.now(), address="+12025550189"))
    await w.hear(message(w.clock.now()))
    (said,) = w.said(DeliveryChanged)
    assert (said.status, said.error_code) == (Status.FAILED, "invalid_recipient")


async def test_a_code_by_template(simulator: Simulator, w: World) -> None:
    simulator.core.behaviour.sync_template_errors = True
    await w.hear(permission(w.clock.now(), last_inbound_at=None))
    code = Template(name=demo.TEMPLATE_OTP, variables={"1": "482913"})
    await w.hear(message(w.clock.now(), message_class=MessageClass.OTP, content=code))
    await w.hear(message(w.clock.now(), "m2", content=Template(name="no_such_template")))
    assert [(said.status, said.error_code) for said in w.said(DeliveryChanged)] == [
        (Status.SENT, None),
        (Status.FAILED, "template_missing"),
    ]


async def test_an_outage(simulator: Simulator, w: World) -> None:
    """R21: five minutes of 503. At most one probe a second once the breaker is open, nothing dead-lettered, and after it
    everything that was never tried goes out once."""
    simulator.core.faults.add({"fault": "outage_503"})
    await w.hear(permission(w.clock.now()))
    asked = simulator.core.requests
    await w.hear(*(message(w.clock.now(), f"m{n}", MessageClass.BULK) for n in range(5)))
    assert asked["socialmessaging.SendWhatsAppMessage"] == 5
    await w.hear(*(message(w.clock.now(), f"m{n}", MessageClass.BULK) for n in range(5, 120)))
    await w.advance(60, step=1)
    assert asked["socialmessaging.SendWhatsAppMessage"] <= 5 + 61
    simulator.core.faults.remove(None)
    await w.advance(120, step=2)
    assert not w.letters()
    rows = [await w.row(NAME, Delivery, f"m{n}") for n in range(120)]
    sent = [found for found in rows if found and found.status is Status.SENT]
    uncertain = [found for found in rows if found and found.status is Status.UNCERTAIN]
    assert len(sent) + len(uncertain) == 120
    assert simulator.core.ledger.summary()["duplicates"] == []
    assert simulator.core.ledger.summary()["accepted"] == len(sent)


async def test_thirty_percent_of_everything(simulator: Simulator, w: World) -> None:
    """Codes under a storm of faults: acceptances <= 1 + recorded resends, and every message ends."""
    for fault in (*FAULTS[:3], "half_body", "throttle_429", "outage_503", "reset_before"):
        simulator.core.faults.add({"fault": fault, "probability": 0.06})
    await w.hear(permission(w.clock.now()))
    await w.publish(*(message(w.clock.now(), f"m{n}", MessageClass.OTP) for n in range(100)))
    for _ in range(80):
        await w.advance(5, step=1)
        await w.tick(NAME)
    for n in range(100):
        found = await w.row(NAME, Delivery, f"m{n}")
        assert found is not None
        accepted = len(simulator.core.ledger.by_id.get(f"m{n}", []))
        assert found.open is None
        assert accepted <= 1 + found.resends
        assert found.status in (Status.SENT, Status.UNKNOWN, Status.EXPIRED)
        assert found.status is not Status.SENT or accepted
        assert found.status is not Status.EXPIRED or not accepted or found.resends


def test_the_declaration() -> None:
    assert whatsapp.name == "outbound-whatsapp"
    assert whatsapp.lanes() == ["", "bulk", "otp", "tx"]
    # Files may come by any channel, and settings are for all; everything else is this one's.
    of_all = {MediaStored, MediaDeleted, SettingChanged, SettingTold}
    assert all(heard.where["channel"] == (Channel.WHATSAPP,) for heard in whatsapp.hears if heard.event not in of_all)
