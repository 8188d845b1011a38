"""What a file is, is told from its bytes; which channel carries it, from one table."""

from __future__ import annotations

import pytest

from libs.messaging.channels import Channel
from libs.messaging.file_types import ENDINGS, KB, MB, TYPES, settle
from libs.messaging.media import fits, unsupported_reason
from tests.services.media import kit

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50)


@pytest.mark.parametrize(
    ("data", "declared", "found"),
    [
        (kit.PNG, "image/png", "image/png"),
        (kit.PNG, "image/jpeg", "image/png"),
        (kit.JPEG, None, "image/jpeg"),
        (kit.WEBP, None, "image/webp"),
        (b"GIF89a" + bytes(9), None, "image/gif"),
        (kit.OGG, "audio/ogg; codecs=opus", "audio/ogg"),
        (kit.MP4, None, "video/mp4"),
        (kit.MP4, "audio/mp4", "audio/mp4"),
        (kit.MP4, "image/png", "video/mp4"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00", "video/mp4", "audio/mp4"),
        (b"\x00\x00\x00\x18ftyp3gp4\x00\x00", None, "video/3gpp"),
        (b"#!AMR\n" + bytes(9), None, "audio/amr"),
        (b"ID3\x03" + bytes(9), None, "audio/mpeg"),
        (b"\xff\xfb\x90\x00" + bytes(9), None, "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(9), None, "audio/aac"),
        (kit.PDF, "image/png", "application/pdf"),
        (kit.office("word"), None, DOCX),
        (kit.office("xl"), DOCX, XLSX),
        (kit.office("other"), XLSX, XLSX),
        (kit.office("other"), None, None),
        (kit.zipped(), DOCX, None),
        (OLE, "application/msword", "application/msword"),
        (OLE, "image/png", None),
        ("Grüße, Ann\n".encode(), None, "text/plain"),
        (b"a,b\r\n1,2\r\n", "text/csv", "text/csv"),
        (b"BEGIN:VCARD\r\n", "text/x-vcard", "text/vcard"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "image/webp", None),
        (b"\xff\xfeh\x00i\x00", "audio/mpeg", None),
        (kit.HTML, "text/plain", None),
        (b"\n  " + kit.HTML, "text/plain", None),
        (kit.SVG, "image/png", None),
        (b"\xef\xbb\xbf" + kit.SVG, "text/plain", None),
        (kit.EXE, "image/png", None),
        (b"\x7fELF" + bytes(40), "text/plain", None),
        (b"", "text/plain", None),
        (b"\xff", None, None),
    ],
)  # fmt: skip
def test_the_bytes_decide_what_a_file_is(data: bytes, declared: str | None, found: str | None) -> None:
    assert settle(declared, data) == found


def test_a_text_cut_inside_a_character_is_still_text() -> None:
    assert settle(None, "é".encode() * 10 + "é".encode()[:1]) == "text/plain"


@pytest.mark.parametrize(
    ("channel", "kind", "content_type", "maximum"),
    [
        (Channel.WHATSAPP, "image", "image/jpeg", 5 * MB),
        (Channel.WHATSAPP, "video", "video/mp4", 16 * MB),
        (Channel.WHATSAPP, "audio", "audio/ogg", 16 * MB),
        (Channel.WHATSAPP, "sticker", "image/webp", 500 * KB),
        (Channel.WHATSAPP, "document", "application/pdf", 100 * MB),
        (Channel.SMS, "image", "image/gif", 2 * MB),
        (Channel.SMS, "audio", "audio/mpeg", 600 * KB),
        (Channel.RCS, None, "video/mp4", 100 * MB),
        (Channel.EMAIL, None, "application/pdf", 28 * MB),
    ],
)
def test_each_channel_takes_up_to_its_limit_and_not_a_byte_more(
    channel: Channel, kind: str | None, content_type: str, maximum: int
) -> None:
    assert unsupported_reason(channel, kind, content_type, maximum) is None
    assert str(maximum) in (unsupported_reason(channel, kind, content_type, maximum + 1) or "")


@pytest.mark.parametrize(
    ("channel", "kind", "content_type"),
    [
        (Channel.WHATSAPP, "image", "image/gif"),
        (Channel.WHATSAPP, "image", "image/webp"),
        (Channel.WHATSAPP, "sticker", "image/png"),
        (Channel.WHATSAPP, "video", "image/png"),
        (Channel.WHATSAPP, "document", "text/csv"),
        (Channel.SMS, "image", "image/webp"),
        (Channel.VOICE, None, "audio/mpeg"),
    ],
)
def test_a_kind_that_does_not_hold_the_type_is_refused_in_words(
    channel: Channel, kind: str | None, content_type: str
) -> None:
    why = unsupported_reason(channel, kind, content_type, 10)
    assert why is not None
    assert channel.value in why


def test_every_type_that_a_channel_takes_can_be_told_or_declared() -> None:
    taken = {each for channel in Channel for limit in channel.traits.files for each in limit.types}
    assert taken == TYPES
    assert set(ENDINGS) == TYPES


def test_fitness_names_the_channels() -> None:
    assert fits("image/png", 3 * MB) == (Channel.WHATSAPP, Channel.EMAIL, Channel.RCS)
    assert fits("image/png", 100) == (Channel.WHATSAPP, Channel.SMS, Channel.EMAIL, Channel.RCS)
