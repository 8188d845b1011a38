"""Files on their way out: ours by their place or the provider's id, links that we must fetch, and all that is refused before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from libs.common.aws.clients import Aws
from libs.common.aws.fetch import Fetched, Fetcher, Refused, Unreachable
from libs.common.aws.files import AwsFiles
from libs.common.declare.service import Service
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Card, Content, Email, File, Media, Rich, Template
from libs.messaging.events.media import MediaDeleted, MediaStored
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.vocabulary import Status
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from services.outbound.channels.whatsapp.channel import WhatsApp
from services.outbound.contract import Account, Outgoing, Request
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service
from tests.services.outbound.kit import SENDER, Fake, NoAws, accepts, message, permission

MB = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)
BUCKET = "wecare-test-media-files"


class Shows(Fake):
    """A channel of any name that shows what it was given to render."""

    def __init__(self, name: Channel) -> None:
        super().__init__(accepts)
        self.name = name  # type: ignore[misc]
        self.rendered: list[Content] = []

    def render(self, message: Outgoing, account: Account) -> Request:
        self.rendered.append(message.content)
        return super().render(message, account)


class Links(Fetcher):
    """The entry point to strangers' addresses, with what is behind it told by the test."""

    def __init__(self, *answers: Fetched | Exception) -> None:
        super().__init__(lambda address: False)
        self.answers = list(answers)
        self.asked: list[str] = []

    async def get(self, url: str, maximum: int, seconds: float = 20) -> Fetched:
        self.asked.append(url)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found


def service(channel: Any) -> Service:
    return channel_service(channel, Limits(per_second=1000), needs=[], senders=lambda settings: [SENDER])


def stored(on: World, file_id: str = "f1", content_type: str = "image/png", size: int = 1000) -> MediaStored:
    return MediaStored(
        file_id=file_id, bucket=BUCKET, key=f"files/{file_id}", content_type=content_type, size=size, sha256="0" * 64,
        filename="photo.png", stored_at=on.clock.now(), expires_at=on.clock.now() + timedelta(days=30),
    )  # fmt: skip


def image(**file: Any) -> Media:
    return Media(media_type="image", file=File(**file))


async def sent(on: World, channel: Channel, content: Content, message_id: str = "m1") -> DeliveryChanged | None:
    """Say the message; the last that was said of it."""
    now = on.clock.now()
    address = "ann@example.com" if channel is Channel.EMAIL else "+12025550143"
    await on.hear(permission(now, int(now.timestamp()), channel=channel, address=address))
    await on.hear(message(now, message_id, channel=channel, content=content))
    said = [each for each in on.said(DeliveryChanged) if each.message_id == message_id]
    return said[-1] if said else None


def world(shows: Shows) -> World:
    return World([service(shows)], aws=NoAws())  # type: ignore[arg-type]


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.RCS])
async def test_a_file_of_ours_is_named_by_its_place(channel: Channel) -> None:
    shows = Shows(channel)
    async with world(shows) as on:
        await on.hear(stored(on))
        said = await sent(on, channel, image(file_id="f1"))
        assert said is not None
        assert said.status is Status.SENT
        (content,) = shows.rendered
        assert isinstance(content, Media)
        assert content.file == File(url=f"s3://{BUCKET}/files/f1", content_type="image/png", filename="photo.png")


async def test_every_place_of_a_rich_message_and_of_an_email_is_found() -> None:
    rcs, email = Shows(Channel.RCS), Shows(Channel.EMAIL)
    async with world(rcs) as on:
        await on.hear(stored(on))
        cards = [Card(title="A", media_file_id="f1"), Card(title="B", media_url="https://cdn.example.com/b.png")]
        await sent(on, Channel.RCS, Rich(cards=cards, fallback_media_file_id="f1"))
        (rich,) = rcs.rendered
        assert isinstance(rich, Rich)
        place = f"s3://{BUCKET}/files/f1"
        assert [card.media_url for card in rich.cards] == [place, "https://cdn.example.com/b.png"]
        assert rich.fallback_media_url == place
    async with world(email) as on:
        await on.hear(stored(on), stored(on, "f2", "application/pdf"))
        await sent(
            on, Channel.EMAIL, Email(subject="Hi", text="x", attachments=[File(file_id="f1"), File(file_id="f2")])
        )
        (mail,) = email.rendered
        assert isinstance(mail, Email)
        assert [file.url for file in mail.attachments] == [f"s3://{BUCKET}/files/f1", f"s3://{BUCKET}/files/f2"]


@pytest.mark.parametrize(
    ("channel", "content_type", "size", "media_type"),
    [
        (Channel.SMS, "image/png", 2 * MB + 1, "image"),
        (Channel.SMS, "image/webp", 10, "image"),
        (Channel.SMS, "video/mp4", 600 * 1024 + 1, "video"),
        (Channel.RCS, "image/png", 100 * MB + 1, "image"),
        (Channel.WHATSAPP, "image/gif", 10, "image"),
        (Channel.WHATSAPP, "image/png", 5 * MB + 1, "image"),
        (Channel.WHATSAPP, "image/png", 10, "video"),
    ],
)
async def test_what_the_channel_does_not_carry_is_refused_before_the_provider_is_called(
    channel: Channel, content_type: str, size: int, media_type: Any
) -> None:
    shows = Shows(channel)
    async with world(shows) as on:
        await on.hear(stored(on, content_type=content_type, size=size))
        said = await sent(on, channel, Media(media_type=media_type, file=File(file_id="f1")))
        assert said is not None
        assert (said.status, said.error_code) == (Status.FAILED, "invalid_content")
        assert content_type in (said.detail or "")
        assert not shows.asked


async def test_a_message_waits_for_the_news_of_its_file() -> None:
    shows = Shows(Channel.SMS)
    async with world(shows) as on:
        assert await sent(on, Channel.SMS, image(file_id="f1")) is None
        await on.hear(stored(on))
        await on.advance(10, step=1)
        (said,) = on.said(DeliveryChanged)
        assert said.status is Status.SENT


@pytest.mark.parametrize("gone", ["never", "deleted", "expired"])
async def test_a_file_that_is_not_there_fails_the_message(gone: str) -> None:
    shows = Shows(Channel.SMS)
    async with world(shows) as on:
        if gone != "never":
            await on.hear(stored(on))
        if gone == "deleted":
            await on.hear(MediaDeleted(file_id="f1"))
        if gone == "expired":
            await on.advance(30 * 86_400 + 1, step=1e9)
        await sent(on, Channel.SMS, image(file_id="f1"))
        await on.advance(80, step=1)
        (said,) = on.said(DeliveryChanged)
        assert (said.status, said.error_code) == (Status.FAILED, "media_failed")
        assert not shows.asked


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL])
async def test_a_link_is_fetched_once_into_our_own_bucket_where_the_provider_does_not_fetch(channel: Channel) -> None:
    shows = Shows(channel)
    url = "https://cdn.example.com/a/photo.png?x=1"
    async with world(shows) as on:
        links = on.runtime.fetcher = Links(Fetched("text/html", PNG))
        content = (
            image(url=url) if channel is Channel.SMS else Email(subject="s", text="t", attachments=[File(url=url)])
        )
        said = await sent(on, channel, content)
        assert said is not None
        assert said.status is Status.SENT
        bucket = f"wecare-test-outbound-{channel}-fetched"
        ((place, (data, content_type)),) = on.files.objects.items()
        assert (place[0], data, content_type) == (bucket, PNG, "image/png")
        shown = shows.rendered[-1]
        file = shown.file if isinstance(shown, Media) else shown.attachments[0]  # type: ignore[union-attr]
        assert (file.url, file.filename) == (f"s3://{place[0]}/{place[1]}", "photo.png")
        assert links.asked == [url]


@pytest.mark.parametrize("channel", [Channel.WHATSAPP, Channel.RCS])
async def test_a_link_is_left_to_providers_that_fetch_it_themselves(channel: Channel) -> None:
    shows = Shows(channel)
    async with world(shows) as on:
        links = on.runtime.fetcher = Links(AssertionError("fetched"))
        await sent(on, channel, image(url="https://cdn.example.com/photo.png"))
        assert links.asked == []
        assert shows.asked["m1"] == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Refused("the address is not a public one"), "media_failed"),
        (Fetched("image/png", b"MZ\x90\x00" + bytes(40)), "invalid_content"),
        (Fetched("image/png", b"<html><script>"), "invalid_content"),
        (Fetched("image/png", b""), "invalid_content"),
        (Fetched("image/png", b"RIFF\x1a\x00\x00\x00WEBPVP8L"), "invalid_content"),
    ],
    ids=["inside", "program", "html", "empty", "type"],
)
async def test_a_link_that_leads_to_no_good_fails_the_message(answer: Fetched | Exception, code: str) -> None:
    shows = Shows(Channel.SMS)
    async with world(shows) as on:
        on.runtime.fetcher = Links(answer)
        said = await sent(on, Channel.SMS, image(url="https://cdn.example.com/photo.png"))
        assert said is not None
        assert (said.status, said.error_code) == (Status.FAILED, code)
        assert not shows.asked
        assert not on.files.objects


async def test_a_link_that_cannot_be_reached_now_is_tried_for_two_minutes() -> None:
    shows = Shows(Channel.SMS)
    async with world(shows) as on:
        on.runtime.fetcher = Links(Unreachable("timeout"), Unreachable("503"), Fetched("", PNG))
        await sent(on, Channel.SMS, image(url="https://cdn.example.com/photo.png"))
        await on.advance(60, step=1)
        assert [said.status for said in on.said(DeliveryChanged)] == [Status.SENT]
        on.runtime.fetcher = Links(Unreachable("timeout"))
        await sent(on, Channel.SMS, image(url="https://cdn.example.com/other.png"), "m2")
        await on.advance(180, step=1)
        last = on.said(DeliveryChanged)[-1]
        assert (last.message_id, last.status, last.error_code) == ("m2", Status.FAILED, "media_failed")


# -- WhatsApp: handed in, on the simulator and a real S3 -------------------------------------------


@pytest.fixture
async def simulator(emulator: dict[str, str]) -> AsyncIterator[Simulator]:
    settings = SimulatorSettings(seed="1", grace_s=0, s3_endpoint=emulator["AWS_ENDPOINT_URL"])
    async with Simulator(settings) as running:
        running.core.behaviour.always_open_window = True
        yield running


@pytest.fixture
async def w(simulator: Simulator, emulator: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, emulator[name])
    numbers = f"{demo.PHONE_NUMBER_ID},{demo.SECOND_PHONE_NUMBER_ID}"
    settings = Settings(stage="test", send_mode="LIVE", whatsapp_phone_number_ids=numbers)
    ours = channel_service(WhatsApp(), Limits(per_second=1000), needs=[])
    environment = {**emulator, "AWS_ENDPOINT_URL_SOCIALMESSAGING": simulator.url}
    async with Aws(environment=environment) as aws, World([ours], settings=settings, aws=aws) as running:
        await (await aws.client("s3")).create_bucket(Bucket=BUCKET)
        await AwsFiles(aws).put(BUCKET, "files/f1", PNG, "image/png")
        yield running


def uploads(simulator: Simulator) -> int:
    return simulator.core.requests["socialmessaging.PostWhatsAppMessageMedia"]


async def test_a_file_is_handed_in_once_for_each_number_and_named_by_metas_id(simulator: Simulator, w: World) -> None:
    await w.hear(stored(w))
    for n in range(3):
        said = await sent(w, Channel.WHATSAPP, image(file_id="f1"), f"m{n}")
        assert said is not None
        assert said.status is Status.SENT, said
    assert uploads(simulator) == 1
    await w.hear(message(w.clock.now(), "m9", content=image(file_id="f1"), sender=demo.SECOND_PHONE_NUMBER_ID))
    assert uploads(simulator) == 2
    await w.advance(29 * 86_400 + 60, step=1e9)
    await w.hear(stored(w))
    await sent(w, Channel.WHATSAPP, image(file_id="f1"), "m10")
    assert uploads(simulator) == 3, "Meta forgets an upload after 30 days"


async def test_the_header_of_a_template_can_be_a_file_of_ours(simulator: Simulator, w: World) -> None:
    await w.hear(stored(w))
    content = Template(name=demo.TEMPLATE_ORDER_UPDATE, variables={"1": "a", "2": "b"}, header=File(file_id="f1"))
    await sent(w, Channel.WHATSAPP, content)
    assert uploads(simulator) == 1


async def test_a_file_that_the_provider_refuses_fails_the_message(simulator: Simulator, w: World) -> None:
    await w.hear(stored(w, "f2"))
    said = await sent(w, Channel.WHATSAPP, image(file_id="f2"))
    assert said is not None
    assert (said.status, said.error_code) == (Status.FAILED, "media_failed")
    assert simulator.core.requests["socialmessaging.SendWhatsAppMessage"] == 0


@pytest.mark.parametrize("fault", ["throttle_429", "outage_503", "accept_then_reset", "half_body"])
async def test_handing_in_is_tried_again_and_the_message_goes_out_once(
    simulator: Simulator, w: World, fault: str
) -> None:
    simulator.core.faults.add({"operation": "PostWhatsAppMessageMedia", "fault": fault, "times": 2})
    await w.hear(stored(w))
    await sent(w, Channel.WHATSAPP, image(file_id="f1"))
    await w.advance(90, step=1)
    assert [said.status for said in w.said(DeliveryChanged)] == [Status.SENT]
    assert len(simulator.core.ledger.by_id["m1"]) == 1
    assert not w.letters()


async def test_a_rehearsal_hands_in_nothing(simulator: Simulator, w: World) -> None:
    w.runtime.settings = w.settings = w.settings.model_copy(update={"send_mode": "DRY_RUN"})
    await w.hear(stored(w))
    said = await sent(w, Channel.WHATSAPP, image(file_id="f1"))
    assert said is not None
    assert said.dry_run
    assert uploads(simulator) == 0
