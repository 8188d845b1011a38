"""Prepares an e-mail for rendering: the unsubscribe link and the attachments."""

from __future__ import annotations

from dataclasses import replace

from libs.common.aws.files import TooBig
from libs.common.handle.context import Context
from libs.messaging import unsubscribe
from libs.messaging.channels import Channel
from libs.messaging.content import Email, File
from libs.messaging.errors import ErrorCode
from libs.messaging.settings import MessagingSettings
from libs.messaging.unsubscribe import Subscription
from services.outbound.channels.email.channel import MAX_MESSAGE_BYTES, wants_unsubscribe
from services.outbound.contract import Account, Invalid, Outgoing
from services.outbound.sending.files import FETCHED, OURS

#: Base64 turns three bytes into four and breaks lines; larger files cannot fit.
MAX_FILES_BYTES = MAX_MESSAGE_BYTES * 3 // 4


async def prepare(message: Outgoing, account: Account, ctx: Context) -> Account:
    """Returns the account with ``unsubscribeUrl`` if the message needs one, and with the files. Raises Invalid; any
    other error leads to a later retry, since nothing is claimed yet."""
    options = dict(account.options)
    if wants_unsubscribe(message):
        secret = await ctx.secret(unsubscribe.SECRET)
        of = Subscription(message.contact_id, Channel.EMAIL, message.message_id)
        options["unsubscribeUrl"] = unsubscribe.link(ctx.settings.of(MessagingSettings).public_url, secret, of)
    files = message.content.attachments if isinstance(message.content, Email) else []
    return replace(account, options=options, files=await fetched(files, ctx))


async def fetched(files: list[File], ctx: Context) -> dict[str, bytes]:
    """Returns the attachments by URL, only from the buckets of media and of fetched files, whatever the URL."""
    found: dict[str, bytes] = {}
    ours = {ctx.bucket(FETCHED), ctx.bucket(OURS)} if files else set()
    for file in files:
        bucket, _, key = (file.url or "").removeprefix("s3://").partition("/")
        if not (file.url or "").startswith("s3://") or bucket not in ours or not key:
            raise Invalid(ErrorCode.MEDIA_FAILED, "An attachment is a file of ours or a public link.")
        room = MAX_FILES_BYTES - sum(len(data) for data in found.values())
        try:
            data = await ctx.files.read(bucket, key, room)
        except TooBig:
            detail = f"The attachments are more than {MAX_FILES_BYTES} bytes together."
            raise Invalid(ErrorCode.INVALID_CONTENT, detail) from None
        if data is None:
            raise Invalid(ErrorCode.MEDIA_FAILED, "An attachment is not there.")
        found[file.url or ""] = data
    return found
