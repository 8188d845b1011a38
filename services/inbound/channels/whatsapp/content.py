"""Translates inbound WhatsApp content to our content kinds. Source: Meta, *Messages webhook reference* (July 2026).

Content that fits none of the kinds is kept raw, so that no customer's message is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, cast

from pydantic import ValidationError

from libs.messaging.content import Choosing, Contacts, Content, File, Location, Media, Raw, Reaction, Text
from services.inbound.parsing.fields import Json

MediaType = Literal["image", "video", "audio", "document", "sticker"]


def content_of(message: Json, kind: str) -> Content:
    """Returns the content of one element of ``messages[]``, whose ``type`` is ``kind``."""
    translate = _KINDS.get(kind)
    if translate is not None:
        try:
            return translate(message, kind)
        except (KeyError, TypeError, ValueError, AttributeError, ValidationError):
            pass
    return Raw(type=kind, raw=_own(message, kind))


def _own(message: Json, kind: str) -> Json:
    """Returns the part that belongs to the kind, and its errors; without the envelope, which has the sender."""
    return {name: message[name] for name in (kind, "errors") if name in message}


def _text(message: Json, kind: str) -> Content:
    return Text(body=message["text"]["body"])


def _media(message: Json, kind: str) -> Content:
    """Keeps the id: Meta's ``url``, where given, needs its token and expires within minutes."""
    part = message[kind]
    file = File(provider_id=part["id"], content_type=part.get("mime_type"), filename=part.get("filename"))
    media_type = "audio" if kind == "voice" else cast(MediaType, kind)
    return Media(media_type=media_type, file=file, caption=part.get("caption"))


def _location(message: Json, kind: str) -> Content:
    part = message["location"]
    return Location(
        latitude=part["latitude"], longitude=part["longitude"], name=part.get("name"), address=part.get("address")
    )


def _contacts(message: Json, kind: str) -> Content:
    return Contacts(contacts=message["contacts"])


def _reaction(message: Json, kind: str) -> Content:
    """A reaction without an emoji means that it was removed."""
    part = message["reaction"]
    return Reaction(message_id=part["message_id"], emoji=part.get("emoji") or "")


def _button(message: Json, kind: str) -> Content:
    """A quick reply of a template."""
    part = message["button"]
    return Choosing(id=part.get("payload") or part["text"], title=part["text"])


def _interactive(message: Json, kind: str) -> Content:
    part = message["interactive"]
    chosen = part[part["type"]]
    if part["type"] == "nfm_reply":
        return Choosing(id=chosen["name"], title=chosen.get("body") or chosen["name"], data=_form(chosen))
    if part["type"] not in ("button_reply", "list_reply"):
        raise ValueError(part["type"])
    data: dict[str, Any] = {"description": chosen["description"]} if chosen.get("description") else {}
    return Choosing(id=chosen["id"], title=chosen["title"], data=data)


def _form(reply: Json) -> dict[str, Any]:
    """The values of a submitted flow: JSON in a string."""
    filled = json.loads(reply["response_json"])
    return filled if isinstance(filled, dict) else {"response": filled}


_KINDS: dict[str, Callable[[Json, str], Content]] = {
    "text": _text,
    "image": _media,
    "video": _media,
    "audio": _media,
    "voice": _media,
    "document": _media,
    "sticker": _media,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "button": _button,
    "interactive": _interactive,
}
