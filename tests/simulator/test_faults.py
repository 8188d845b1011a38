"""Faults between client and provider: what the client sees, and what the ledger knows."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
)

from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.aws import session
from tests.simulator.conftest import Control, blocking_client, in_thread, order_update, send

PLAIN_FAULTS = [
    ("outage_503", 0),
    ("error_500", 0),
    ("throttle_429", 0),
    ("reset_before", 0),
    ("accept_then_reset", 1),
    ("accept_then_500", 1),
    ("accept_then_503", 1),
    ("half_body", 1),
]


async def accepted(control: Control) -> int:
    return int((await control.get("/ledger/summary"))["accepted"])


@pytest.mark.parametrize(("fault", "acceptances"), PLAIN_FAULTS)
async def test_a_fault_shows_to_the_client_and_the_ledger_tells_the_truth(
    fault: str, acceptances: int, whatsapp_client: Any, control: Control
) -> None:
    await control.post("/faults", fault=fault, times=1)
    with pytest.raises((ClientError, BotoCoreError)):
        await send(whatsapp_client, order_update(ours="m-1"))
    assert await accepted(control) == acceptances
    await send(whatsapp_client, order_update(ours="m-1"))
    assert await accepted(control) == acceptances + 1


@pytest.mark.parametrize(("fault", "acceptances"), [("hang", 0), ("accept_then_hang", 1)])
async def test_a_hanging_request_times_out_at_the_client(
    fault: str, acceptances: int, simulator: Simulator, control: Control
) -> None:
    from aiobotocore.config import AioConfig

    await control.post("/faults", fault=fault, times=1)
    config = AioConfig(read_timeout=0.3, retries={"total_max_attempts": 1})
    async with session().create_client(
        "socialmessaging", region_name=demo.REGION, endpoint_url=simulator.url, config=config
    ) as client:
        with pytest.raises(ReadTimeoutError):
            await send(client, order_update())
    assert await accepted(control) == acceptances


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset_before", ConnectionClosedError),
        ("accept_then_reset", ConnectionClosedError),
    ],
)
async def test_boto3_sees_the_same_faults(
    fault: str, error: type[Exception], simulator: Simulator, control: Control
) -> None:
    await control.post("/faults", fault=fault)
    client = blocking_client("socialmessaging", simulator.url)
    with pytest.raises((error, HTTPClientError)):
        await in_thread(
            lambda: client.send_whatsapp_message(
                originationPhoneNumberId=demo.PHONE_NUMBER_ID, message=order_update(), metaApiVersion="v23.0"
            )
        )


@pytest.mark.parametrize("fault", ["half_body", "bad_json"])
async def test_a_broken_body_gives_boto3_an_answer_without_a_message_id(
    fault: str, simulator: Simulator, control: Control
) -> None:
    """botocore parses what it can and raises nothing: a sender must treat such an answer as uncertain."""
    await control.post("/faults", fault=fault)
    client = blocking_client("socialmessaging", simulator.url)
    answer = await in_thread(
        lambda: client.send_whatsapp_message(
            originationPhoneNumberId=demo.PHONE_NUMBER_ID, message=order_update(), metaApiVersion="v23.0"
        )
    )
    assert "messageId" not in answer
    assert await accepted(control) == 1


async def test_default_retries_of_boto3_make_three_acceptances_of_one_send(
    simulator: Simulator, control: Control
) -> None:
    await control.post("/faults", fault="accept_then_503")
    client = blocking_client("socialmessaging", simulator.url, retries={"mode": "standard"})
    with pytest.raises(ClientError):
        await in_thread(
            lambda: client.send_whatsapp_message(
                originationPhoneNumberId=demo.PHONE_NUMBER_ID, message=order_update(ours="m-1"), metaApiVersion="v23.0"
            )
        )
    assert (await control.get("/ledger/summary"))["duplicates"] == [{"messageId": "m-1", "accepted": 3}]


async def test_a_named_error_of_the_model_arrives_as_its_class(whatsapp_client: Any, control: Control) -> None:
    await control.post("/faults", fault="error", code="AccessDeniedByMetaException", message="no")
    with pytest.raises(whatsapp_client.exceptions.AccessDeniedByMetaException) as caught:
        await send(whatsapp_client, order_update())
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert caught.value.response["ResponseMetadata"]["RequestId"]


async def test_rules_can_be_limited_to_a_recipient_an_operation_and_the_nth_call(
    whatsapp_client: Any, control: Control
) -> None:
    await control.post("/faults", fault="outage_503", to="+12025550144")
    await control.post("/faults", fault="error_500", operation="ListWhatsAppMessageTemplates")
    await control.post("/faults", fault="throttle_429", skip=2, times=1, operation="SendWhatsAppMessage")
    await send(whatsapp_client, order_update())
    await send(whatsapp_client, order_update())
    with pytest.raises(whatsapp_client.exceptions.ThrottledRequestException):
        await send(whatsapp_client, order_update())
    await send(whatsapp_client, order_update())
    with pytest.raises(ClientError, match="503"):
        await send(whatsapp_client, order_update(to="+12025550144"))
    with pytest.raises(whatsapp_client.exceptions.InternalServiceException):
        await whatsapp_client.list_whatsapp_message_templates(id=demo.WABA_ID)


async def test_the_throttle_refuses_what_exceeds_the_rate(whatsapp_client: Any, control: Control) -> None:
    await control.behave(throttle={"socialmessaging": 5})
    refused, began = 0, monotonic()
    for _ in range(12):
        try:
            await send(whatsapp_client, order_update())
        except whatsapp_client.exceptions.ThrottledRequestException:
            refused += 1
    # A tenth more than a second's at once, and what the time since has brought.
    assert 5 <= 12 - refused <= 5.5 + 5 * (monotonic() - began)
    assert await accepted(control) == 12 - refused


@pytest.mark.parametrize(
    ("to", "status", "acceptances"),
    [("+12025550188", 503, 0), ("+12025550197", 500, 1), ("+12025550189", 400, 0), ("+12025550195", 429, 0)],
)
async def test_magic_numbers_bring_their_own_faults(
    to: str, status: int, acceptances: int, whatsapp_client: Any, control: Control
) -> None:
    with pytest.raises(ClientError) as caught:
        await send(whatsapp_client, order_update(to=to, ours="m-1"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert await accepted(control) == acceptances


async def test_the_number_that_is_throttled_once_is_throttled_once_per_message(
    whatsapp_client: Any, control: Control
) -> None:
    for ours in ("m-1", "m-2"):
        with pytest.raises(whatsapp_client.exceptions.ThrottledRequestException):
            await send(whatsapp_client, order_update(to="+12025550195", ours=ours))
        await send(whatsapp_client, order_update(to="+12025550195", ours=ours))
    assert await accepted(control) == 2


async def test_a_refused_request_is_no_acceptance_even_under_an_accepting_fault(
    whatsapp_client: Any, control: Control
) -> None:
    await control.post("/faults", fault="accept_then_500")
    with pytest.raises(whatsapp_client.exceptions.InvalidParametersException):
        await send(whatsapp_client, b'{"messaging_product": "whatsapp", "to": "+12025550143", "type": "text"}')
    assert await accepted(control) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "fault"),
        ({"fault": "fire"}, "fault"),
        ({"fault": "hang", "times": "two"}, "times"),
        ({"fault": "hang", "probability": 2}, "probability"),
        ({"fault": "hang", "service": "ses"}, "service"),
        ({"fault": "hang", "tomes": 1}, "tomes"),
        ({"fault": "error"}, "code"),
    ],
)
async def test_a_wrong_rule_is_refused_and_the_field_named(body: dict[str, Any], field: str, control: Control) -> None:
    status, answer = await control.call("POST", "/faults", body)
    assert (status, answer["field"]) == (400, field)
