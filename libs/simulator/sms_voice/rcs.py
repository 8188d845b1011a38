"""Rules for RCS messages that the model does not contain: documented values of its strings, fallback rules (facts 5.2)."""

from __future__ import annotations

from typing import Any

from libs.simulator.sms_voice.errors import invalid

ROOT = "RcsMessageContent.Content"


def check_rcs(params: dict[str, Any]) -> None:
    if "RcsMessageContent" not in params:
        raise invalid("MISSING_PARAMETER", "RcsMessageContent", "is required")
    content = params["RcsMessageContent"]["Content"]
    if "RichCard" in content:
        card = content["RichCard"]
        _among(card, "CardOrientation", ("HORIZONTAL", "VERTICAL"), f"{ROOT}.RichCard")
        _among(card, "ThumbnailImageAlignment", ("LEFT", "RIGHT"), f"{ROOT}.RichCard")
        _card(card["CardContent"], ("SHORT", "MEDIUM", "TALL"), f"{ROOT}.RichCard.CardContent")
    if "Carousel" in content:
        _among(content["Carousel"], "CardWidth", ("SMALL", "MEDIUM"), f"{ROOT}.Carousel")
        for card in content["Carousel"]["CardContents"]:
            _card(card, ("SHORT", "MEDIUM"), f"{ROOT}.Carousel.CardContents")
    for suggestion in params["RcsMessageContent"].get("Suggestions", ()):
        _suggestion(suggestion)
    if "FallbackConfiguration" in params:
        _fallback(params["FallbackConfiguration"])


def _among(found: dict[str, Any], name: str, allowed: tuple[str, ...], path: str) -> None:
    if name in found and found[name] not in allowed:
        raise invalid("INVALID_PARAMETER", f"{path}.{name}", f"must be one of {', '.join(allowed)}")


def _card(card: dict[str, Any], heights: tuple[str, ...], path: str) -> None:
    if not {"Title", "Description", "Media"} & set(card):
        raise invalid("MISSING_PARAMETER", path, "needs a title, a description or media")
    if "Media" in card:
        _among(card["Media"], "Height", heights, f"{path}.Media")
    for suggestion in card.get("Suggestions", ()):
        _suggestion(suggestion)


def _suggestion(suggestion: dict[str, Any]) -> None:
    opened = suggestion.get("OpenUrl")
    if opened is not None:
        _among(opened, "Application", ("BROWSER", "WEBVIEW"), "OpenUrl")
        _among(opened, "WebviewViewMode", ("FULL", "HALF", "TALL"), "OpenUrl")


def _fallback(fallback: dict[str, Any]) -> None:
    path = "FallbackConfiguration"
    _among(fallback, "Channel", ("SMS", "MMS"), path)
    if fallback["Channel"] == "SMS" and "MessageBody" not in fallback:
        raise invalid("MISSING_PARAMETER", f"{path}.MessageBody", "is required for SMS")
    if fallback["Channel"] == "MMS" and not {"MessageBody", "MediaUrls"} & set(fallback):
        raise invalid("MISSING_PARAMETER", f"{path}.MediaUrls", "media or a body is required for MMS")


def is_rich(params: dict[str, Any]) -> bool:
    """Billed as RICH: everything but a plain text of at most 160 characters."""
    content = (params.get("RcsMessageContent") or {}).get("Content") or {}
    return "TextMessage" not in content or len(content["TextMessage"]["Body"]) > 160
