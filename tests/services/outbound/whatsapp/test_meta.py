"""A number that is connected at Meta itself, from the API to the receipt: Meta is the simulator, its ledger the oracle."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import structlog

from libs.common.aws import clients as entry_point
from libs.common.aws.clients import Aws
from libs.common.declare.discover import discover
from libs.common.settings import Settings, read
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Template, Text
from libs.messaging.events.bulk import Addressee, ChunkReleased
from libs.messaging.events.messages import MessageChanged
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.providers.graph import OWNER, TOKEN
from libs.messaging.settings import MessagingSettings
from libs.messaging.vocabulary import Purpose, Status
from libs.simulator import demo
from libs.simulator.app import Simulator
from tests.services.outbound.kit import CONTACT, message, permission
from tests.services.outbound.test_files import BUCKET, PNG, image, sent, stored

SERVICES = {service.name: service for service in discover()}
META, SECOND = demo.META_PHONE_NUMBER_ID, demo.SECOND_META_PHONE_NUMBER_ID
SECRET = "EAAmarkedTokenThatNobodyMaySee"
HOOK = "https://hooks.example.com/webhooks/meta"


@pytest.fixture
async def w(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """AWS's number is the default, Meta's two are named by the message."""
    monkeypatch.setattr(entry_point, "READ_TIMEOUT_SECONDS", 0.3)
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    settings = Settings(
        stage="test",
        send_mode="LIVE",
        whatsapp_phone_number_ids=demo.PHONE_NUMBER_ID,
        meta_numbers=(META, SECOND),
        meta_graph_url=simulator.url,
    )
    services = [SERVICES[name] for name in ("outbound-whatsapp", "messages", "inbound")]
    async with (
        Aws(environment={**keys, "AWS_ENDPOINT_URL_SOCIALMESSAGING": simulator.url}) as aws,
        World(services, settings=settings, aws=aws) as running,
    ):
        running.secrets.values[f"wecare-test/{OWNER}/{TOKEN}"] = SECRET
        await running.files.put(BUCKET, "files/f1", PNG, "image/png")
        yield running


def requests(simulator: Simulator, operation: str) -> int:
    return simulator.core.requests[operation]


async def heard(w: World, message_id: str = "m1", **more: Any) -> DeliveryChanged:
    """A message is queued; the last that was said of it."""
    await w.hear(permission(w.clock.now()))
    await w.hear(message(w.clock.now(), message_id, **{"sender": META, **more}))
    return [said for said in w.said(DeliveryChanged) if said.message_id == message_id][-1]


def test_numbers_are_named_by_commas_and_may_send() -> None:
    known = read({"WECARE_META_NUMBERS": "1, 2,", "WECARE_WHATSAPP_PHONE_NUMBER_IDS": "a,1"}).of(MessagingSettings)
    assert known.meta_numbers == ("1", "2")
    assert known.may_send("whatsapp") == ["a", "1", "2"]


@pytest.mark.parametrize("url", ["graph.facebook.com", "ftp://x", "https://user@x", "https://x?y", "https://x y"])
def test_an_address_of_the_api_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(SystemExit, match="WECARE_META_GRAPH_URL"):
        read({"WECARE_META_GRAPH_URL": url})


async def test_a_message_goes_by_the_way_of_its_number_and_keeps_the_id_of_that_way(
    simulator: Simulator, w: World
) -> None:
    by_meta, by_aws = await heard(w), await heard(w, "m2", sender=demo.PHONE_NUMBER_ID)
    (first,), (second,) = simulator.core.ledger.by_id["m1"], simulator.core.ledger.by_id["m2"]
    assert (first.service, first.provider_id, first.wamid) == ("graph", by_meta.provider_id, by_meta.provider_id)
    assert (second.service, second.provider_id) == ("socialmessaging", by_aws.provider_id)
    assert {**first.payload, "biz_opaque_callback_data": ""} == {**second.payload, "biz_opaque_callback_data": ""}


async def test_from_the_api_to_the_receipt_by_metas_own_webhook(simulator: Simulator, w: World) -> None:
    for waba in simulator.whatsapp.account.wabas.values():
        waba.webhook = HOOK
    await w.hear(permission(w.clock.now()))
    body = {"contactId": CONTACT, "channel": "whatsapp", "content": {"kind": "text", "body": "Hello"}, "sender": META}
    answer = await w.http().post("/api/messages", json=body, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 202, answer.text
    await w.settle()
    await simulator.core.emitter.flush()
    reported = [str(event["message"]) for event in simulator.core.emitter.recent if event["topics"] == [HOOK]]
    secret = await w.secrets.get("wecare-test/inbound/meta-app-secret")
    for text in reversed(reported):
        mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={mac}", "Content-Type": "application/json"}
        assert (await w.http(None).post("/webhooks/meta", content=text, headers=headers)).status_code == 200
        await w.settle()
    assert [said.status for said in w.said(MessageChanged)][-1] is Status.READ
    assert len(reported) == 3


async def test_a_chunk_of_a_job_goes_by_the_way_of_its_number(simulator: Simulator, w: World) -> None:
    now = w.clock.now()
    people = [Addressee(position=n, message_id=f"b{n}", contact_id=f"c{n}", ref=str(n)) for n in range(5)]
    for n, one in enumerate(people):
        await w.hear(permission(now, contact_id=one.contact_id, address=f"+1202555011{n}"))
    chunk = ChunkReleased(
        job_id="j1", chunk="0", release=1, revision=1, channel=Channel.WHATSAPP, purpose=Purpose.SERVICE, sender=META,
        content=Text(body="Hello"), released_at=now, expires_at=now + timedelta(hours=1), addressees=tuple(people),
    )  # fmt: skip
    await w.hear(chunk)
    await w.advance(10, step=1)
    entries = simulator.core.ledger.entries
    assert sorted(str(entry.message_id) for entry in entries) == [one.message_id for one in people]
    assert {entry.service for entry in entries} == {"graph"}


@pytest.mark.parametrize(
    ("to", "status", "code"),
    [
        ("+12025550186", Status.DEFERRED, "throttled"),
        ("+12025550185", Status.DEFERRED, "throttled"),
        ("+12025550189", Status.FAILED, "invalid_content"),
    ],
)
async def test_what_meta_refuses_at_once_is_said_at_once(
    simulator: Simulator, w: World, to: str, status: Status, code: str
) -> None:
    await w.hear(permission(w.clock.now(), address=to))
    await w.hear(message(w.clock.now(), sender=META))
    said = w.said(DeliveryChanged)[0]
    assert (said.status, said.error_code) == (status, code)
    assert simulator.core.ledger.by_id["m1"] == []


async def test_a_template_that_meta_does_not_know_fails(simulator: Simulator, w: World) -> None:
    said = await heard(w, content=Template(name="no_such_template"))
    assert (said.status, said.error_code, said.provider_code) == (Status.FAILED, "template_missing", "132001")


async def test_an_expired_token_is_the_operators_business(simulator: Simulator, w: World) -> None:
    simulator.core.faults.add({"fault": "error", "service": "graph", "code": "190", "message": "Session has expired"})
    said = await heard(w)
    assert (said.status, said.error_code, said.provider_code) == (Status.FAILED, "misconfigured", "190")


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\r\nX-Other: 1", None])
async def test_without_a_token_nothing_is_sent_and_the_message_waits(
    simulator: Simulator, w: World, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_secret(name: str) -> str:
        raise LookupError("no such secret")

    with monkeypatch.context() as without:
        if token is None:
            without.setattr(w.secrets, "get", no_secret)
        else:
            w.secrets.values[f"wecare-test/{OWNER}/{TOKEN}"] = token
        said = await heard(w)
        assert said.status is Status.DEFERRED
        assert requests(simulator, "graph.messages") == 0
    w.secrets.values[f"wecare-test/{OWNER}/{TOKEN}"] = f"{SECRET}\n"
    await w.advance(60, step=1)
    assert w.said(DeliveryChanged)[-1].status is Status.SENT


async def test_a_file_is_handed_in_once_for_each_number_and_named_by_metas_id(simulator: Simulator, w: World) -> None:
    await w.hear(stored(w))
    for n in range(3):
        assert (await heard(w, f"m{n}", content=image(file_id="f1"))).status is Status.SENT
    assert requests(simulator, "graph.media.upload") == 1
    await heard(w, "m9", content=image(file_id="f1"), sender=SECOND)
    assert requests(simulator, "graph.media.upload") == 2
    (accepted,) = simulator.core.ledger.by_id["m1"]
    kept = simulator.whatsapp.account.media[accepted.payload["image"]["id"]]
    assert (kept.data, kept.mime_type) == (PNG, "image/png")
    assert requests(simulator, "socialmessaging.PostWhatsAppMessageMedia") == 0


@pytest.mark.parametrize("fault", ["throttle_429", "outage_503", "accept_then_reset", "half_body", "bad_json"])
async def test_handing_in_is_tried_again_and_the_message_goes_out_once(
    simulator: Simulator, w: World, fault: str
) -> None:
    simulator.core.faults.add({"operation": "media.upload", "fault": fault, "times": 2})
    await w.hear(stored(w))
    await w.hear(permission(w.clock.now()))
    await w.hear(message(w.clock.now(), sender=META, content=image(file_id="f1")))
    await w.advance(90, step=1)
    assert w.said(DeliveryChanged)[-1].status is Status.SENT
    assert len(simulator.core.ledger.by_id["m1"]) == 1
    assert not w.letters()


async def test_a_file_that_is_gone_or_that_meta_refuses_fails_the_message(simulator: Simulator, w: World) -> None:
    await w.hear(stored(w, "f2"), stored(w, "f3"))
    await w.files.put(BUCKET, "files/f3", b"", "image/png")
    for n, file in enumerate(("f2", "f3")):
        said = await heard(w, f"m{n}", content=image(file_id=file))
        assert (said.status, said.error_code) == (Status.FAILED, "media_failed")
    assert requests(simulator, "graph.messages") == 0


async def test_a_rehearsal_asks_meta_for_nothing(simulator: Simulator, w: World) -> None:
    w.runtime.settings = w.settings.model_copy(update={"send_mode": "DRY_RUN"})
    await w.hear(stored(w))
    assert (await heard(w, content=image(file_id="f1"))).dry_run
    assert not [name for name in simulator.core.requests if name.startswith("graph.")]


@pytest.mark.parametrize("fault", ["ok", "reset_before", "accept_then_500", "error"])
async def test_the_token_is_never_logged(
    simulator: Simulator, w: World, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    if fault != "ok":
        code = {"code": "190"} if fault == "error" else {}
        simulator.core.faults.add({"fault": fault, "service": "graph", **code})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        await w.hear(stored(w))
        await sent(w, Channel.WHATSAPP, Text(body="by AWS"), "m0")
        await w.hear(
            message(w.clock.now(), sender=META), message(w.clock.now(), "m2", sender=META, content=image(file_id="f1"))
        )
        await w.advance(60, step=5)
    assert "send" in {line["event"] for line in lines}
    said = [event.model_dump_json() for event in w.said(DeliveryChanged)]
    assert SECRET not in json.dumps(lines, default=str) + caplog.text + "".join(said) + json.dumps(w.letters())
