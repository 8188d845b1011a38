"""The signed token in a one-click unsubscribe link (RFC 8058): it contains the contact, the channel and the message.
Pure.

``base64url(fields) "." base64url(HMAC-SHA256)``. A token never expires, because the mail it is in does not. The secret
holds one or more keys, separated by spaces: the first signs, each verifies, so keys can be rotated by putting a new one
first.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass

from libs.messaging.channels import Channel

#: The service ``inbound``, which has the endpoint, owns this secret; the e-mail sender shares it.
SECRET = "unsubscribe-keys"  # noqa: S105 - its name
OWNER = "inbound"
#: Longer tokens are rejected unread.
MAX_TOKEN_LENGTH = 600
_PURPOSE = b"unsubscribe.v1\n"
_BETWEEN = "\x1f"


@dataclass(frozen=True)
class Subscription:
    """The fields of a token."""

    contact_id: str
    channel: Channel
    message_id: str


def token(secret: str, of: Subscription) -> str:
    """Returns the signed token. Raises ValueError without a key."""
    fields = _BETWEEN.join((of.contact_id, of.channel, of.message_id)).encode()
    return f"{_text(fields)}.{_text(_mac(_keys(secret)[0], fields))}"


def read(secret: str, text: str) -> Subscription | None:
    """Returns the fields of the token, or None if its signature or format is not valid."""
    head, _, tail = text.partition(".")
    if len(text) > MAX_TOKEN_LENGTH or not text.isascii():
        return None
    try:
        fields, mac = _bytes(head), _bytes(tail)
    except (Error, ValueError):
        return None
    # Tries every key, so that the time taken does not reveal which key matched.
    if not any([hmac.compare_digest(_mac(key, fields), mac) for key in _keys(secret)]):
        return None
    contact_id, channel, message_id = fields.decode().split(_BETWEEN)
    return Subscription(contact_id, Channel(channel), message_id)


def link(public_url: str, secret: str, of: Subscription) -> str:
    """Returns the unsubscribe URL; GET shows a page, POST unsubscribes."""
    return f"{public_url.rstrip('/')}/u/{token(secret, of)}"


def _keys(secret: str) -> list[bytes]:
    keys = [key.encode() for key in secret.split()]
    if not keys:
        raise ValueError(f"the secret {SECRET} holds no key")
    return keys


def _mac(key: bytes, fields: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + fields, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
