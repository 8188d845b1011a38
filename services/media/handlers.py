"""Fetches the files of inbound messages into our bucket; deletes objects that are no longer needed."""

from __future__ import annotations

from datetime import timedelta

import structlog

from libs.common.declare.event import Event
from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.common.isolated import MAX_WAIT_SECONDS, NoSlot
from libs.messaging.attachments import slots
from libs.messaging.content import File
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.events.media import MediaDeleted, MediaRejected, MediaStored
from libs.messaging.events.messages import MessageDeleted
from services.media.admission import admit
from services.media.deletion import Gone
from services.media.model import BUCKET, RETENTION, WHATSAPP_RETENTION, MediaFile, inbound_id, safe_name, until
from services.media.sources import fetch_source

log = structlog.get_logger()


async def fetch_files(event: MessageReceived, ctx: Context) -> list[Event]:
    """Fetches each file of a message once. Ids and keys are derived from the message: a redelivery finds the row, or
    writes the same bytes to the same key. The row is written last, and once."""
    events: list[Event] = []
    for part, slot in enumerate(slots(event.content)):
        row = await ctx.get(MediaFile, inbound_id(event.message_id, part))
        if row is None:
            row = await _fetched(event, part, slot.file, ctx)
        events += row.said(ctx.bucket(BUCKET))
    return events


async def _fetched(event: MessageReceived, part: int, file: File, ctx: Context) -> MediaFile:
    row = _row(event, part, file, ctx)
    try:
        row = await admit(row, await fetch_source(event, file, row, ctx), ctx)
    except NoSlot as busy:
        raise RetryLater(ctx.now + timedelta(seconds=MAX_WAIT_SECONDS), str(busy)) from None
    except Gone as gone:
        row = row.rejected(gone.reason, gone.detail)
    written = await ctx.write(ctx.insert(row))
    if not written and written.row is not None:
        return MediaFile.from_row(written.row)
    log.info("file", file=row.file_id, state=row.state, reason=row.reason, channel=row.channel)
    return row


def _row(event: MessageReceived, part: int, file: File, ctx: Context) -> MediaFile:
    from_whatsapp = event.channel.traits.received_files == "whatsapp" and file.provider_id
    return MediaFile(
        file_id=inbound_id(event.message_id, part),
        message_id=event.message_id,
        part=part,
        channel=event.channel,
        filename=safe_name(file.filename),
        declared_type=file.content_type,
        provider_id=file.provider_id,
        provider_id_expires_at=event.received_at + WHATSAPP_RETENTION if from_whatsapp else None,
        created_by="customer",
        uploaded_at=ctx.now,
        expires_at=until(ctx.now + RETENTION),
    )


async def tidy(event: MediaStored | MediaRejected, ctx: Context) -> None:
    """Deletes the checked object: it was copied or must not stay. Runs on an event, because the object may only be
    deleted after the decision is written."""
    row = await ctx.get(MediaFile, event.file_id)
    if row is None or row.state == "pending":
        return
    bucket = ctx.bucket(BUCKET)
    if row.message_id is None:
        await ctx.files.delete(bucket, row.raw_key)
        return
    for key in await ctx.files.keys(bucket, row.inbound_prefix):
        await ctx.files.delete(bucket, key)


async def forget_message(event: MessageDeleted, ctx: Context) -> list[Event]:
    """Deletes the files of a deleted message. Bytes first: a row without bytes is found on a retry, bytes without a row
    are not."""
    events: list[Event] = []
    page = await ctx.query(MediaFile, event.message_id, index="by-message", limit=100)
    for row in page.items:
        await _remove(row, ctx)
        events.append(MediaDeleted(file_id=row.file_id, message_id=row.message_id))
    return events


async def _remove(row: MediaFile, ctx: Context) -> None:
    if row.s3_key is not None:
        await ctx.files.delete(ctx.bucket(BUCKET), row.s3_key)
    await ctx.write(
        ctx.update(
            MediaFile,
            row.file_id,
            set={"state": "rejected", "reason": "deleted"},
            remove=("s3Key", "filename", "sha256"),
        )
    )
