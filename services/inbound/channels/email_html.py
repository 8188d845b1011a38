"""The words of an HTML mail, for those who read text: an opt-out is one in HTML too. Pure."""

from __future__ import annotations

from html.parser import HTMLParser

_HIDDEN = frozenset({"script", "style", "head", "title", "template"})
_BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote", "hr", "table", "ul", "ol"})
#: Lines of what is quoted get this mark, as in a text mail.
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
    """One line for each block, without the empty ones."""
    words = _Words()
    words.feed(html)
    words.close()
    return "\n".join(line.rstrip() for line in words.lines if line.strip())
