"""Files that come with messages. Everything is delivered twice; the provider is the simulator, S3 a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from libs.common.aws.clients import Aws
from libs.common.aws.files import AwsFiles
from libs.common.clock import derived_id
from libs.common.isolated import MIB, Isolated
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Content, Email, File, Media, Text
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.events.media import MediaDeleted, MediaRejected, MediaStored
from libs.messaging.events.messages import MessageDeleted
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from services.inbound.parsing.mail.mime import read
from services.media import sources
from services.media.model import MediaFile, inbound_id
from services.media.service import service
from tests.services.media import kit

ARN = f"arn:aws:social-messaging:us-east-1:111122223333:phone-number-id/{demo.PHONE_NUMBER_ID.rpartition('-')[2]}"
MAIL = "wecare-test-inbound-mail"


@pytest.fixture
async def simulator(emulator: dict[str, str]) -> AsyncIterator[Simulator]:
    settings = SimulatorSettings(seed="1", grace_s=0, s3_endpoint=emulator["AWS_ENDPOINT_URL"])
    async with Simulator(settings) as running:
        yield running


@pytest.fixture
async def on(simulator: Simulator, emulator: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, emulator[name])
    environment = {**emulator, "AWS_ENDPOINT_URL_SOCIALMESSAGING": simulator.url}
    async with Aws(environment=environment) as aws, World([service], aws=aws) as world:
        world.runtime.files = AwsFiles(aws)
        client = await aws.client("s3")
        for bucket in (kit.BUCKET, MAIL):
            await kit.empty(client, bucket)
        yield world


def received(on: World, content: Content, channel: Channel = Channel.WHATSAPP, **more: Any) -> MessageReceived:
    facts: dict[str, Any] = {"details": {"phoneNumberArn": ARN}} if channel is Channel.WHATSAPP else {}
    return MessageReceived(
        **{
            "message_id": derived_id("m1"), "channel": channel, "provider_message_id": "wamid.1", "to": demo.PHONE_NUMBER,
            "content": content, "received_at": on.clock.now(), "sender": "+12025550143", **facts, **more,
        }
    )  # fmt: skip


def picture(media_id: str, content_type: str = "image/jpeg", media_type: Any = "image", **more: Any) -> Media:
    return Media(media_type=media_type, file=File(provider_id=media_id, content_type=content_type, **more))


def sent_in(simulator: Simulator, data: bytes, content_type: str) -> str:
    return simulator.whatsapp.account.store(content_type, data, "inbound").id


async def file_of(on: World, part: int = 0) -> MediaFile:
    found = await on.row("media", MediaFile, inbound_id(derived_id("m1"), part))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("data", "declared", "media_type", "found"),
    [
        (kit.JPEG, "image/jpeg", "image", "image/jpeg"),
        (kit.MP4, "video/mp4", "video", "video/mp4"),
        (kit.OGG, "audio/ogg; codecs=opus", "audio", "audio/ogg"),
        (kit.PDF, "application/pdf", "document", "application/pdf"),
        (kit.WEBP, "image/webp", "sticker", "image/webp"),
        (kit.PNG, "image/jpeg", "image", "image/png"),
    ],
    ids=["image", "video", "audio", "document", "sticker", "misnamed"],
)
async def test_each_kind_of_whatsapp_file_is_brought_into_our_bucket_once(
    on: World, simulator: Simulator, data: bytes, declared: str, media_type: str, found: str
) -> None:
    media_id = sent_in(simulator, data, declared)
    event = received(on, picture(media_id, declared, media_type, filename="a/../b.bin"))
    await on.hear(event, key="once")
    await on.hear(event, key="once")
    row = await file_of(on)
    assert (row.state, row.content_type, row.size, row.filename) == ("ready", found, len(data), "b.bin")
    assert row.provider_id_expires_at == event.received_at + timedelta(days=7)
    (said,) = on.said(MediaStored)
    assert (said.message_id, said.content_type, said.part) == (event.message_id, found, 0)
    assert await on.runtime.files.keys(kit.BUCKET, "") == [row.s3_key]
    stat = await on.runtime.files.stat(kit.BUCKET, row.s3_key or "")
    assert stat is not None
    assert stat.content_type == found


@pytest.mark.parametrize(("data", "reason"), [(kit.EXE, "type"), (kit.HTML, "type"), (b"", "empty"), (None, "expired")])
async def test_a_file_that_cannot_be_had_is_rejected_with_the_reason(
    on: World, simulator: Simulator, data: bytes | None, reason: str
) -> None:
    media_id = "700000000009999" if data is None else sent_in(simulator, data, "image/jpeg")
    await on.hear(received(on, picture(media_id)))
    row = await file_of(on)
    assert (row.state, row.reason) == ("rejected", reason)
    assert [said.reason for said in on.said(MediaRejected)] == [reason]
    assert await on.runtime.files.keys(kit.BUCKET, "") == []
    assert not on.letters()
    listed = (await on.http("VIEWER").get("/api/media", params={"messageId": derived_id("m1")})).json()
    assert [(item["state"], item["reason"]) for item in listed["items"]] == [("rejected", reason)]


async def test_a_file_larger_than_any_channel_takes_is_rejected(
    on: World, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.media.admission.MAX_FILE_BYTES", 1000)
    await on.hear(received(on, picture(sent_in(simulator, kit.JPEG + bytes(1000), "image/jpeg"))))
    assert (await file_of(on)).reason == "too_big"


async def test_a_provider_that_is_down_is_asked_again(on: World, simulator: Simulator) -> None:
    media_id = sent_in(simulator, kit.JPEG, "image/jpeg")
    simulator.core.faults.add({"fault": "outage_503", "times": 3})
    await on.hear(received(on, picture(media_id)))
    await on.advance(600, step=10)
    assert (await file_of(on)).state == "ready"
    assert not on.letters()


async def test_a_process_that_dies_between_copy_and_row_does_it_over(on: World, simulator: Simulator) -> None:
    """The bytes are where a redelivery puts them again; there is one row and one object."""
    media_id = sent_in(simulator, kit.JPEG, "image/jpeg")
    key = f"files/{inbound_id(derived_id('m1'), 0)}.jpg"
    await on.runtime.files.put(kit.BUCKET, key, kit.JPEG, "image/jpeg")
    await on.hear(received(on, picture(media_id)))
    assert await on.runtime.files.keys(kit.BUCKET, "") == [key]


async def test_the_number_is_a_setting_where_the_message_does_not_tell_it(simulator: Simulator, on: World) -> None:
    media_id = sent_in(simulator, kit.JPEG, "image/jpeg")
    await on.hear(received(on, picture(media_id), details={}))
    assert (await file_of(on)).reason == "no_sender"
    reported = Settings(stage="test", whatsapp_phone_number_ids=demo.PHONE_NUMBER_ID)
    async with World([service], settings=reported, aws=on.aws) as other:
        other.runtime.files = on.runtime.files
        await other.hear(received(on, picture(media_id), details={}))
        assert (await file_of(other)).state == "ready"


async def test_a_text_has_no_files(on: World) -> None:
    await on.hear(received(on, Text(body="Hello")))
    assert not on.said(MediaStored)
    assert not on.said(MediaRejected)


async def test_rcs_files_are_taken_where_aws_put_them_and_from_nowhere_else(on: World) -> None:
    await on.runtime.files.put(kit.BUCKET, "rcs/rcs/id#photo.jpg", kit.JPEG, "application/octet-stream")
    ours = File(url=f"s3://{kit.BUCKET}/rcs/rcs/id#photo.jpg", content_type="image/jpeg", filename="photo.jpg")
    await on.hear(received(on, Media(media_type="image", file=ours), Channel.RCS))
    assert (await file_of(on)).content_type == "image/jpeg"
    theirs = File(url="s3://somebody-elses/photo.jpg", content_type="image/jpeg")
    await on.hear(received(on, Media(media_type="image", file=theirs), Channel.RCS, message_id="m2"))
    assert [said.reason for said in on.said(MediaRejected)] == ["not_ours"]


def mail() -> bytes:
    message = EmailMessage()
    message["Subject"] = "Two files"
    message.set_content("See the files.")
    message.add_attachment(kit.PDF, maintype="application", subtype="pdf", filename="bill.pdf")
    message.add_attachment(kit.EXE, maintype="image", subtype="png", filename="photo.png")
    return bytes(message)


async def test_attachments_are_taken_out_of_the_kept_mail_one_by_one(on: World) -> None:
    await on.runtime.files.put(MAIL, "in/1", mail(), "message/rfc822")
    # Both count the parts of a mail, each by itself: what one lists the other must find.
    listed = read(mail()).content
    assert isinstance(listed, Email)
    unknown = File(provider_id="part-9", content_type="image/png")
    content = listed.model_copy(update={"attachments": [*listed.attachments, unknown]})
    await on.hear(received(on, content, Channel.EMAIL, details={"raw": f"s3://{MAIL}/in/1"}))
    rows = [await file_of(on, part) for part in range(3)]
    assert [(row.state, row.content_type, row.reason) for row in rows] == [
        ("ready", "application/pdf", None),
        ("rejected", None, "type"),
        ("rejected", None, "unreadable"),
    ]
    (said,) = on.said(MediaStored)
    assert (said.part, said.filename, said.size) == (0, "bill.pdf", len(kit.PDF))
    assert await on.runtime.files.keys(kit.BUCKET, "") == [rows[0].s3_key]


async def test_an_attachment_of_a_mail_that_takes_too_long_to_read_is_rejected_and_others_are_not(
    on: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of it is compared with the boundary of each of its levels."""
    monkeypatch.setattr(sources, "_READERS", Isolated(cpu_seconds=1, wait_seconds=60, output_bytes=MIB))
    levels = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(250)]
    await on.runtime.files.put(MAIL, "in/2", b"".join(levels) + b"\r\n" + b"--\n" * 200_000, "message/rfc822")
    file = File(provider_id="part-0", content_type="image/png")
    hostile = Email(subject="Hi", text="x", attachments=[file])
    await on.hear(received(on, hostile, Channel.EMAIL, details={"raw": f"s3://{MAIL}/in/2"}))
    row = await file_of(on, 0)
    assert (row.state, row.reason) == ("rejected", "unreadable")
    assert "computing time" in (row.detail or "")
    assert not on.letters()


async def test_with_the_content_of_a_message_go_its_files(on: World, simulator: Simulator) -> None:
    event = received(on, picture(sent_in(simulator, kit.JPEG, "image/jpeg")))
    await on.hear(event)
    row = await file_of(on)
    await on.hear(
        MessageDeleted(message_id=event.message_id, contact_id="c1", channel=Channel.WHATSAPP, at=on.clock.now())
    )
    assert await on.runtime.files.keys(kit.BUCKET, "") == []
    assert [said.file_id for said in on.said(MediaDeleted)] == [row.file_id]
    gone = await on.http().get(f"/api/media/{row.file_id}/download")
    assert gone.status_code == 409
