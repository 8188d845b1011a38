"""Files, cards, carousels and suggestions of RCS.

Limits (model ``pinpoint-sms-voice-v2`` 2022-03-31): a carousel has 2 to 10 cards, a card up to 4 suggestions, a message 11;
texts of suggestions 25, postbacks 2,048, urls 2,000, labels and titles of events 100, their descriptions 500.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from libs.messaging.addresses import is_phone
from libs.messaging.content import Card, Rich, Suggestion
from libs.messaging.errors import ErrorCode
from services.outbound.contract import Invalid

Json = dict[str, Any]
MAX_CARDS, MAX_CARD_SUGGESTIONS = 10, 4
MAX_URL_LENGTH = 2000


def rich(content: Rich) -> Json:
    """Returns the ``Content`` of a file, a card or a carousel. Raises Invalid."""
    if content.file_url:
        return {"FileMessage": {"FileUrl": file_url(content.file_url, "fileUrl")}}
    if len(content.cards) == 1:
        card: Json = {"CardOrientation": content.orientation, "CardContent": _card(content.cards[0], "cards.0")}
        if content.orientation == "HORIZONTAL":
            card["ThumbnailImageAlignment"] = "LEFT"
        return {"RichCard": card}
    if len(content.cards) > MAX_CARDS:
        raise _wrong("cards", f"a carousel has 2 to {MAX_CARDS} cards")
    for n, each in enumerate(content.cards):
        if each.media_url and each.height == "TALL":
            raise _wrong(f"cards.{n}.height", "SHORT or MEDIUM in a carousel")
    cards = [_card(each, f"cards.{n}") for n, each in enumerate(content.cards)]
    return {"Carousel": {"CardWidth": content.width, "CardContents": cards}}


def _card(card: Card, where: str) -> Json:
    value: Json = {}
    if card.title:
        value["Title"] = card.title
    if card.description:
        value["Description"] = card.description
    if card.media_url:
        value["Media"] = {"FileUrl": file_url(card.media_url, f"{where}.mediaUrl"), "Height": card.height}
    if not value:
        raise _wrong(where, "a card needs a title, a description or media")
    if card.suggestions:
        value["Suggestions"] = suggestions(card.suggestions, MAX_CARD_SUGGESTIONS, f"{where}.suggestions")
    return value


def suggestions(given: Sequence[Suggestion], maximum: int, where: str) -> list[Json]:
    """Returns each suggestion as its member of the union. Raises Invalid."""
    if len(given) > maximum:
        raise _wrong(where, f"at most {maximum}")
    return [_suggestion(each, f"{where}.{n}") for n, each in enumerate(given)]


def _suggestion(given: Suggestion, where: str) -> Json:
    member, rule = _ACTIONS[given.action]
    reading = _Details(given.details, f"{where}.details")
    value = {"Text": given.text, "PostbackData": given.postback, **rule(reading)}
    reading.nothing_else()
    return {member: value}


class _Details:
    """The further members of an action, read one by one; unexpected members are refused."""

    def __init__(self, given: Json, where: str) -> None:
        self._left = dict(given)
        self._where = where

    def text(self, name: str, longest: int, *, required: bool = True) -> str | None:
        found = self._left.pop(name, None)
        if found is None and not required:
            return None
        if not isinstance(found, str) or not found.strip() or len(found) > longest:
            raise _wrong(f"{self._where}.{name}", f"text of up to {longest} characters")
        return found

    def one_of(self, name: str, words: tuple[str, ...]) -> str | None:
        found = self._left.pop(name, None)
        if found is None:
            return None
        if found not in words:
            raise _wrong(f"{self._where}.{name}", f"one of {', '.join(words)}")
        return str(found)

    def number(self, name: str, maximum: float) -> float:
        found = self._left.pop(name, None)
        if (
            isinstance(found, bool)
            or not isinstance(found, int | float)
            or not math.isfinite(found)
            or abs(found) > maximum
        ):
            raise _wrong(f"{self._where}.{name}", f"a number from {-maximum:g} to {maximum:g}")
        return float(found)

    def moment(self, name: str) -> str:
        found = self._left.pop(name, None)
        try:
            at = datetime.fromisoformat(found) if isinstance(found, str) else None
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            raise _wrong(f"{self._where}.{name}", "an ISO 8601 time with its zone")
        return at.isoformat()

    def phone(self, name: str) -> str:
        found = self._left.pop(name, None)
        if not isinstance(found, str) or not is_phone(found):
            raise _wrong(f"{self._where}.{name}", "a number such as +12025550100")
        return found

    def url(self, name: str) -> str:
        found = self._left.pop(name, None)
        if not isinstance(found, str) or not found.startswith("https://") or len(found) > MAX_URL_LENGTH:
            raise _wrong(f"{self._where}.{name}", f"an https address of up to {MAX_URL_LENGTH} characters")
        return found

    def nothing_else(self) -> None:
        if self._left:
            raise _wrong(f"{self._where}.{min(self._left)}", "not known for this action")


def _open_url(details: _Details) -> Json:
    application = details.one_of("application", ("BROWSER", "WEBVIEW"))
    mode = details.one_of("webviewViewMode", ("FULL", "HALF", "TALL"))
    return {"Url": details.url("url"), **_given(Application=application, WebviewViewMode=mode)}


def _show_location(details: _Details) -> Json:
    place = {"Latitude": details.number("latitude", 90), "Longitude": details.number("longitude", 180)}
    return {**place, **_given(Label=details.text("label", 100, required=False))}


def _calendar(details: _Details) -> Json:
    start, end = details.moment("startTime"), details.moment("endTime")
    if datetime.fromisoformat(end) <= datetime.fromisoformat(start):
        raise _wrong("details.endTime", "after startTime")
    event = {"Title": details.text("title", 100), "StartTime": start, "EndTime": end}
    return {**event, **_given(Description=details.text("description", 500, required=False))}


_ACTIONS: dict[str, tuple[str, Callable[[_Details], Json]]] = {
    "reply": ("Reply", lambda details: {}),
    "open_url": ("OpenUrl", _open_url),
    "dial": ("DialPhone", lambda details: {"PhoneNumber": details.phone("phoneNumber")}),
    "show_location": ("ShowLocation", _show_location),
    "request_location": ("RequestLocation", lambda details: {}),
    "calendar": ("CreateCalendarEvent", _calendar),
}


def file_url(url: str | None, where: str) -> str:
    """Returns the URL of a file that the service fetches: public over https, or in a bucket. Raises Invalid."""
    if not url or not url.startswith(("https://", "s3://")) or len(url) > MAX_URL_LENGTH:
        raise _wrong(where, f"an https or s3 address of up to {MAX_URL_LENGTH} characters")
    return url


def _given(**values: Any) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _wrong(where: str, what: str) -> Invalid:
    return Invalid(ErrorCode.INVALID_CONTENT, f"{where}: {what}.")
