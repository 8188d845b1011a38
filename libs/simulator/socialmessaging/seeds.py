"""The initial templates and media files of the demo account."""

from __future__ import annotations

import base64
from typing import Any

from libs.simulator import demo
from libs.simulator.socialmessaging.records import Media, Template

# The smallest valid files of each type.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

PLACEHOLDERS: dict[str, bytes] = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9",
    "image/webp": b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00",
    "video/mp4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "audio/ogg": b"OggS\x00\x02" + bytes(20),
    "application/pdf": PDF,
}


def placeholder(mime_type: str) -> bytes:
    """A minimal file of this type (tens of bytes)."""
    return PLACEHOLDERS.get(mime_type.split(";")[0], b"synthetic file\n")


def demo_media() -> list[Media]:
    return [
        Media(demo.MEDIA_IMAGE_ID, "image/jpeg", placeholder("image/jpeg")),
        Media(demo.MEDIA_VIDEO_ID, "video/mp4", placeholder("video/mp4")),
        Media(demo.MEDIA_AUDIO_ID, "audio/ogg", placeholder("audio/ogg")),
        Media(demo.MEDIA_STICKER_ID, "image/webp", placeholder("image/webp")),
        Media(demo.MEDIA_DOCUMENT_ID, "application/pdf", placeholder("application/pdf")),
    ]


def _body(text: str) -> dict[str, Any]:
    return {"type": "BODY", "text": text}


def demo_templates() -> list[Template]:
    quick_stop = {"type": "QUICK_REPLY", "text": "Stop promotions"}
    return [
        _template(1, demo.TEMPLATE_ORDER_UPDATE, "UTILITY", [_body("Hi {{1}}, your order {{2}} is on its way.")]),
        _template(2, demo.TEMPLATE_WELCOME, "UTILITY", [_body("Welcome {{first_name}}, good to have you.")], named=True),
        _template(
            3, demo.TEMPLATE_PROMO, "MARKETING",
            [_body("Hello {{1}}, everything is 10% off this week."), {"type": "BUTTONS", "buttons": [quick_stop]}],
        ),
        _template(
            4, demo.TEMPLATE_OTP, "AUTHENTICATION",
            [
                _body("*{{1}}* is your verification code."),
                {"type": "BUTTONS", "buttons": [
                    {"type": "URL", "text": "Copy code", "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}"},
                ]},
            ],
        ),
        _template(5, demo.TEMPLATE_PAUSED, "MARKETING", [_body("Summer sale for {{1}}.")], status="PAUSED"),
        _template(6, demo.TEMPLATE_REJECTED, "MARKETING", [_body("You won, {{1}}!")], status="REJECTED"),
        _template(7, "order_shipped_v1", "UTILITY", [
            _body("Hi {{1}}, order {{2}} is on its way."), {"type": "FOOTER", "text": "Example Store"},
        ]),
        _template(
            8, "spring_offer_v2", "MARKETING",
            [
                {"type": "HEADER", "format": "IMAGE"},
                _body("Hi {{first_name}}, {{discount}} off until Sunday."),
                {"type": "BUTTONS", "buttons": [
                    {"type": "URL", "text": "Shop", "url": "https://example.com/{{1}}"},
                    quick_stop,
                    {"type": "COPY_CODE", "example": "SPRING10"},
                ]},
            ],
            named=True,
        ),
        _template(9, "plain_notice", "UTILITY", [_body("Our store opens at nine tomorrow.")]),
    ]  # fmt: skip


def _template(
    n: int, name: str, category: str, components: list[dict[str, Any]], *, status: str = "APPROVED", named: bool = False
) -> Template:
    return Template(
        name=name,
        language=demo.TEMPLATE_LANGUAGE,
        category=category,
        meta_id=str(700000000000000 + n),
        components=components,
        status=status,
        parameter_format="NAMED" if named else "POSITIONAL",
        quality="GREEN" if status == "APPROVED" else "RED",
    )
