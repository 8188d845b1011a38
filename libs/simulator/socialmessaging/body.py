"""Meta's message body: the format of `SendWhatsAppMessage.message` (facts 2.2).

A body that Meta would refuse at once is refused here with InvalidParametersException. Which AWS exception each
synchronous Meta error becomes is not verified; the Meta code is kept in the text, as `(#131009) ...`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from libs.simulator.errors import ProviderError
from libs.simulator.socialmessaging.fields import INVALID, MISSING, UNSUPPORTED, media_ref, member, refuse, text
from libs.simulator.socialmessaging.interactive import check_interactive

CALLBACK_DATA_MAX = 512
E164 = re.compile(r"\+[1-9]\d{6,14}")
BSUID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


@dataclass(frozen=True, slots=True)
class Body:
    """A checked message: `to` is E.164 or None when `recipient` (a business-scoped user id) is used."""

    kind: str
    to: str | None
    recipient: str | None
    callback_data: str | None
    json: dict[str, Any]


def invalid_number() -> ProviderError:
    return ProviderError("InvalidParametersException", "Invalid destination phone number or message Id")


def decode(data: bytes) -> dict[str, Any]:
    """The blob of the request as a JSON object."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderError("InvalidParametersException", "message is not valid JSON") from error
    if not isinstance(value, dict):
        raise ProviderError("InvalidParametersException", "message must be a JSON object")
    return value


def check(body: dict[str, Any]) -> Body:
    """Validate a message body; raises InvalidParametersException."""
    if body.get("messaging_product") != "whatsapp":
        raise refuse(MISSING, "messaging_product must be whatsapp")
    callback = body.get("biz_opaque_callback_data")
    if callback is not None:
        text(body, "biz_opaque_callback_data", CALLBACK_DATA_MAX)
    if "status" in body:
        return _mark_read(body)
    to, recipient = _destination(body)
    kind = body.get("type", "text")
    checker = _CHECKERS.get(kind) if isinstance(kind, str) else None
    if checker is None:
        raise refuse(UNSUPPORTED, f"type must be one of {', '.join(_CHECKERS)}")
    if kind not in body:
        raise refuse(MISSING, kind)
    if body.get("context") is not None:
        text(member(body, "context"), "message_id", 256, "context.message_id")
    checker(body)
    return Body(kind, to, recipient, callback, body)


def _mark_read(body: dict[str, Any]) -> Body:
    if body["status"] != "read":
        raise refuse(INVALID, "status must be read")
    message_id = text(body, "message_id", 256)
    if not message_id.startswith("wamid."):
        raise invalid_number()
    indicator = body.get("typing_indicator")
    if indicator is not None and (not isinstance(indicator, dict) or indicator.get("type") != "text"):
        raise refuse(INVALID, "typing_indicator.type must be text")
    return Body("mark_read", None, None, None, body)


def _destination(body: dict[str, Any]) -> tuple[str | None, str | None]:
    """`to` wins over `recipient` when both are given."""
    if body.get("recipient_type", "individual") not in ("individual", "group"):
        raise refuse(INVALID, "recipient_type must be individual or group")
    to, recipient = body.get("to"), body.get("recipient")
    if to is not None:
        if not isinstance(to, str) or not E164.fullmatch(to):
            raise invalid_number()
        return to, None
    if recipient is None:
        raise refuse(MISSING, "to")
    if not isinstance(recipient, str) or not BSUID.fullmatch(recipient):
        raise refuse(INVALID, "recipient must be a business-scoped user id")
    return None, recipient


def _text(body: dict[str, Any]) -> None:
    content = member(body, "text")
    text(content, "body", 4096, "text.body")
    if not isinstance(content.get("preview_url", False), bool):
        raise refuse(INVALID, "text.preview_url must be true or false")


def _media(kind: str, caption: bool) -> Callable[[dict[str, Any]], None]:
    def check_media(body: dict[str, Any]) -> None:
        content = member(body, kind)
        media_ref(content, kind)
        if not caption and "caption" in content:
            raise refuse(INVALID, f"{kind}.caption is not allowed")
        text(content, "caption", 1024, f"{kind}.caption", required=False)
        text(content, "filename", 240, f"{kind}.filename", required=False)

    return check_media


def coordinates(content: dict[str, Any], path: str) -> None:
    for name, limit in (("latitude", 90), ("longitude", 180)):
        value = content.get(name)
        try:
            number = float(value) if not isinstance(value, bool) else float("nan")  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise refuse(MISSING if value is None else INVALID, f"{path}.{name}") from error
        if not -limit <= number <= limit:
            raise refuse(INVALID, f"{path}.{name} must be from -{limit} to {limit}")


def _location(body: dict[str, Any]) -> None:
    content = member(body, "location")
    coordinates(content, "location")
    text(content, "name", 1000, "location.name", required=False)
    text(content, "address", 1000, "location.address", required=False)


def _contacts(body: dict[str, Any]) -> None:
    people = body["contacts"]
    if not isinstance(people, list) or not people or len(people) > 257:
        raise refuse(INVALID, "contacts must be a list of 1 to 257")
    for i, person in enumerate(people):
        if not isinstance(person, dict):
            raise refuse(INVALID, f"contacts[{i}] must be an object")
        name = member(person, "name", f"contacts[{i}].name")
        text(name, "formatted_name", 1000, f"contacts[{i}].name.formatted_name")
        if not re.fullmatch(r"(\d{4}-\d{2}-\d{2})?", text(person, "birthday", 10, required=False)):
            raise refuse(INVALID, f"contacts[{i}].birthday must be YYYY-MM-DD")


def _reaction(body: dict[str, Any]) -> None:
    content = member(body, "reaction")
    text(content, "message_id", 256, "reaction.message_id")
    if not isinstance(content.get("emoji"), str) or len(content["emoji"]) > 32:
        raise refuse(MISSING, "reaction.emoji (empty removes the reaction)")


def _template(body: dict[str, Any]) -> None:
    content = member(body, "template")
    text(content, "name", 512, "template.name")
    text(member(content, "language", "template.language"), "code", 16, "template.language.code")
    components = content.get("components", [])
    if not isinstance(components, list) or not all(isinstance(c, dict) for c in components):
        raise refuse(INVALID, "template.components must be a list of objects")
    for i, component in enumerate(components):
        if str(component.get("type", "")).lower() not in (
            "header",
            "body",
            "footer",
            "button",
            "carousel",
            "limited_time_offer",
        ):
            raise refuse(INVALID, f"template.components[{i}].type")
        parameters = component.get("parameters", [])
        if not isinstance(parameters, list) or not all(isinstance(p, dict) for p in parameters):
            raise refuse(INVALID, f"template.components[{i}].parameters must be a list of objects")


def _interactive(body: dict[str, Any]) -> None:
    check_interactive(member(body, "interactive"))


_CHECKERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "text": _text,
    "image": _media("image", caption=True),
    "video": _media("video", caption=True),
    "audio": _media("audio", caption=False),
    "document": _media("document", caption=True),
    "sticker": _media("sticker", caption=False),
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "interactive": _interactive,
    "template": _template,
}
