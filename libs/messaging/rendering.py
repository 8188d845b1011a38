"""Renders templates of the channels whose messages the platform writes itself: ``{{name}}`` in a text, a subject, an
HTML part or speech. One pass, with only a name between the braces: a value that looks like a template, markup or a
header is inserted as text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from urllib.parse import urlsplit

from libs.messaging.checks import Refusal
from libs.messaging.content import Email, Rich, Speech, Text
from libs.messaging.errors import ErrorCode
from libs.messaging.templates import TemplateState

VARIABLE = re.compile(r"\{\{\s*([a-z0-9_]{1,64})\s*\}\}")
#: Anything that looks like an intended variable.
BRACES = re.compile(r"\{\{|\}\}")
#: A variable at the beginning of a URL determines its target.
_ADDRESS = re.compile(r"""(?i)\b(?:href|src)\s*=\s*["']\s*$""")
_SAFE_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")

#: AWS limits a fallback SMS to this many characters.
MAX_FALLBACK_LENGTH = 1600
Rendered = Text | Email | Speech | Rich


class Unfit(Exception):
    """Invalid values; ``refusal`` names them."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


def variables(*texts: str | None) -> tuple[str, ...]:
    """Returns the distinct variables of these texts in order of appearance."""
    return tuple(dict.fromkeys(name for text in texts if text for name in VARIABLE.findall(text)))


def rendered(state: TemplateState, values: Mapping[str, str]) -> Rendered:
    """Renders a template. The values are complete (see :func:`libs.messaging.templates.template_refusal`). Raises
    Unfit."""
    text = _filled(state.body or "", values, html.escape if state.ssml else str)
    traits = state.channel.traits
    longest = traits.templates.max_text_length
    if traits.text_content != "email" and not 1 <= len(text) <= longest:
        raise Unfit(Refusal(ErrorCode.INVALID_CONTENT, f"It comes to {len(text)} characters; 1 to {longest} can go."))
    subject = _filled(state.subject or "", values, one_line)[:998].strip()
    return as_content(state, text, subject, html_filled(state.html, values) if state.html else None)


def as_content(state: TemplateState, text: str, subject: str | None, html_part: str | None) -> Rendered:
    """Returns these texts as the content type of the template's channel."""
    match state.channel.traits.text_content:
        case "email":
            return Email(subject=subject or "-", text=text or None, html=html_part)
        case "speech":
            spoken = Speech(text=text, ssml=state.ssml)
            return spoken.model_copy(update={"voice": state.voice}) if state.voice else spoken
        case "rich":
            return Rich(text=text, fallback_text=text if len(text) <= MAX_FALLBACK_LENGTH else None)
    return Text(body=text)


def html_filled(text: str, values: Mapping[str, str]) -> str:
    """Fills variables into HTML: escapes the values, and allows only safe schemes for a value that begins a URL. Raises
    Unfit."""

    def value(found: re.Match[str]) -> str:
        given = values.get(found.group(1), "")
        if _ADDRESS.search(text[: found.start()]) and not _safe_address(given):
            detail = f"{found.group(1)} is an address there: it must begin with https://, http://, mailto: or tel:."
            raise Unfit(Refusal(ErrorCode.VARIABLES_INCOMPLETE, detail))
        return html.escape(given)

    return VARIABLE.sub(value, text)


def _safe_address(value: str) -> bool:
    try:
        return urlsplit(value).scheme.lower() in _SAFE_SCHEMES
    except ValueError:
        return False


def one_line(value: str) -> str:
    """Returns the value for a header: replaces control characters and line breaks by spaces."""
    return _CONTROL.sub(" ", value)


def _filled(text: str, values: Mapping[str, str], made: Callable[[str], str]) -> str:
    return VARIABLE.sub(lambda found: made(values.get(found.group(1), "")), text)


def html_problem(text: str) -> str | None:
    """Returns where an HTML part has a variable at a position that no escaping makes safe; None if nowhere."""
    found = _Places()
    found.feed(VARIABLE.sub(_TOKEN, text))
    found.close()
    return found.problem


_TOKEN = "wecarevariable"  # noqa: S105 - placeholder for a variable while the HTML is parsed


class _Places(HTMLParser):
    problem: str | None = None
    _raw: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._raw = tag if tag in ("script", "style") else None
        for name, value in attrs:
            if _TOKEN in name or (_TOKEN in (value or "") and (name.startswith("on") or name in ("style", "srcdoc"))):
                self._note(f"in the attribute {name.replace(_TOKEN, '{{…}}')} of <{tag}>")
        if _TOKEN in tag or re.search(rf"=\s*[^\s\"'>]*{_TOKEN}", _quoted_away(self.get_starttag_text() or "")):
            self._note(f"in <{tag.replace(_TOKEN, '{{…}}')}> outside of quotes")

    def handle_endtag(self, tag: str) -> None:
        self._raw = None

    def handle_data(self, data: str) -> None:
        if self._raw and _TOKEN in data:
            self._note(f"inside <{self._raw}>")

    def handle_comment(self, data: str) -> None:
        if _TOKEN in data:
            self._note("inside a comment")

    def _note(self, where: str) -> None:
        self.problem = self.problem or f"A variable stands {where}; put it into the text or a quoted attribute."


def _quoted_away(tag: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'", '""', tag)
