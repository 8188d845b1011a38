"""WhatsApp's interactive messages: reply buttons, lists, a link button, a request for the location.

Limits (Meta, "Interactive messages"): button titles 20, at most 3; list button 20, 10 rows in all, row ids 200, row titles
24; section titles 24 and required where there are several; body 1024, header and footer 60 (held by the content itself).
"""

from __future__ import annotations

from typing import Any

from libs.messaging.content import Choice, Interactive
from libs.messaging.errors import ErrorCode
from services.outbound.contract import Invalid

Json = dict[str, Any]
MAX_ROWS = 10


def interactive(content: Interactive) -> Json:
    """Returns the ``interactive`` object. Raises Invalid."""
    kind, action = _ACTIONS[content.style](content)
    value: Json = {"type": kind}
    if content.header and content.style != "location_request":
        value["header"] = {"type": "text", "text": content.header}
    value["body"] = {"text": content.body}
    if content.footer and content.style != "location_request":
        value["footer"] = {"text": content.footer}
    return {**value, "action": action}


def _buttons(content: Interactive) -> tuple[str, Json]:
    if not 1 <= len(content.buttons) <= 3:
        raise Invalid(ErrorCode.INVALID_CONTENT, "There must be 1 to 3 buttons.")
    _distinct(content.buttons, longest_id=256, longest_title=20)
    replies = [{"type": "reply", "reply": {"id": button.id, "title": button.title}} for button in content.buttons]
    return "button", {"buttons": replies}


def _list(content: Interactive) -> tuple[str, Json]:
    rows = [row for section in content.sections for row in section.rows]
    if not content.button:
        raise Invalid(ErrorCode.INVALID_CONTENT, "A list needs the text of its button.")
    if not 1 <= len(rows) <= MAX_ROWS:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"A list has 1 to {MAX_ROWS} rows in all.")
    if len(content.sections) > 1 and not all(section.title for section in content.sections):
        raise Invalid(ErrorCode.INVALID_CONTENT, "Each of several sections needs a title.")
    _distinct(rows, longest_id=200, longest_title=24)
    sections = []
    for section in content.sections:
        shown = [_row(row) for row in section.rows]
        sections.append({"title": section.title, "rows": shown} if section.title else {"rows": shown})
    return "list", {"button": content.button, "sections": sections}


def _row(row: Choice) -> Json:
    value = {"id": row.id, "title": row.title}
    return {**value, "description": row.description} if row.description else value


def _link(content: Interactive) -> tuple[str, Json]:
    if not content.button or not content.url:
        raise Invalid(ErrorCode.INVALID_CONTENT, "A link button needs its text and its url.")
    if not content.url.startswith(("https://", "http://")):
        raise Invalid(ErrorCode.INVALID_CONTENT, "A link button opens an http or https address.")
    return "cta_url", {"name": "cta_url", "parameters": {"display_text": content.button, "url": content.url}}


def _location_request(content: Interactive) -> tuple[str, Json]:
    return "location_request_message", {"name": "send_location"}


def _distinct(choices: list[Choice], longest_id: int, longest_title: int) -> None:
    if len({choice.id for choice in choices}) != len(choices):
        raise Invalid(ErrorCode.INVALID_CONTENT, "Two choices have the same id.")
    for choice in choices:
        if len(choice.id) > longest_id or len(choice.title) > longest_title:
            raise Invalid(
                ErrorCode.INVALID_CONTENT, f"Ids have up to {longest_id} characters here, titles up to {longest_title}."
            )


_ACTIONS = {"buttons": _buttons, "list": _list, "link": _link, "location_request": _location_request}
