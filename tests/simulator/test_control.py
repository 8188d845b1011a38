"""The control API: behaviour of the carriers, inbound events, clock, reset, and the ledger over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.aws import session
from libs.simulator.core import Settings
from tests.simulator.conftest import TOPIC, Control, order_update, send
from tests.simulator.fake_sns import FakeSns, statuses, whatsapp
from tests.simulator.test_whatsapp_sends import sample, shape


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"delay_ms": [5, 1]}, "delay_ms"),
        ({"loss": 1.5}, "loss"),
        ({"shuffle": "yes"}, "shuffle"),
        ({"colour": "blue"}, "colour"),
        ({"throttle": {"ses": 1}}, "throttle.ses"),
        ({"envelope_message_id": "none"}, "envelope_message_id"),
    ],
)
async def test_a_wrong_setting_changes_nothing_and_the_field_is_named(
    change: dict[str, Any], field: str, control: Control
) -> None:
    before = await control.get("/behaviour")
    status, answer = await control.call("PATCH", "/behaviour", {"read_share": 0.5, **change})
    assert (status, answer["field"]) == (400, field)
    assert await control.get("/behaviour") == before


async def test_put_goes_back_to_the_defaults_of_what_it_does_not_name(control: Control) -> None:
    await control.behave(loss=0.5, shuffle=True)
    _, answer = await control.call("PUT", "/behaviour", {"loss": 0.25})
    assert (answer["loss"], answer["shuffle"]) == (0.25, False)


async def test_lost_events_never_come(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    await control.behave(loss=1)
    await send(whatsapp_client, order_update(ours="lost"))
    await control.behave(loss=0)
    await send(whatsapp_client, order_update(ours="kept"))
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 3)
    assert {s["biz_opaque_callback_data"] for s in statuses(sns, TOPIC)} == {"kept"}


async def test_events_can_come_46_times(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    await control.behave(duplicate=46)
    await send(whatsapp_client, order_update())
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 3 * 46)


async def test_shuffled_events_leave_out_of_order(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    await control.behave(shuffle=True, delay_ms=[30, 60])
    for i in range(10):
        await send(whatsapp_client, order_update(ours=f"m-{i}"))
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 30)
    orders = {
        tuple(s["status"] for s in statuses(sns, TOPIC) if s["biz_opaque_callback_data"] == f"m-{i}") for i in range(10)
    }
    assert len(orders) > 1


async def test_callback_data_and_envelope_id_can_be_withheld(
    whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.behave(echo_callback_data=False, envelope_message_id="random")
    api_id = await send(whatsapp_client, order_update(ours="m-1"))
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 3)
    assert all("biz_opaque_callback_data" not in s for s in statuses(sns, TOPIC))
    assert all(m["messageId"] != api_id for m in sns.on(TOPIC))


async def test_the_same_seed_gives_the_same_ids_and_delays(sns: FakeSns) -> None:
    found = []
    for _ in range(2):
        async with Simulator(Settings(seed="7", sns_endpoint=sns.url, grace_s=0)) as simulator:
            async with session().create_client(
                "socialmessaging", region_name=demo.REGION, endpoint_url=simulator.url
            ) as client:
                ids = [await send(client, order_update(ours=f"m-{i}")) for i in range(3)]
            dues = sorted(due - simulator.core.ledger.entries[0].at for due, *_ in simulator.core.emitter.heap)
            found.append((ids, len(dues)))
    assert found[0] == found[1]


INBOUND = [
    ({"text": "Hi, where is my order?"}, "text"),
    ({"type": "image", "body": {"caption": "broken part"}}, "image"),
    ({"type": "audio"}, "audio-voice"),
    ({"type": "document", "body": {"filename": "receipt.pdf", "caption": "receipt"}}, "document"),
    ({"type": "sticker"}, "sticker"),
    ({"type": "video"}, "video"),
    ({"type": "unsupported"}, "unsupported"),
    ({"text": "Yes please", "context_message_id": "wamid.X"}, "text-reply-to-ours"),
    ({"type": "button", "context_message_id": "wamid.X", "body": {"text": "Stop", "payload": "S"}}, "template-button"),
    ({"type": "reaction", "body": {"message_id": "wamid.X", "emoji": "👍"}}, "reaction"),
    (
        {"type": "interactive", "context_message_id": "wamid.X",
         "body": {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}},
        "interactive-button-reply",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("intent", "recording"), INBOUND, ids=[s for _, s in INBOUND])
async def test_inbound_events_have_the_shape_of_the_recorded_ones(
    intent: dict[str, Any], recording: str, whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    answer = await control.post("/inbound/whatsapp", **{"from": demo.CUSTOMER, "profile_name": "Alex", **intent})
    await sns.until(lambda s: s.on(TOPIC))
    recorded = sample(f"eum-social.event.inbound.{recording}.json")
    (event,) = sns.on(TOPIC)
    assert shape(event) == shape(recorded)
    assert shape(whatsapp(event)) == shape(whatsapp(recorded))
    assert whatsapp(event)["messages"][0]["id"] == answer["wamid"]


async def test_an_inbound_message_can_be_delivered_many_times(
    whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    answer = await control.post("/inbound/whatsapp", **{"from": demo.CUSTOMER, "text": "hi", "times": 5})
    await sns.until(lambda s: len(s.on(TOPIC)) == 5)
    assert {whatsapp(m)["messages"][0]["id"] for m in sns.on(TOPIC)} == {answer["wamid"]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"),
        ({"from": "12"}, "from"),
        ({"from": demo.CUSTOMER}, "type"),
        ({"from": demo.CUSTOMER, "text": "x", "to": "+12025550177"}, "to"),
        ({"from": demo.CUSTOMER, "type": "location"}, "body"),
        ({"from": demo.CUSTOMER, "text": "x", "time": 2}, "time"),
    ],
)
async def test_a_wrong_inbound_wish_is_refused_and_the_field_named(
    body: dict[str, Any], field: str, control: Control
) -> None:
    status, answer = await control.call("POST", "/inbound/whatsapp", body)
    assert status in (400, 404)
    assert answer["field"] == field


async def test_anything_can_be_emitted_verbatim(sns: FakeSns, control: Control) -> None:
    await control.post("/emit", topic=TOPIC, message="{not json", times=2)
    await control.post("/emit", topic=TOPIC, message={"a": 1})
    await sns.until(lambda s: s.on(TOPIC) == ["{not json", "{not json", {"a": 1}])


async def test_the_ledger_survives_a_restart_and_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for expected in (1, 2):
        async with Simulator(Settings(ledger=path, grace_s=0)) as simulator:
            async with session().create_client(
                "socialmessaging", region_name=demo.REGION, endpoint_url=simulator.url
            ) as client:
                await send(client, order_update(ours="m-1"))
            assert len(simulator.core.ledger.by_id["m-1"]) == expected
        with path.open("a") as file:
            file.write('{"seq": 9, "at"')
    assert simulator.core.ledger.entries[1].seq == 2


async def test_events_to_come_are_published_when_the_simulator_stops(sns: FakeSns) -> None:
    async with Simulator(Settings(sns_endpoint=sns.url)) as simulator:
        simulator.core.behaviour.delay_ms = [60_000.0, 60_000.0]
        async with session().create_client(
            "socialmessaging", region_name=demo.REGION, endpoint_url=simulator.url
        ) as client:
            destinations = [{"eventDestinationArn": TOPIC}]
            await client.put_whatsapp_business_account_event_destinations(
                id=demo.WABA_ID, eventDestinations=destinations
            )
            await send(client, order_update())
        assert sns.messages == []
    assert len(statuses(sns, TOPIC)) == 3


async def test_sns_failures_are_retried_until_every_event_is_taken(
    whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    sns.refuse_next, sns.fail_first_entry_next = 2, 1
    for i in range(5):
        await send(whatsapp_client, order_update(ours=f"m-{i}"))
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 15)
    assert (await control.get("/health"))["events"]["dropped"] == 0


async def test_reset_brings_back_the_demo_account_and_keeps_the_destination(
    whatsapp_client: Any, control: Control, sns: FakeSns
) -> None:
    await send(whatsapp_client, order_update())
    await control.post("/templates/order_update/status", status="DISABLED")
    await control.post("/faults", fault="outage_503")
    await control.post("/reset")
    await send(whatsapp_client, order_update(ours="after"))
    assert (await control.get("/ledger/summary"))["accepted"] == 1
    await sns.until(
        lambda s: ("after", "read") in [(x.get("biz_opaque_callback_data"), x["status"]) for x in statuses(s, TOPIC)]
    )


async def test_an_unknown_control_route_says_so(control: Control) -> None:
    status, answer = await control.call("GET", "/nothing")
    assert (status, answer["field"]) == (404, "path")


async def test_an_unknown_operation_is_answered_as_aws_does(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(simulator.url + "/v1/whatsapp/nothing") as answer:
            assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")
        async with session.post(simulator.url + "/v1/whatsapp/send", data=b"{") as answer:
            assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "SerializationException")
