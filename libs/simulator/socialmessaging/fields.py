"""Reads members of a Meta message body; every error has Meta's code and the path of the member."""

from __future__ import annotations

import re
from typing import Any

from libs.simulator.errors import ProviderError

MISSING, INVALID, UNSUPPORTED = 131008, 131009, 131051


def refuse(code: int, details: str) -> ProviderError:
    titles = {MISSING: "Required parameter is missing", UNSUPPORTED: "Unsupported message type"}
    title = titles.get(code, "Parameter value is not valid")
    return ProviderError("InvalidParametersException", f"(#{code}) {title}: {details}")


def member(parent: dict[str, Any], name: str, path: str = "") -> dict[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise refuse(MISSING if value is None else INVALID, f"{path or name} must be an object")
    return value


def text(parent: dict[str, Any], name: str, maximum: int, path: str = "", required: bool = True) -> str:
    """A string member of at most `maximum` characters; an optional one that is missing reads as ""."""
    value = parent.get(name)
    if value is None and not required:
        return ""
    if value is None or (required and value == ""):
        raise refuse(MISSING, path or name)
    if not isinstance(value, str):
        raise refuse(INVALID, f"{path or name} must be a string")
    if len(value) > maximum:
        raise refuse(INVALID, f"{path or name} must be at most {maximum} characters long")
    return value


def media_ref(content: dict[str, Any], path: str) -> None:
    """Exactly one of `id` and `link`; a link must be http(s)."""
    if ("id" in content) == ("link" in content):
        raise refuse(MISSING, f"{path} needs exactly one of id and link")
    if "id" in content:
        text(content, "id", 256, f"{path}.id")
    elif not re.match(r"https?://[^\s/]+", text(content, "link", 2048, f"{path}.link")):
        raise refuse(INVALID, f"{path}.link must be an http or https URL")
