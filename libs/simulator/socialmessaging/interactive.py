"""Interactive messages: buttons, lists, URL button, location request, flow (facts 2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from libs.simulator.socialmessaging.fields import INVALID, MISSING, UNSUPPORTED, media_ref, member, refuse, text

BODY_MAX = 1024
"""Sources disagree for lists (1024 or 4096); the smaller limit satisfies both."""


def check_interactive(content: dict[str, Any]) -> None:
    kind = content.get("type")
    checker = _ACTIONS.get(kind) if isinstance(kind, str) else None
    if checker is None:
        raise refuse(UNSUPPORTED, f"interactive.type must be one of {', '.join(_ACTIONS)}")
    text(member(content, "body", "interactive.body"), "text", BODY_MAX, "interactive.body.text")
    if content.get("footer") is not None:
        text(member(content, "footer", "interactive.footer"), "text", 60, "interactive.footer.text")
    if content.get("header") is not None:
        _header(member(content, "header", "interactive.header"), text_only=kind in ("list", "cta_url"))
    checker(member(content, "action", "interactive.action"))


def _header(header: dict[str, Any], text_only: bool) -> None:
    kind = header.get("type")
    if kind == "text":
        text(header, "text", 60, "interactive.header.text")
    elif not text_only and kind in ("image", "video", "document"):
        media_ref(member(header, str(kind), f"interactive.header.{kind}"), f"interactive.header.{kind}")
    else:
        raise refuse(INVALID, "interactive.header.type")


def _items(action: dict[str, Any], name: str, maximum: int) -> list[dict[str, Any]]:
    found = action.get(name)
    if not isinstance(found, list) or not 1 <= len(found) <= maximum or not all(isinstance(i, dict) for i in found):
        raise refuse(
            MISSING if found is None else INVALID, f"interactive.action.{name} must be a list of 1 to {maximum}"
        )
    return found


def _unique(values: list[str], what: str) -> None:
    if len(set(values)) != len(values):
        raise refuse(INVALID, f"{what} must be unique")


def _buttons(action: dict[str, Any]) -> None:
    ids, titles = [], []
    for button in _items(action, "buttons", 3):
        if button.get("type") != "reply":
            raise refuse(INVALID, "interactive.action.buttons[].type must be reply")
        reply = member(button, "reply", "interactive.action.buttons[].reply")
        ids.append(text(reply, "id", 256, "interactive.action.buttons[].reply.id"))
        titles.append(text(reply, "title", 20, "interactive.action.buttons[].reply.title"))
    _unique(ids, "button ids")
    _unique(titles, "button titles")


def _list(action: dict[str, Any]) -> None:
    text(action, "button", 20, "interactive.action.button")
    sections = _items(action, "sections", 10)
    ids = []
    for section in sections:
        text(section, "title", 24, "interactive.action.sections[].title", required=len(sections) > 1)
        for row in _items(section, "rows", 10):
            ids.append(text(row, "id", 200, "row id"))
            text(row, "title", 24, "row title")
            text(row, "description", 72, "row description", required=False)
    if len(ids) > 10:
        raise refuse(INVALID, "interactive.action.sections must have at most 10 rows in total")
    _unique(ids, "row ids")


def _named(action: dict[str, Any], name: str) -> dict[str, Any]:
    if action.get("name") != name:
        raise refuse(INVALID, f"interactive.action.name must be {name}")
    return action


def _cta_url(action: dict[str, Any]) -> None:
    parameters = member(_named(action, "cta_url"), "parameters", "interactive.action.parameters")
    text(parameters, "display_text", 20, "interactive.action.parameters.display_text")
    if not re.match(r"https?://", text(parameters, "url", 2000, "interactive.action.parameters.url")):
        raise refuse(INVALID, "interactive.action.parameters.url must be an http or https URL")


def _location_request(action: dict[str, Any]) -> None:
    _named(action, "send_location")


def _flow(action: dict[str, Any]) -> None:
    parameters = member(_named(action, "flow"), "parameters", "interactive.action.parameters")
    text(parameters, "flow_message_version", 8, "flow_message_version")
    text(parameters, "flow_cta", 30, "flow_cta")
    if ("flow_id" in parameters) == ("flow_name" in parameters):
        raise refuse(MISSING, "interactive.action.parameters needs exactly one of flow_id and flow_name")


_ACTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "button": _buttons,
    "list": _list,
    "cta_url": _cta_url,
    "location_request_message": _location_request,
    "flow": _flow,
}
