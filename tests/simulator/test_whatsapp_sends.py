"""WhatsApp: what is accepted, what becomes of it, and what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from libs.simulator import demo
from tests.simulator.conftest import (
    TOPIC,
    Control,
    blocking_client,
    body_parameters,
    in_thread,
    order_update,
    send,
    template_body,
    text_body,
)
from tests.simulator.fake_sns import FakeSns, statuses, whatsapp

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


BODIES = sorted(SAMPLES.glob("whatsapp.message.*.json"))


async def fate(sns: FakeSns, wanted: str) -> dict[str, Any]:
    """The first status event of this kind."""
    await sns.until(lambda s: wanted in [x["status"] for x in statuses(s, TOPIC)])
    return next(x for x in statuses(sns, TOPIC) if x["status"] == wanted)


async def failure(sns: FakeSns) -> int:
    return int((await fate(sns, "failed"))["errors"][0]["code"])


async def test_a_template_is_sent_delivered_and_read(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    api_id = await send(whatsapp_client, order_update(ours="m-1"))
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 3)
    assert [s["status"] for s in statuses(sns, TOPIC)] == ["sent", "delivered", "read"]
    (entry,) = (await control.get("/ledger?message_id=m-1"))["entries"]
    assert (entry["provider_id"], entry["to"], entry["kind"]) == (api_id, demo.CUSTOMER, "template")
    assert {s["id"] for s in statuses(sns, TOPIC)} == {entry["wamid"]}
    assert {m["messageId"] for m in sns.on(TOPIC)} == {api_id}


async def test_status_events_have_the_members_of_the_recorded_ones(whatsapp_client: Any, sns: FakeSns) -> None:
    await send(whatsapp_client, order_update(ours="m-1"))
    await send(whatsapp_client, text_body())
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 4)
    for status in ("sent", "delivered", "read", "failed"):
        name = "failed-131047-reengagement" if status == "failed" else status
        recorded = sample(f"eum-social.event.status.{name}.json")
        ours = next(m for m in sns.on(TOPIC) if whatsapp(m)["statuses"][0]["status"] == status)
        assert shape(ours) == shape(recorded)
        assert shape(whatsapp(ours)) == shape(whatsapp(recorded))


def shape(value: Any) -> Any:
    """Names and types without the values."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    return [shape(v) for v in value] if isinstance(value, list) else type(value).__name__


@pytest.mark.parametrize("name", [p.name for p in BODIES])
async def test_every_recorded_message_body_is_accepted(name: str, whatsapp_client: Any) -> None:
    assert await send(whatsapp_client, json.dumps(sample(name)).encode())


@pytest.mark.parametrize(
    "name", [p.name for p in sorted(SAMPLES.glob("socialmessaging.SendWhatsAppMessage.*.request.json"))]
)
async def test_every_recorded_send_request_is_accepted_through_boto3(
    name: str, whatsapp_client: Any, simulator: Any
) -> None:
    request = sample(name)
    request["message"] = base64.b64decode(request["message"])
    client = blocking_client("socialmessaging", simulator.url)
    answer = await in_thread(lambda: client.send_whatsapp_message(**request))
    assert set(answer) == {"messageId", "ResponseMetadata"}


BASE = {"messaging_product": "whatsapp", "to": demo.CUSTOMER}
REPLY = {"type": "reply", "reply": {"id": "1", "title": "One"}}


def interactive(**content: Any) -> dict[str, Any]:
    return BASE | {"type": "interactive", "interactive": {"body": {"text": "x"}, **content}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"to": demo.CUSTOMER, "type": "text", "text": {"body": "x"}},
        BASE | {"type": "text"},
        BASE | {"type": "text", "text": {"body": ""}},
        BASE | {"type": "text", "text": {"body": "x" * 4097}},
        BASE | {"type": "text", "text": {"body": 1}},
        BASE | {"type": "smoke", "smoke": {}},
        BASE | {"to": "12025550143", "type": "text", "text": {"body": "x"}},
        BASE | {"to": "+1", "type": "text", "text": {"body": "x"}},
        BASE | {"type": "text", "text": {"body": "x"}, "biz_opaque_callback_data": "x" * 513},
        BASE | {"type": "image", "image": {}},
        BASE | {"type": "image", "image": {"id": "1", "link": "https://example.com/a.jpg"}},
        BASE | {"type": "image", "image": {"link": "ftp://example.com/a.jpg"}},
        BASE | {"type": "image", "image": {"id": "1", "caption": "x" * 1025}},
        BASE | {"type": "audio", "audio": {"id": "1", "caption": "x"}},
        BASE | {"type": "location", "location": {"latitude": 91, "longitude": 0}},
        BASE | {"type": "contacts", "contacts": [{"name": {"first_name": "Sam"}}]},
        BASE | {"type": "reaction", "reaction": {"message_id": "wamid.x"}},
        BASE | {"type": "template", "template": {"name": "welcome"}},
        interactive(type="button", action={"buttons": [REPLY] * 2}),
        interactive(type="button", action={"buttons": []}),
        interactive(type="button", action={"buttons": [{"type": "reply", "reply": {"id": "1", "title": "x" * 21}}]}),
        interactive(type="list", action={"button": "x", "sections": [
            {"title": "a", "rows": [{"id": f"a{i}", "title": "t"} for i in range(6)]},
            {"title": "b", "rows": [{"id": f"b{i}", "title": "t"} for i in range(5)]},
        ]}),
        interactive(type="cta_url", action={"name": "cta_url", "parameters": {"display_text": "x", "url": "x"}}),
        {"messaging_product": "whatsapp", "status": "read", "message_id": "nonsense"},
    ],
)  # fmt: skip
async def test_a_body_that_meta_would_refuse_is_refused_and_not_in_the_ledger(
    body: dict[str, Any], whatsapp_client: Any, control: Control
) -> None:
    with pytest.raises(whatsapp_client.exceptions.InvalidParametersException):
        await send(whatsapp_client, json.dumps(body).encode())
    assert (await control.get("/ledger/summary"))["accepted"] == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"metaApiVersion": "23"}, "InvalidParametersException"),
        ({"originationPhoneNumberId": "number-1"}, "ValidationException"),
        ({"originationPhoneNumberId": "phone-number-id-" + "0" * 32}, "ResourceNotFoundException"),
        ({"message": b"not json"}, "InvalidParametersException"),
        ({"message": b"x" * 2_048_001}, "ValidationException"),
    ],
)
async def test_a_request_against_the_service_model_is_refused(
    change: dict[str, Any], error: str, whatsapp_client: Any
) -> None:
    request = {"originationPhoneNumberId": demo.PHONE_NUMBER_ID, "message": text_body(), "metaApiVersion": "v23.0"}
    with pytest.raises(ClientError) as caught:
        await whatsapp_client.send_whatsapp_message(**request | change)
    assert caught.value.response["Error"]["Code"] == error


async def test_free_form_outside_the_window_is_accepted_and_fails_later(whatsapp_client: Any, sns: FakeSns) -> None:
    await send(whatsapp_client, text_body())
    assert await failure(sns) == 131047


async def test_an_inbound_message_opens_the_window_for_24_hours(
    whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.post("/inbound/whatsapp", **{"from": demo.CUSTOMER, "text": "hi"})
    await send(whatsapp_client, text_body(ours="inside"))
    assert (await fate(sns, "delivered"))["biz_opaque_callback_data"] == "inside"
    await control.post("/clock/advance", seconds=24 * 3600 - 60)
    await send(whatsapp_client, text_body(ours="still"))
    await sns.until(
        lambda s: ("still", "read") in [(x["biz_opaque_callback_data"], x["status"]) for x in statuses(s, TOPIC)]
    )
    await control.post("/clock/advance", seconds=61)
    await send(whatsapp_client, text_body(ours="outside"))
    assert await failure(sns) == 131047


async def test_the_window_is_per_pair_of_number_and_person(
    whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.post("/inbound/whatsapp", **{"from": demo.CUSTOMER, "text": "hi", "to": demo.SECOND_PHONE_NUMBER})
    await send(whatsapp_client, text_body())
    assert await failure(sns) == 131047


NAMED = {"type": "body", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Alex"}]}
CODE = {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "482913"}]}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (template_body("no_such_template"), 132001),
        (template_body(demo.TEMPLATE_ORDER_UPDATE, body_parameters("a", "b"), language="de"), 132001),
        (template_body(demo.TEMPLATE_REJECTED, body_parameters("a")), 132001),
        (template_body(demo.TEMPLATE_PAUSED, body_parameters("a")), 132015),
        (template_body(demo.TEMPLATE_ORDER_UPDATE), 132000),
        (template_body(demo.TEMPLATE_ORDER_UPDATE, body_parameters("a")), 132000),
        (template_body(demo.TEMPLATE_ORDER_UPDATE, body_parameters("a", "b", "c")), 132000),
        (template_body(demo.TEMPLATE_ORDER_UPDATE, body_parameters("a", "b\nc")), 132018),
        (template_body(demo.TEMPLATE_ORDER_UPDATE, body_parameters("a", "")), 131008),
        (template_body(demo.TEMPLATE_ORDER_UPDATE, body_parameters("a", "b" * 1024)), 132005),
        (template_body(demo.TEMPLATE_WELCOME, body_parameters("a")), 132012),
        (template_body("spring_offer_v2"), 132012),
        (template_body(demo.TEMPLATE_OTP, body_parameters("482913")), 131008),
        (template_body("plain_notice", body_parameters("a")), 132000),
    ],
)
async def test_a_template_that_does_not_fit_fails_with_metas_code(
    message: bytes, code: int, whatsapp_client: Any, sns: FakeSns
) -> None:
    await send(whatsapp_client, message)
    assert await failure(sns) == code


@pytest.mark.parametrize(
    "message",
    [
        template_body(demo.TEMPLATE_WELCOME, NAMED),
        template_body(demo.TEMPLATE_PROMO, body_parameters("Alex")),
        template_body(demo.TEMPLATE_OTP, body_parameters("482913"), CODE),
        template_body("plain_notice"),
    ],
)
async def test_a_template_that_fits_is_delivered(message: bytes, whatsapp_client: Any, sns: FakeSns) -> None:
    await send(whatsapp_client, message)
    assert await fate(sns, "delivered")


async def test_template_errors_can_be_synchronous(whatsapp_client: Any, control: Control) -> None:
    await control.behave(sync_template_errors=True)
    with pytest.raises(whatsapp_client.exceptions.InvalidParametersException, match="132001"):
        await send(whatsapp_client, template_body("no_such_template"))
    assert (await control.get("/ledger/summary"))["accepted"] == 0


@pytest.mark.parametrize(
    ("to", "codes"),
    [
        ("+12025550190", [131026]),
        ("+12025550191", [131000]),
        ("+12025550192", [131050]),
        ("+12025550185", [130429]),
        ("+12025550186", [131056]),
        ("+12025550187", [131049]),
        (demo.PHONE_NUMBER, [131021]),
    ],
)
async def test_magic_numbers_have_their_fate(to: str, codes: list[int], whatsapp_client: Any, sns: FakeSns) -> None:
    await send(whatsapp_client, template_body(demo.TEMPLATE_PROMO, body_parameters("Alex"), to=to))
    assert [await failure(sns)] == codes


async def test_utility_templates_reach_those_who_stopped_marketing(
    whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.post("/preferences", **{"from": demo.CUSTOMER, "value": "stop"})
    await send(whatsapp_client, order_update(ours="utility"))
    assert (await fate(sns, "delivered"))["biz_opaque_callback_data"] == "utility"
    await send(whatsapp_client, template_body(demo.TEMPLATE_PROMO, body_parameters("Alex")))
    assert await failure(sns) == 131050
    stop = json.loads((SAMPLES / "eum-social.event.user_preferences.stop.json").read_text())
    assert shape(whatsapp(sns.on(TOPIC)[0])) == shape(whatsapp(stop))


@pytest.mark.parametrize(
    "image",
    [{"id": "1"}, {"id": demo.MEDIA_AUDIO_ID}, {"link": "https://cdn.example.com/missing.jpg"},
     {"link": "https://cdn.example.com/a.gif"}, {"link": "https://unreachable.example.com/a.jpg"},
        {"link": "http://[::1"}],
)  # fmt: skip
async def test_media_that_cannot_be_used_fail(
    image: dict[str, str], whatsapp_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.behave(always_open_window=True)
    await send(whatsapp_client, json.dumps(BASE | {"type": "image", "image": image}).encode())
    assert await failure(sns) == 131053


async def test_the_pair_rate_allows_a_burst_of_45(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    await control.behave(pair_rate=True, read_share=0)
    for _ in range(46):
        await send(whatsapp_client, order_update())
    assert await failure(sns) == 131056
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 91)


async def test_a_locked_account_fails_every_message(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    await control.post("/account", state="LOCKED")
    await send(whatsapp_client, order_update())
    await sns.until(lambda s: any("statuses" in whatsapp(m) for m in s.on(TOPIC)))
    assert await failure(sns) == 131031


async def test_a_person_can_be_addressed_by_user_id(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    await control.post("/inbound/whatsapp", **{"from": demo.CUSTOMER, "text": "hi", "hide_phone": True})
    await sns.until(lambda s: s.on(TOPIC))
    inbound = whatsapp(sns.on(TOPIC)[0])
    assert "from" not in inbound["messages"][0]
    assert "wa_id" not in inbound["contacts"][0]
    body = {
        "messaging_product": "whatsapp",
        "recipient": inbound["messages"][0]["from_user_id"],
        "type": "text",
        "text": {"body": "x"},
    }
    await send(whatsapp_client, json.dumps(body).encode())
    assert (await fate(sns, "delivered"))["recipient_id"] == demo.CUSTOMER[1:]


async def test_the_ledger_counts_a_message_that_was_accepted_twice(whatsapp_client: Any, control: Control) -> None:
    for ours in ("m-1", "m-2", "m-2"):
        await send(whatsapp_client, order_update(ours=ours))
    await send(whatsapp_client, order_update())
    summary = await control.get("/ledger/summary")
    assert summary["accepted"] == 4
    assert summary["distinctIds"] == 2
    assert summary["withoutId"] == 1
    assert summary["duplicates"] == [{"messageId": "m-2", "accepted": 2}]
