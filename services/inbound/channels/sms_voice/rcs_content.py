"""Inbound RCS content other than text. It is JSON in the body, and a user can type JSON as text: only an object with a
documented ``type`` or ``mediaStatus`` is read as such. Source: AWS, *RCS inbound messages*, *RCS inbound media*, *RCS
events*."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from libs.common.errors import Malformed
from libs.messaging.content import Choosing, Content, File, Media, Raw
from services.inbound.channels.sms_voice.members import RCS_MEDIA, RCS_SUGGESTION
from services.inbound.parsing.fields import Json, optional, parsed
from services.inbound.parsing.members import unknown

MediaType = Literal["image", "video", "audio", "document", "sticker"]
#: Types whose JSON is not documented, or that we do not use: kept unchanged.
_RAW = frozenset({"LOCATION"})
_NOTICES = {"RCS_TYPING": "typing", "CONVERSATION_STARTED": "conversation_started"}
_MEDIA_STATUSES = frozenset({"SUCCESS", "UPLOAD_FAILED", "ROLE_ASSUME_FAILED"})


@dataclass(frozen=True)
class Notice:
    """Not a message: the contact is typing, or a billed conversation began."""

    kind: str
    details: dict[str, Any]


@dataclass(frozen=True)
class Unsubscribe:
    """The contact unsubscribed in the messaging app. (AWS mentions it; its JSON is not documented.)"""

    details: dict[str, Any]


def structured(body: Any) -> Content | Notice | Unsubscribe | None:
    """Returns the structured content of the body, or None if it is text."""
    value = _an_object(body)
    if value is None:
        return None
    kind, status = optional(value, "type"), optional(value, "mediaStatus")
    if status in _MEDIA_STATUSES:
        return _media(value)
    if kind is None:
        return None
    if kind in _NOTICES:
        return Notice(_NOTICES[kind], {name: each for name, each in value.items() if name != "type"})
    if kind == "UNSUBSCRIBE":
        return Unsubscribe(value)
    if kind == "SUGGESTION":
        return _suggestion(value)
    return Raw(type=kind.lower(), raw=value) if kind in _RAW else None


def extra_members_in(body: Any) -> Json:
    """Returns the unknown members of a structured body; none for a body that is kept whole."""
    value = _an_object(body) or {}
    known = RCS_SUGGESTION if optional(value, "type") == "SUGGESTION" else None
    known = RCS_MEDIA if optional(value, "mediaStatus") in _MEDIA_STATUSES else known
    return unknown(value, known, "messageBody") if known else {}


def _an_object(body: Any) -> Json | None:
    if not isinstance(body, str) or not body.lstrip().startswith("{"):
        return None
    try:
        return parsed(body, "messageBody")
    except Malformed:
        return None


def _suggestion(value: Json) -> Content:
    """A tapped suggestion of ours; ``postbackData`` is the value that we sent."""
    try:
        return Choosing(id=value["postbackData"], title=value["text"])
    except (KeyError, ValidationError):
        return Raw(type="suggestion", raw=value)


def _media(value: Json) -> Content:
    """A file that AWS stored in our bucket, or failed to store."""
    try:
        if value["mediaStatus"] != "SUCCESS":
            raise KeyError("s3Key")
        file = File(
            url=f"s3://{value['s3Bucket']}/{value['s3Key']}",
            content_type=value.get("mimeType"),
            filename=value.get("fileName"),
        )
        return Media(media_type=_media_type(value.get("mimeType")), file=file)
    except (KeyError, ValidationError):
        return Raw(type="media", raw=value)


def _media_type(content_type: Any) -> MediaType:
    kinds: dict[str, MediaType] = {"image": "image", "video": "video", "audio": "audio"}
    return kinds.get(str(content_type).partition("/")[0].lower(), "document")
