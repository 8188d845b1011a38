"""Fast form encoding of SNS requests.

botocore encodes a form twice per request (to sign it and to send it) with urllib, character by character; with ten
messages per PublishBatch that was half of the simulator's CPU time. `encode_body` gives botocore the encoded bytes.
"""

from __future__ import annotations

import string
from typing import Any
from urllib.parse import quote_plus

_SAFE = string.ascii_letters + string.digits + "_.-~ %"
_UNSAFE = [(c, f"%{ord(c):02X}") for c in map(chr, range(128)) if c not in _SAFE]


def quote_form(text: str) -> str:
    """The same as `urllib.parse.quote_plus(text)`; fast for ASCII, which all our JSON is."""
    if not text.isascii():
        return quote_plus(text)
    text = text.replace("%", "%25")
    for char, escape in _UNSAFE:
        if char in text:
            text = text.replace(char, escape)
    return text.replace(" ", "+")


def encode_body(params: dict[str, Any], **_: Any) -> None:
    """Handler for botocore's `before-call.sns` event."""
    body = params.get("body")
    if isinstance(body, dict):
        params["body"] = "&".join(f"{quote_form(str(k))}={quote_form(str(v))}" for k, v in body.items()).encode()
