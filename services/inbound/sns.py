"""Verifies that a message at a public HTTP endpoint is from Amazon SNS. Everything but :class:`Certificates` is pure.

Source: *Amazon SNS developer guide*, "Verifying the signatures of Amazon SNS messages". No content of a message is
trusted, and no URL in it is opened, before its topic is a configured one and its certificate's URL is one of SNS
itself. The subscription URL is never opened.
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
#: The signed fields, in this order; ``Subject`` only if present. Message attributes are not signed.
_SIGNED: dict[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: dict[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}
#: SNS retries for an hour at most (its delivery policies); an older message may be a replay.
MAX_AGE = timedelta(hours=1)
FETCH_TIMEOUT_SECONDS = 5.0
MAX_CERTIFICATE_BYTES = 16 * 1024
MAX_CERTIFICATES = 32


class NotFromSns(Exception):
    """Refused; the text names the failed check, without a value of the message."""


@dataclass(frozen=True)
class SnsMessage:
    """A message whose format, topic and time are valid; its signature is not checked yet."""

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
    """Parses the message and checks format, topic and time; :class:`Certificates` checks the certificate's URL. Raises
    NotFromSns."""
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
    """Whether the URL is an https URL of SNS in the topic's region, without user, port, query or anything else that two
    parsers could read differently."""
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
    """Raises NotFromSns unless the certificate's key signed the message with the stated algorithm."""
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
    """Fetches certificates; nothing else does. Only URLs of SNS, no redirects, with a limit in seconds and bytes, and
    each once."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._known: LRUCache[str, bytes] = LRUCache(MAX_CERTIFICATES)

    async def of(self, message: SnsMessage) -> bytes:
        """Returns the certificate. Raises NotFromSns for a permanent failure, ConnectionError for a transient one."""
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
