"""Meta's own webhook. The app's signature is checked first. It is answered with a 2xx only after its events are
durable; Meta retries on any other answer."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from libs.common.declare.event import Event
from libs.common.errors import Malformed, Problem
from libs.common.handle.context import Context
from libs.common.hosts.http.routes import Api, Heard
from libs.common.hosts.http.strict_json import check
from libs.messaging.channels import Channel
from libs.messaging.events.inbound import AccountNoticed
from services.inbound import webhooks
from services.inbound.channels.whatsapp.translate import parse_meta
from services.inbound.contract import Keyed
from services.inbound.parsing.fields import bounded, objects, parsed

META_APP_SECRET = "meta-app-secret"  # noqa: S105 - names of secrets
META_VERIFY_TOKEN = "meta-verify-token"  # noqa: S105
#: Meta: up to 3 MB.
MAX_META_BYTES = 3_500_000
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,256}")

router = Api()
log = structlog.get_logger()


@router.public("GET", "/webhooks/meta")
async def greet_meta(request: Request, ctx: Context) -> Response:
    """Answers Meta's verification of the webhook address: checks the token that we configured there and returns the
    challenge."""
    params = request.query_params
    token = await ctx.secret(META_VERIFY_TOKEN)
    challenge = params.get("hub.challenge", "")
    known = webhooks.same(params.get("hub.verify_token", ""), token)
    if params.get("hub.mode") != "subscribe" or not known or not _CHALLENGE.fullmatch(challenge):
        raise Problem(403, "FORBIDDEN", "This is not the verify token", "Set the same token at Meta and in our secret.")
    return PlainTextResponse(challenge, headers={"X-Content-Type-Options": "nosniff"})


@router.public("POST", "/webhooks/meta", max_bytes=MAX_META_BYTES)
async def hear_meta(request: Request, ctx: Context) -> Heard:
    """Accepts WhatsApp events of Meta's Cloud API; the signature over the raw body is checked before the body is
    parsed."""
    body, given = await request.body(), request.headers.getlist("x-hub-signature-256")
    secret = await ctx.secret(META_APP_SECRET)
    if len(given) != 1 or not signed_by_meta(secret, body, given[0]):
        log.warning("webhook refused", feed="meta", why="signature")
        raise webhooks.refused("X-Hub-Signature-256 does not belong to this body.")
    return Heard(PlainTextResponse("ok"), "whatsapp", from_meta(body))


def signed_by_meta(secret: str, body: bytes, header: str) -> bool:
    """Checks ``X-Hub-Signature-256``: HMAC-SHA256 of the raw bytes with the app's secret, compared in constant time.
    Returns False for an empty secret, which anyone could sign with."""
    if not secret.strip():
        return False
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), header.encode("utf-8", "replace"))


def from_meta(body: bytes) -> Keyed:
    """Returns ``[(key, event)]`` of every change of every entry. Meta sends up to 1,000 in one body; a change that
    cannot be parsed becomes a notice with its raw value and does not affect the others. Raises Problem if the body is
    no WhatsApp webhook."""
    check(body)
    try:
        whole = parsed(body.decode(), "body")
        entries = objects(whole, "entry", "body")
        if whole.get("object") != "whatsapp_business_account":
            raise Malformed("body.object: not whatsapp_business_account")
    except Malformed as error:
        raise Problem(422, "VALIDATION_FAILED", "The webhook cannot be read", str(error)) from None
    found: Keyed = []
    for entry in entries:
        changes = entry.get("changes")
        for change in changes if isinstance(changes, list) else [changes]:
            one = json.dumps({"object": whole["object"], "entry": [{**entry, "changes": [change]}]})
            try:
                found += parse_meta(one)
            except Malformed as error:
                found.append(_unread(one, change, str(error)))
    return found


def _unread(text: str, change: Any, reason: str) -> tuple[str, Event]:
    details = {"reason": reason, "value": bounded(change)}
    key = f"notice#unread#{hashlib.sha256(text.encode()).hexdigest()}"
    return key, AccountNoticed(channel=Channel.WHATSAPP, kind="unknown", details=details)
