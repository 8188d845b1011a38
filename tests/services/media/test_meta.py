"""Files that came by Meta's own webhook: fetched from Meta and from nowhere else, whole, or rejected with the reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from libs.common.aws import clients as entry_point
from libs.common.aws.rest import Rest
from libs.common.clock import derived_id
from libs.common.declare.discover import discover
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.events.media import MediaRejected, MediaStored
from libs.messaging.providers.graph import OWNER, TOKEN, Graph, NotMeta, Stored
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from libs.simulator.request_body import RequestBody
from libs.simulator.socialmessaging.inbound import Inbound
from services.media.model import MediaFile, inbound_id
from tests.services.media import kit
from tests.services.media.test_inbound import picture

SERVICES = {service.name: service for service in discover()}
META = demo.META_PHONE_NUMBER_ID
SECRET = "EAAmarkedTokenThatNobodyMaySee"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(seed="1", grace_s=0)) as running:
        yield running


def world(url: str) -> World:
    settings = Settings(stage="test", meta_numbers=(META,), meta_graph_url=url)
    on = World([SERVICES["media"], SERVICES["inbound"]], settings=settings)
    on.secrets.values[f"wecare-test/{OWNER}/{TOKEN}"] = SECRET
    return on


@pytest.fixture
async def on(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(entry_point, "READ_TIMEOUT_SECONDS", 0.3)
    async with world(simulator.url) as running:
        yield running


def received(on: World, media_id: str, **details: Any) -> MessageReceived:
    return MessageReceived(
        message_id=derived_id("m1"), channel=Channel.WHATSAPP, provider_message_id="wamid.1", to=demo.PHONE_NUMBER,
        content=picture(media_id), received_at=on.clock.now(), sender="+12025550143",
        details=details or {"metaPhoneNumberId": META},
    )  # fmt: skip


async def file_of(on: World) -> MediaFile:
    found = await on.row("media", MediaFile, inbound_id(derived_id("m1"), 0))
    assert found is not None
    return found


def sent_in(simulator: Simulator, data: bytes = kit.JPEG, content_type: str = "image/jpeg") -> str:
    return simulator.whatsapp.account.store(content_type, data, "inbound").id


async def test_a_picture_that_a_customer_sends_to_a_number_of_metas_lies_in_our_bucket(
    simulator: Simulator, on: World
) -> None:
    """From Meta's webhook, signed, to the file."""
    whatsapp = simulator.whatsapp
    intent = {"from": "+12025550143", "type": "image", "data": base64.b64encode(kit.PNG).decode(), "direct": True}
    Inbound(simulator.core, whatsapp.account, whatsapp.templates).message(RequestBody(intent))
    text = str(simulator.core.emitter.recent[-1]["message"])
    secret = await on.secrets.get("wecare-test/inbound/meta-app-secret")
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    for _ in range(2):
        answer = await on.http(None).post(
            "/webhooks/meta",
            content=text,
            headers={"X-Hub-Signature-256": f"sha256={mac}", "Content-Type": "application/json"},
        )
        assert answer.status_code == 200
        await on.settle()
    (said,) = on.said(MediaStored)
    assert (said.content_type, said.size, said.sha256) == (
        "image/png",
        len(kit.PNG),
        hashlib.sha256(kit.PNG).hexdigest(),
    )
    assert list(on.files.objects.items()) == [((kit.BUCKET, said.key), (kit.PNG, "image/png"))]
    assert simulator.core.requests["graph.media.file"] == 1, "what is there is not fetched again"


@pytest.mark.parametrize(
    ("data", "content_type", "found"),
    [(kit.MP4, "video/mp4", "video/mp4"), (kit.OGG, "audio/ogg; codecs=opus", "audio/ogg"), (kit.PNG, "image/jpeg", "image/png")],
)  # fmt: skip
async def test_its_type_is_told_from_its_bytes(
    simulator: Simulator, on: World, data: bytes, content_type: str, found: str
) -> None:
    await on.hear(received(on, sent_in(simulator, data, content_type)))
    row = await file_of(on)
    assert (row.state, row.content_type) == ("ready", found)


@pytest.mark.parametrize(
    ("media_id", "reason"),
    [("700000000009999", "expired"), ("../v23.0/me", "refused"), ("1?fields=token", "refused"), ("", "refused")],
)
async def test_an_id_that_meta_does_not_know_or_that_is_none_is_rejected(
    simulator: Simulator, on: World, media_id: str, reason: str
) -> None:
    await on.hear(received(on, media_id))
    assert [said.reason for said in on.said(MediaRejected)] == [reason]
    assert simulator.core.requests["graph.media.get"] == (reason == "expired"), "what is no id is not even asked for"
    assert not on.letters()


async def test_a_number_that_the_settings_do_not_name_has_no_way_to_its_files(simulator: Simulator, on: World) -> None:
    await on.hear(received(on, sent_in(simulator), metaPhoneNumberId="200000000000009"))
    assert (await file_of(on)).reason == "no_sender"
    assert not simulator.core.requests


@pytest.mark.parametrize("maximum", [len(kit.JPEG) - 1, 10])
async def test_a_file_larger_than_any_channel_takes_is_rejected(
    simulator: Simulator, on: World, maximum: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.media.meta.MAX_FILE_BYTES", maximum)
    await on.hear(received(on, sent_in(simulator)))
    assert (await file_of(on)).reason == "too_big"
    assert simulator.core.requests["graph.media.file"] == 0
    assert not on.files.objects


@pytest.mark.parametrize("operation", ["media.get", "media.file"])
@pytest.mark.parametrize("fault", ["outage_503", "throttle_429", "reset_before", "half_body", "error"])
async def test_a_failure_on_the_way_is_tried_again(simulator: Simulator, on: World, operation: str, fault: str) -> None:
    code = {"code": "190"} if fault == "error" else {}
    simulator.core.faults.add({"fault": fault, "operation": operation, "times": 3, **code})
    await on.hear(received(on, sent_in(simulator)))
    await on.advance(600, step=10)
    assert (await file_of(on)).state == "ready"
    assert not on.letters()


# -- a Meta that says where its files lie -----------------------------------------------------------


class Meta:
    """Answers ``GET /{media-id}`` with ``says``, and any other path with ``data`` or by sending the asker on."""

    def __init__(self, data: bytes = kit.JPEG, **says: Any) -> None:
        self.data = data
        self.says = {"sha256": hashlib.sha256(data).hexdigest(), "file_size": len(data), **says}
        self.onward: str | None = None
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path.startswith("/v23.0/"):
            return web.json_response({"url": f"{self.url}/file", **self.says})
        if self.onward is not None:
            return web.Response(status=302, headers={"Location": self.onward})
        return web.Response(body=self.data)


@asynccontextmanager
async def meta_of_our_own(meta: Meta) -> AsyncIterator[World]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", meta.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    meta.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with world(meta.url) as running:
        yield running
    await runner.cleanup()


ELSEWHERE = [
    "https://example.com/file",
    "http://lookaside.fbsbx.com/file",
    "https://lookaside.fbsbx.com:8443/file",
    "https://lookaside.fbsbx.com.example.com/file",
    "https://notfbsbx.com/file",
    "https://lookaside.fbsbx.com@example.com/file",
    "https://user:pass@lookaside.fbsbx.com/file",
    "https://example.com\\@lookaside.fbsbx.com/file",
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:1/file",
    "http://localhost/file",
    "file:///etc/passwd",
    "//example.com/file",
    "not an address",
    "https://[::1",
    "",
]


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_a_file_that_is_said_to_lie_elsewhere_is_not_fetched_and_nobody_else_sees_the_token(url: str) -> None:
    meta = Meta(url=url)
    async with meta_of_our_own(meta) as on:
        await on.hear(received(on, "800000000000001"))
        assert (await file_of(on)).reason == "refused"
        assert set(meta.asked) == {"/v23.0/800000000000001"}


@pytest.mark.parametrize(
    "url", ["https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", "https://graph.facebook.com/x"]
)
async def test_metas_own_hosts_are_asked(url: str) -> None:
    class Asked(Exception):
        pass

    class Watched(Rest):
        async def ask(self, method: str, url: Any, token: str, **more: Any) -> Any:
            raise Asked(str(url))

    with pytest.raises(Asked, match=r"^https://"):
        await Graph(Watched(), "https://graph.facebook.com", SECRET).file(url, 10)
    with pytest.raises(NotMeta):
        await Graph(Watched(), "https://graph.facebook.com", SECRET).file("https://example.com/", 10)


async def test_nobody_is_sent_on_to_another_place() -> None:
    meta = Meta()
    async with meta_of_our_own(meta) as on:
        meta.onward = f"{meta.url}/other"
        await on.hear(received(on, "800000000000001"))
        assert await on.row("media", MediaFile, inbound_id(derived_id("m1"), 0)) is None
        assert "/other" not in meta.asked


async def test_bytes_that_are_not_what_meta_announced_are_not_taken() -> None:
    meta = Meta(sha256="0" * 64)
    async with meta_of_our_own(meta) as on:
        await on.hear(received(on, "800000000000001"))
        assert not on.files.objects
        assert not on.said(MediaStored)
        meta.says["sha256"] = hashlib.sha256(meta.data).hexdigest().upper()
        await on.advance(600, step=10)
        assert (await file_of(on)).state == "ready"


async def test_more_bytes_than_were_announced_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.media.meta.MAX_FILE_BYTES", 100_000)
    async with meta_of_our_own(Meta(bytes(1_000_000), file_size=10)) as on:
        await on.hear(received(on, "800000000000001"))
        assert (await file_of(on)).reason == "too_big"


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("services/media/cases/meta.graph.media.get.response.json").read_text())
    return found


async def test_the_recorded_answer_is_read_as_it_is_written() -> None:
    """Run with -s to read what it became."""
    said = recorded()
    meta = Meta(**said)
    async with meta_of_our_own(meta) as on:
        found = await Graph(on.runtime.rest, meta.url, SECRET).media(said["id"])
    assert found == Stored(said["url"], said["sha256"], 78144)
    print(f"{'meta.graph.media.get.response':62} {'Stored':28} {found.size} {found.url}")


@pytest.mark.parametrize("fault", ["ok", "reset_before", "error"])
async def test_the_token_is_never_logged(
    simulator: Simulator, on: World, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    if fault != "ok":
        simulator.core.faults.add({"fault": fault, **({"code": "190"} if fault == "error" else {})})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        await on.hear(received(on, sent_in(simulator)))
        await on.advance(20_000, step=100)
    assert lines
    assert SECRET not in json.dumps(lines, default=str) + caplog.text + json.dumps(on.letters())
