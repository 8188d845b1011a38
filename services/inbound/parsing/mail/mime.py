"""Parses a received e-mail with Python's own MIME library: subject, text, HTML, list of attachments. Pure.

The input is untrusted: whatever is too deep, too large or malformed is truncated, replaced or kept as ``raw``. It never
raises an error that would lose the message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from typing import Any

from libs.messaging.content import MAX_EMAIL_BYTES, Content, Email, File, Raw
from libs.messaging.mime import parsed, parts_of
from services.inbound.parsing.mail.html import text_of

#: Maximum of the text and of the HTML; both together fit an event.
MAX_PART_LENGTH = MAX_EMAIL_BYTES // 2
MAX_SUBJECT_LENGTH = 998
MAX_ATTACHMENTS = 20
NO_SUBJECT = "(no subject)"
#: Headers that mark automatic answers and list mail.
_REPORTED_HEADERS = ("auto-submitted", "precedence", "list-id", "x-auto-response-suppress")
#: Headers that are read; a mail may have thousands of others.
_WANTED = frozenset({"subject", "from", "message-id", "in-reply-to", "references", *_REPORTED_HEADERS})
#: Python codecs that are no character sets of mail and take quadratic time.
_NO_CHARSETS = frozenset({"idna", "punycode"})


@dataclass(frozen=True)
class Mime:
    """A parsed mail. ``details``: what was truncated, and the headers that mark automatic mail."""

    content: Content
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """Returns a header by its lower-case name, on one line."""
        return self.headers.get(name)


def read(raw: bytes) -> Mime:
    """Parses a mail. Never raises."""
    try:
        message = parsed(raw)
        headers = _headers(message)
        content, details = _content(message, headers)
    except RecursionError:
        return unreadable("nested too deeply")
    except MemoryError:
        return unreadable("reading it takes too much memory")
    except Exception as error:
        return unreadable(f"the library fails at it ({type(error).__name__})")
    reported_headers = {name: headers[name] for name in _REPORTED_HEADERS if name in headers}
    return Mime(content, {**details, **({"headers": reported_headers} if reported_headers else {})}, headers)


def unreadable(why: str) -> Mime:
    """Returns raw content for a mail that cannot be parsed: only the provider's metadata is used; the mail itself is
    stored."""
    return Mime(Raw(type="email", raw={"unreadable": why}))


def _content(message: EmailMessage, headers: dict[str, str]) -> tuple[Content, dict[str, Any]]:
    parts = parts_of(message)
    texts: list[str] = []
    htmls: list[str] = []
    files: list[File] = []
    for n, part in enumerate(parts):
        kind, shown = _type(part), _disposition(part) != "attachment"
        if shown and kind == "text/plain" and not texts:
            texts.append(_text(part))
        elif shown and kind == "text/html" and not htmls:
            htmls.append(_text(part))
        elif shown and kind in ("text/plain", "text/html") and not _filename(part):
            continue  # an alternative of the same text, or the footer of a mailing list
        else:
            files.append(File(provider_id=f"part-{n}", content_type=kind, filename=_filename(part)))
    html = htmls[0] if htmls else None
    text = texts[0] if texts else (text_of(html) if html else None)
    details: dict[str, Any] = {}
    if len(files) > MAX_ATTACHMENTS:
        details["attachments"] = len(files)
    if any(part and len(part.encode()) > MAX_PART_LENGTH for part in (text, html)):
        details["cut"] = True
    email = Email(
        subject=headers.get("subject", "")[:MAX_SUBJECT_LENGTH] or NO_SUBJECT,
        text=_cut(text),
        html=_cut(html),
        attachments=files[:MAX_ATTACHMENTS],
    )
    return email, details


def _headers(message: EmailMessage) -> dict[str, str]:
    """Returns the first value of each header that is read, on one line, in encodable characters. A malformed header
    that the library cannot parse is returned unparsed."""
    found: dict[str, str] = {}
    for name, given in message.raw_items():
        if name.lower() not in _WANTED or name.lower() in found:
            continue
        try:
            value = str(message.policy.header_fetch_parse(name, str(given)))
        except Exception:
            value = str(given)
        found[name.lower()] = " ".join(_writable(value).split())
    return found


def _text(part: Message) -> str:
    try:
        data = part.get_payload(decode=True)
        charset = part.get_content_charset("utf-8")
    except Exception:
        data, charset = str(part.get_payload()).encode("utf-8", "replace"), "utf-8"
    whole = data if isinstance(data, bytes) else b""
    try:
        text = whole.decode("utf-8" if charset in _NO_CHARSETS else charset, "replace")
    except (LookupError, ValueError):
        text = whole.decode("utf-8", "replace")
    return _writable(text).replace("\r\n", "\n").replace("\x00", "").rstrip("\n")


def _type(part: Message) -> str:
    try:
        return str(part.get_content_type())[:127]
    except Exception:
        return "application/octet-stream"


def _disposition(part: Message) -> str:
    try:
        return (part.get_content_disposition() or "").lower()
    except Exception:
        return "attachment"


def _filename(part: Message) -> str | None:
    """Returns the file name without a path, in printable characters."""
    try:
        name = part.get_filename() or ""
    except Exception:
        return None
    plain = "".join(c for c in _writable(name) if c.isprintable()).replace("\\", "/").rpartition("/")[2]
    return plain.strip(". ")[:255] or None


def _cut(text: str | None) -> str | None:
    """Truncates to at most MAX_PART_LENGTH bytes, at a character boundary."""
    if text is None:
        return None
    return text.encode()[:MAX_PART_LENGTH].decode("utf-8", "ignore")


def _writable(text: str) -> str:
    """Replaces characters that cannot be encoded by question marks."""
    return text.encode("utf-8", "replace").decode()
