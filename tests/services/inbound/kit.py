"""What the tests of the public entry points share: a world whose internet and SNS are in the test's hands."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SAMPLES = Path("tests/services/inbound/samples")
META = json.loads((SAMPLES / "meta.webhook.signature-fixture.json").read_text())
TOPIC = "arn:aws:sns:us-east-1:111122223333:whatsapp-events"
DELIVERY = Path("services/inbound/channels/cases/email/ses.event.Delivery.json").read_text()
#: When the samples were signed.
THEN = datetime(2026, 9, 1, 12, 0, 5, tzinfo=UTC)


def sample(name: str) -> dict[str, Any]:
    """The body as SNS posts it (a fixture holds what belongs to the test besides)."""
    found = json.loads((SAMPLES / f"sns.http.{name}.json").read_text())
    body: dict[str, Any] = found.get("body", found)
    return body


class Internet:
    """What the certificates' entry point sees of the world; counts who is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        recorded = json.loads((SAMPLES / "sns.http.test-certificate.json").read_text())
        self.answer = httpx.Response(200, content=recorded["certificatePem"].encode())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        return self.answer


class Sns:
    """The one operation of SNS's API that the entry point may call."""

    def __init__(self) -> None:
        self.calls: list[dict[str, str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.calls.append({name: values[0] for name, values in parse_qs(await request.text()).items()})
        text = (
            '<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ConfirmSubscriptionResult>'
            "<SubscriptionArn>arn</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
        )
        return web.Response(text=text, content_type="text/xml")


def own_certificate() -> tuple[rsa.RSAPrivateKey, httpx.Response]:
    """A key of the test's own, and what the internet says of it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(THEN)
        .not_valid_after(THEN + timedelta(days=1))
        .sign(key, SHA256())
    )
    return key, httpx.Response(200, content=certificate.public_bytes(Encoding.PEM))


def signed(key: rsa.RSAPrivateKey, body: dict[str, Any]) -> dict[str, Any]:
    """Signed as AWS documents it, written here a second time."""
    if body["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{body[name]}\n" for name in names if body.get(name) is not None)
    algorithm = SHA256() if body["SignatureVersion"] == "2" else SHA1()
    signature = key.sign(text.encode(), padding.PKCS1v15(), algorithm)
    return {**body, "Signature": b64encode(signature).decode()}
