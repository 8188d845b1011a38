"""Behaviour of the carriers, on every channel."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from typing import Any

from libs.simulator import demo
from tests.simulator.conftest import EMAIL_TOPIC, SMS_TOPIC, TOPIC, Control, order_update, send
from tests.simulator.fake_sns import FakeSns, statuses
from tests.simulator.test_sesv2 import message
from tests.simulator.test_sms_voice import text


async def test_a_share_of_accepted_messages_fails(
    whatsapp_client: Any, sms_client: Any, ses_client: Any, sns: FakeSns, control: Control
) -> None:
    await control.behave(fail_share=1)
    await send(whatsapp_client, order_update())
    await sms_client.send_text_message(**text())
    await ses_client.send_email(**message())
    await sns.until(lambda s: len(s.messages) == 6)
    assert [s["status"] for s in statuses(sns, TOPIC)] == ["sent", "failed"]
    assert [e["eventType"] for e in sns.on(SMS_TOPIC)] == ["TEXT_PENDING", "TEXT_UNREACHABLE"]
    assert [e["eventType"] for e in sns.on(EMAIL_TOPIC)] == ["Send", "Bounce"]


async def test_outcomes_fix_the_statuses_of_a_recipient(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    outcome = {"service": "socialmessaging", "to": demo.CUSTOMER, "events": ["read", "sent", "failed:131049"]}
    assert (await control.call("PUT", "/outcomes", outcome))[0] == 200
    await send(whatsapp_client, order_update())
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 3)
    assert [s["status"] for s in statuses(sns, TOPIC)] == ["read", "sent", "failed"]
    assert statuses(sns, TOPIC)[2]["errors"][0]["code"] == 131049
    for events in (["seen"], ["failed:1"], "read"):
        status, answer = await control.call("PUT", "/outcomes", outcome | {"events": events})
        assert (status, answer["field"]) == (400, "events")


async def test_receipts_can_end_at_the_carrier(sms_client: Any, sns: FakeSns, control: Control) -> None:
    await control.behave(sms_receipts="successful")
    await sms_client.send_text_message(**text())
    await sns.until(lambda s: len(s.on(SMS_TOPIC)) == 2)
    assert sns.on(SMS_TOPIC)[1]["eventType"] == "TEXT_SUCCESSFUL"


async def test_a_pool_can_prefer_its_rcs_agent(sms_client: Any, sns: FakeSns, control: Control) -> None:
    await sms_client.send_text_message(**text(OriginationIdentity=demo.POOL_ID))
    await control.behave(pool_prefers_rcs=True)
    await sms_client.send_text_message(**text(OriginationIdentity=demo.POOL_ID))
    await sns.until(lambda s: len(s.on(SMS_TOPIC)) == 4)
    assert {e["originationPhoneNumber"] for e in sns.on(SMS_TOPIC)} == {demo.PHONE_NUMBER, demo.RCS_AGENT_ID}


async def test_a_late_unknown_comes_after_72_hours(sms_client: Any, sns: FakeSns, control: Control) -> None:
    await sms_client.send_text_message(**text(DestinationPhoneNumber="+12025550180"))
    assert (await control.get("/events/pending"))["pending"] == 1
    await control.post("/clock/advance", seconds=72 * 3600 + 1)
    await sns.until(lambda s: s.on(SMS_TOPIC))
    assert sns.on(SMS_TOPIC)[0]["eventType"] == "TEXT_UNKNOWN"


async def test_chaotic_receipts_come_three_times_and_backwards(whatsapp_client: Any, sns: FakeSns) -> None:
    await send(whatsapp_client, order_update(to="+12025550199"))
    await sns.until(lambda s: len(statuses(s, TOPIC)) == 9)
    found = statuses(sns, TOPIC)
    assert [s["status"] for s in found] == ["read"] * 3 + ["delivered"] * 3 + ["sent"] * 3


async def test_responses_can_be_slow_in_general_and_by_rule(whatsapp_client: Any, control: Control) -> None:
    await control.behave(latency_ms=[50, 60])
    started = time.perf_counter()
    await send(whatsapp_client, order_update())
    assert time.perf_counter() - started >= 0.05
    await control.behave(latency_ms=0)
    await control.post("/faults", fault="slow", seconds=0.2)
    started = time.perf_counter()
    await send(whatsapp_client, order_update())
    assert time.perf_counter() - started >= 0.2


async def test_the_throughput_of_a_number_is_limited(whatsapp_client: Any, sns: FakeSns, control: Control) -> None:
    await control.behave(throughput=5, read_share=0)
    # So many that a slow machine, too, is faster than five a second.
    for i in range(30):
        await send(whatsapp_client, order_update(to=f"+120255501{i + 20}"))
    await sns.until(lambda s: [x["status"] for x in statuses(s, TOPIC)].count("failed") >= 1)
    codes = {e["code"] for s in statuses(sns, TOPIC) for e in s.get("errors", ())}
    assert codes == {130429}


def test_the_simulator_stands_alone() -> None:
    """It is a tool of its own: nothing of the platform is imported."""
    for path in Path("libs/simulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            ours = [n for n in names if n.startswith(("libs.", "services", "deploy", "tests"))]
            assert all(n.startswith("libs.simulator") for n in ours), (path, ours)
