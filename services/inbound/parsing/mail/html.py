"""Extracts the text of an HTML mail, so that an opt-out in HTML is recognised. Pure.

The input is untrusted, and Python's parser takes quadratic time on unclosed markup. Therefore the markup is first
truncated and closed, in linear time.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

#: Characters that are read; the whole mail is stored.
MAX_HTML_CHARACTERS = 200_000
MAX_TAG_CHARACTERS = 4_000
#: A ``<`` without a ``>`` before the next ``<``; and markup that is no tag with text: declarations, instructions,
#: CDATA.
_OPEN = re.compile(r"<(?![^<>]*>)")
_DECLARATION = re.compile(r"<[!?][^<>]*>")
_LONG = re.compile(rf"<[^<>]{{{MAX_TAG_CHARACTERS},}}>")

_HIDDEN = frozenset({"script", "style", "head", "title", "template"})
_BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote", "hr", "table", "ul", "ol"})
#: Prefix of quoted lines, as in a text mail.
_QUOTED = "> "


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._hidden = 0
        self._quoted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN
        if tag in _BREAKS:
            self._new_line()
        self._quoted += tag == "blockquote"

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))
        self._quoted = max(0, self._quoted - (tag == "blockquote"))
        if tag in _BREAKS and tag != "br":
            self._new_line()

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        words = " ".join(data.split())
        if not words:
            return
        if not self.lines[-1] and self._quoted:
            self.lines[-1] = _QUOTED
        between = " " if self.lines[-1].strip() and data[:1].isspace() else ""
        self.lines[-1] += between + words + (" " if data[-1:].isspace() else "")

    def _new_line(self) -> None:
        self.lines.append("")


def text_of(html: str) -> str:
    """Returns one line per block, without empty lines."""
    words = _Words()
    words.feed(_whole(html[:MAX_HTML_CHARACTERS]))
    words.close()
    return "\n".join(line.rstrip() for line in words.lines if line.strip())


def _whole(html: str) -> str:
    """Returns the markup without comments and declarations; each ``<`` begins a tag that is closed."""
    kept: list[str] = []
    at = 0
    while (begins := html.find("<!--", at)) >= 0:
        kept.append(html[at:begins])
        ends = html.find("-->", begins + 4)
        if ends < 0:
            # An unclosed comment hides the rest, as in a browser.
            at = len(html)
            break
        at = ends + 3
    kept.append(html[at:])
    found = _OPEN.sub("&lt;", "".join(kept))
    return _LONG.sub(" ", _DECLARATION.sub("", found))
