"""Whether a message that came to a public HTTP endpoint is from Amazon SNS. Everything but :class:`Certificates` is pure.

Source: *Amazon SNS developer guide*, "Verifying the signatures of Amazon SNS messages". Nothing of a message is believed, and
no address in it is opened, before its topic is one that we know and its certificate's address is one of SNS itself; the
address to subscribe at is never opened at all.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from cachetools import LRUCache
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

_HOST = re.compile(r"sns\.([a-z0-9-]{3,})\.amazonaws\.com(?:\.cn)?")
_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
#: What is signed, in this order; ``Subject`` only if it is there. All of it but the attributes.
_SIGNED: dict[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: dict[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}
#: SNS tries for an hour at most (its delivery policies); what is older was kept by somebody.
MAX_AGE = timedelta(hours=1)
FETCH_TIMEOUT_SECONDS = 5.0
MAX_CERTIFICATE_BYTES = 16 * 1024
MAX_CERTIFICATES = 32


class NotFromSns(Exception):
    """Refused; the text says which check failed, without a value of the message."""


@dataclass(frozen=True)
class SnsMessage:
    """A message whose form, topic and time are in order; its signature is still to be checked."""

    #: ``Notification``, ``SubscriptionConfirmation`` or ``UnsubscribeConfirmation``.
    kind: str
    fields: dict[str, str]

    @property
    def topic(self) -> str:
        return self.fields["TopicArn"]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.fields["Timestamp"])

    def signed(self) -> bytes:
        names = [name for name in _SIGNED[self.kind] if name in self.fields]
        return "".join(f"{name}\n{self.fields[name]}\n" for name in names).encode()


def understood(body: Any, topics: Collection[str], now: datetime) -> SnsMessage:
    """The message, if it can be one of ours; where its certificate lies is looked at by :class:`Certificates`. Raises NotFromSns."""
    if not isinstance(body, dict):
        raise NotFromSns("not an object")
    kind = body.get("Type")
    if not isinstance(kind, str) or kind not in _SIGNED:
        raise NotFromSns("Type is not known")
    names = {*_SIGNED[kind], "SignatureVersion", "Signature", "SigningCertURL"}
    fields = {name: body[name] for name in names if body.get(name) is not None}
    missing = sorted(names - fields.keys() - {"Subject"})
    if missing or not all(isinstance(value, str) for value in fields.values()):
        raise NotFromSns(f"missing or not text: {', '.join(missing) or 'a member'}")
    if fields["TopicArn"] not in topics:
        raise NotFromSns("TopicArn is not one that may come here")
    if fields["SignatureVersion"] not in _HASHES:
        raise NotFromSns("SignatureVersion is neither 1 nor 2")
    if not _fresh(fields["Timestamp"], now):
        raise NotFromSns("Timestamp is not of the last hour")
    return SnsMessage(kind, fields)


def _of_sns(url: str, topic: str) -> bool:
    """An https address at SNS itself in the region of the topic, without user, port, query or anything else that two readers could read differently."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = url == f"https://{parts.netloc}{parts.path}" and url.isascii()
    host = _HOST.fullmatch(parts.netloc)
    in_region = host is not None and topic.split(":")[3:4] == [host.group(1)]
    return plain and in_region and _PATH.fullmatch(parts.path) is not None


def _fresh(timestamp: str, now: datetime) -> bool:
    try:
        return abs(datetime.fromisoformat(timestamp) - now) <= MAX_AGE
    except (ValueError, TypeError):
        return False


def verify(message: SnsMessage, certificate: bytes) -> None:
    """Raises NotFromSns unless the certificate's key signed the message in the way that it names."""
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
        signature = b64decode(message.fields["Signature"], validate=True)
    except (ValueError, Error):
        raise NotFromSns("the certificate or the signature cannot be read") from None
    if not isinstance(key, RSAPublicKey):
        raise NotFromSns("the certificate's key is not RSA")
    try:
        key.verify(signature, message.signed(), PKCS1v15(), _HASHES[message.fields["SignatureVersion"]]())
    except InvalidSignature:
        raise NotFromSns("the signature is not right") from None


class Certificates:
    """The one entry point through which certificates are fetched: addresses of SNS, no redirects, so many seconds and bytes, and
    each once."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._known: LRUCache[str, bytes] = LRUCache(MAX_CERTIFICATES)

    async def of(self, message: SnsMessage) -> bytes:
        """Raises NotFromSns when it cannot be had, ConnectionError when that may be otherwise later."""
        url = message.fields["SigningCertURL"]
        if not _of_sns(url, message.topic):
            raise NotFromSns("SigningCertURL is not an address of SNS in the topic's region")
        if url not in self._known:
            self._known[url] = await self._fetched(url)
        return self._known[url]

    async def _fetched(self, url: str) -> bytes:
        found = bytearray()
        try:
            async with (
                httpx.AsyncClient(
                    transport=self._transport, timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=False
                ) as client,
                client.stream("GET", url) as answer,
            ):
                if answer.status_code >= 500:
                    raise ConnectionError(f"SNS's certificate: HTTP {answer.status_code}")
                if answer.status_code != 200:
                    raise NotFromSns("there is no certificate at SigningCertURL")
                async for chunk in answer.aiter_bytes():
                    found += chunk
                    if len(found) > MAX_CERTIFICATE_BYTES:
                        raise NotFromSns("what is at SigningCertURL is too long for a certificate")
        except httpx.HTTPError as error:
            raise ConnectionError(f"SNS's certificate: {type(error).__name__}") from None
        return bytes(found)
