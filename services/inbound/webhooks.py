"""Helpers of the public HTTP routes: refusals, comparison of secrets, HTML pages."""

from __future__ import annotations

import hmac
import json
from email import message_from_bytes
from email.policy import HTTP
from html import escape
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.common.errors import Problem
from libs.common.hosts.http.strict_json import check

ONE_CLICK = ("List-Unsubscribe", "One-Click")
#: The page runs and loads nothing, submits only to us, and sends no referrer.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}}
button{{font:inherit;padding:.6rem 1.2rem;cursor:pointer}}</style></head>
<body><h1>{title}</h1><p>{text}</p>{form}</body></html>
"""
_FORM = """<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">
<button type="submit">Unsubscribe</button></form>"""


def refused(detail: str) -> Problem:
    """The answer to a caller that failed verification."""
    return Problem(403, "SIGNATURE_INVALID", "This is not signed by who may send it", detail)


def same(given: str, expected: str) -> bool:
    """Compares in constant time; False for an empty or blank secret."""
    return bool(expected.strip()) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def json_of(body: bytes) -> Any:
    """Parses a signed body. Raises Problem for JSON that is ambiguous or exceeds the limits."""
    check(body)
    return json.loads(body)


async def asks_one_click(request: Request) -> bool:
    """Whether the form has ``List-Unsubscribe=One-Click``, in either of the encodings of RFC 8058."""
    body, kind = await request.body(), request.headers.get("content-type", "")
    if kind.lower().startswith("multipart/form-data"):
        head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
        form = message_from_bytes(head + body, policy=HTTP)
        given = [
            (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
            for part in form.walk()
            if not part.is_multipart()
        ]
        return any(name == ONE_CLICK[0] and _word(value) == ONE_CLICK[1] for name, value in given)
    try:
        fields = parse_qs(body.decode(), max_num_fields=20)
    except ValueError:
        return False
    return [value.strip() for value in fields.get(ONE_CLICK[0], [])] == [ONE_CLICK[1]]


def _word(value: object) -> str:
    return value.decode("ascii", "replace").strip() if isinstance(value, bytes) else ""


def page(title: str, text: str, *, asks: bool = False, status: int = 200) -> HTMLResponse:
    """Returns an HTML page; ``asks`` shows the button."""
    html = _PAGE.format(title=escape(title), text=escape(text), form=_FORM if asks else "")
    return HTMLResponse(html, status_code=status, headers=_PAGE_HEADERS)
