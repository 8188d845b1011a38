"""Public HTTP routes that belong to no channel: SNS webhooks and one-click unsubscribe. Each verifies its caller
itself.

A webhook is answered with a 2xx only after its events are durable; SNS retries on any other answer.
"""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from libs.common.clock import iso
from libs.common.declare.service import Feed
from libs.common.errors import Malformed, Problem
from libs.common.handle.context import Context
from libs.common.handle.feeds import translated
from libs.common.hosts.http.routes import Api, Heard
from libs.common.isolated import NoSlot
from libs.messaging import unsubscribe
from libs.messaging.events.inbound import Unsubscribed
from services.inbound import webhooks
from services.inbound.settings import InboundSettings
from services.inbound.sns import Certificates, NotFromSns, SnsMessage, understood, verify

#: SNS: 256 KiB, which JSON in JSON may double.
MAX_SNS_BYTES, MAX_FORM_BYTES = 600_000, 4_096

router = Api()
certificates = Certificates()
log = structlog.get_logger()


@router.public("POST", "/webhooks/sns/{feed}", max_bytes=MAX_SNS_BYTES)
async def hear_sns(request: Request, ctx: Context) -> Response | Heard:
    """Accepts a provider's feed over HTTPS instead of a queue. Only topics in the settings are accepted."""
    feed = _feed(request.path_params["feed"], ctx)
    message = await _verified(await request.body(), feed, ctx)
    if message.kind == "Notification":
        try:
            events = await translated(feed, message.fields["Message"], message.at)
        except Malformed as error:
            raise Problem(422, "VALIDATION_FAILED", "The message cannot be read", str(error)) from None
        except NoSlot:
            raise Problem(503, "UNAVAILABLE", "Too many messages are being read; try again") from None
        return Heard(PlainTextResponse("ok"), feed.name, events)
    if message.kind == "SubscriptionConfirmation":
        # By the API and our own credentials: the URL in the message is not opened.
        sns = await ctx.aws.client("sns")
        await sns.confirm_subscription(
            TopicArn=message.topic, Token=message.fields["Token"], AuthenticateOnUnsubscribe="true"
        )
    log.info("sns " + message.kind, feed=feed.name)
    return PlainTextResponse("ok")


def _feed(name: str, ctx: Context) -> Feed:
    """Returns the feed. Raises Problem for a feed that is not configured for HTTPS."""
    found = next((feed for feed in ctx.service.feeds if feed.name == name), None)
    if found is None or not ctx.settings.of(InboundSettings).sns_webhook_topics.get(name):
        raise Problem(404, "NOT_FOUND", "No such feed comes here", "Name its topics in WECARE_SNS_WEBHOOK_TOPICS.")
    return found


async def _verified(body: bytes, feed: Feed, ctx: Context) -> SnsMessage:
    """Returns the verified message. Raises Problem."""
    try:
        topics = ctx.settings.of(InboundSettings).sns_webhook_topics[feed.name]
        message = understood(webhooks.json_of(body), topics, ctx.now)
        verify(message, await certificates.of(message))
    except NotFromSns as why:
        log.warning("webhook refused", feed=feed.name, why=str(why))
        raise webhooks.refused(f"{why}.") from None
    except ConnectionError as error:
        log.warning("no certificate", feed=feed.name, why=str(error))
        raise Problem(503, "UNAVAILABLE", "The signature cannot be checked now; try again") from None
    return message


@router.public("GET", "/u/{token}")
async def show_way_out(request: Request, ctx: Context) -> Response:
    """Shows a page with an unsubscribe button. Opening it changes nothing, because programs open links too."""
    if await _subscription(request, ctx) is None:
        return _no_such_link()
    return webhooks.page("Unsubscribe", "Do you want to get no more e-mail from us?", asks=True)


@router.public("POST", "/u/{token}", max_bytes=MAX_FORM_BYTES)
async def unsubscribe_by_link(request: Request, ctx: Context) -> Response | Heard:
    """Unsubscribes with one click, from a mail program (RFC 8058) or from the page; may be repeated."""
    subscription = await _subscription(request, ctx)
    if subscription is None:
        return _no_such_link()
    if not await webhooks.asks_one_click(request):
        raise Problem(422, "VALIDATION_FAILED", "The form must say List-Unsubscribe=One-Click")
    left = Unsubscribed(
        contact_id=subscription.contact_id,
        channel=subscription.channel,
        message_id=subscription.message_id,
        at=ctx.now,
    )
    done = webhooks.page("You are unsubscribed", "You will get no more e-mail from us.")
    return Heard(done, "unsubscribe", [(f"{subscription.message_id}#{iso(ctx.now)}", left)])


async def _subscription(request: Request, ctx: Context) -> unsubscribe.Subscription | None:
    return unsubscribe.read(await ctx.secret(unsubscribe.SECRET), request.path_params["token"])


def _no_such_link() -> Response:
    return webhooks.page(
        "This link is not complete", "Open it from the e-mail again, or answer it with STOP.", status=404
    )
