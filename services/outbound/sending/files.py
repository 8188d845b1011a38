"""Prepares the files of a message before it is rendered. A file of ours becomes its address in our bucket, or the provider's id
of it; a link that we must fetch becomes an object in our bucket. A file that the channel cannot carry is refused here, before
the provider is called.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Protocol, runtime_checkable

from libs.common.aws.fetch import Refused, Unreachable
from libs.common.clock import Timestamp
from libs.common.declare.service import Bucket
from libs.common.errors import RetryLater
from libs.common.handle.context import Context
from libs.common.stable_hash import jitter_for
from libs.common.store.item import Item, Table
from libs.messaging.attachments import Slot, slots, with_files
from libs.messaging.channels import Channel as Name
from libs.messaging.content import File
from libs.messaging.errors import ErrorCode
from libs.messaging.events.messages import MessageQueued
from libs.messaging.file_copy import FileCopy, stored_files
from libs.messaging.file_types import ENDINGS, SNIFFED_BYTES, settle
from libs.messaging.media import unsupported_reason
from libs.messaging.permission import MAX_COPY_LAG, RECHECK_INTERVAL
from services.outbound.contract import Accepted, Channel, Invalid, Outcome, Outgoing, Rejected, client_of
from services.outbound.settings import OutboundSettings

#: A link that cannot be reached is retried for this long.
MAX_LINK_AGE = timedelta(minutes=2)
RETRY_SECONDS = 5.0
#: The bucket of the sender's own for files that we fetch because the provider fetches no links.
FETCHED = "fetched"
OURS = "files"
OWNER = "media"
#: A fetched object is needed until its message is sent, and by the provider a little longer.
FETCHED_RETENTION_DAYS = 5


@runtime_checkable
class UploadsFiles(Protocol):
    """A channel whose provider needs a file uploaded before a message can name it."""

    #: How long the provider keeps it, less a margin.
    keeps: timedelta

    async def upload(self, bucket: str, key: str, sender: str, client: object) -> Outcome:
        """Uploads it once; ``Accepted`` carries the provider's id. Raises nothing."""


class HandedFile(Item):
    """The provider's id of a file that one of our identities uploaded."""

    TABLE: ClassVar[Table] = Table("handed-file", key="id", ttl="expiresAt")

    id: str
    provider_id: str
    handed_at: Timestamp
    expires_at: int

    @staticmethod
    def id_of(file_id: str, sender: str) -> str:
        return f"{file_id}#{sender}"


def carries_files(channel: Channel) -> bool:
    return bool(channel.name.traits.files)


def items_of(channel: Channel) -> list[type[Item]]:
    """The tables that a sender needs for its files."""
    if not carries_files(channel):
        return []
    return [FileCopy, *([HandedFile] if isinstance(channel, UploadsFiles) else [])]


def needs_of(channel: Channel) -> list[Bucket]:
    """The buckets: that of ``media``, to read, and one of its own for the files that it fetches, for its fallback channel too."""
    if not carries_files(channel):
        return []
    traits = channel.name.traits
    own = traits.fetches_links or (traits.fallback is not None and Name(traits.fallback).traits.fetches_links)
    return [Bucket(OURS, owner=OWNER), *([Bucket(FETCHED, days=FETCHED_RETENTION_DAYS)] if own else [])]


async def with_prepared_files(
    outgoing: Outgoing, event: MessageQueued, sender: str, channel: Channel, ctx: Context
) -> Outgoing:
    """The message with every file as its channel can use it. Raises Invalid, or RetryLater while a file is not ready."""
    found = slots(outgoing.content)
    if not found:
        return outgoing
    work = _Files(event, sender, channel, ctx)
    ready = {slot.path: await work.ready(slot) for slot in found}
    changed = {path: file for path, file in ready.items() if file is not None}
    if not changed:
        return outgoing
    return Outgoing(**{**vars(outgoing), "content": with_files(outgoing.content, changed)})


class _Files:
    """The files of one message."""

    def __init__(self, event: MessageQueued, sender: str, channel: Channel, ctx: Context) -> None:
        self._event = event
        self._sender = sender
        self._channel = channel
        self._ctx = ctx

    async def ready(self, slot: Slot) -> File | None:
        """The file to put there; None: it stays as it is."""
        if slot.file.file_id:
            return await self._ours(slot)
        fetches = slot.channel(self._channel.name).traits.fetches_links
        if fetches and (slot.file.url or "").startswith("https://"):
            return await self._fetched(slot)
        return None

    async def _ours(self, slot: Slot) -> File:
        copy = await stored_files.get(self._ctx, slot.file.file_id or "")
        if copy is None:
            if self._ctx.now < self._event.queued_at + MAX_COPY_LAG:
                raise RetryLater(self._ctx.now + RECHECK_INTERVAL, "the copy of its file may lag behind")
            raise Invalid(
                ErrorCode.MEDIA_FAILED, f"{slot.path}: the file is not there, not ready, or older than 30 days."
            )
        self._check(slot, copy.content_type, copy.size)
        about = {"content_type": copy.content_type, "filename": slot.file.filename or copy.filename}
        if isinstance(self._channel, UploadsFiles):
            return File(provider_id=await self._handed_in(copy, self._channel), **about)
        return File(url=copy.url, **about)

    def _check(self, slot: Slot, content_type: str, size: int) -> None:
        why = unsupported_reason(slot.channel(self._channel.name), slot.kind, content_type, size)
        if why is not None:
            raise Invalid(ErrorCode.INVALID_CONTENT, f"{slot.path}: {why}")

    async def _handed_in(self, copy: FileCopy, channel: UploadsFiles) -> str:
        """The provider's id of the file, from an earlier upload or from one made now. If two workers upload it, both ids work."""
        ctx = self._ctx
        if ctx.settings.of(OutboundSettings).send_mode == "DRY_RUN":
            return "dry-run"
        key = HandedFile.id_of(copy.file_id, self._sender)
        known = await ctx.get(HandedFile, key)
        if known is not None:
            return known.provider_id
        client = await client_of(self._channel, self._sender, ctx)
        outcome = await channel.upload(copy.bucket, copy.s3_key, self._sender, client)
        if isinstance(outcome, Rejected):
            detail = f"The provider did not take the file: {outcome.provider_code or outcome.code} {outcome.detail}"
            raise Invalid(ErrorCode.MEDIA_FAILED, detail.strip())
        if not isinstance(outcome, Accepted):
            # An upload reaches no recipient, so it may be repeated.
            raise RetryLater(self._again(), f"the file could not be handed in ({outcome.cause})")
        expires_at = int((ctx.now + channel.keeps).timestamp())
        row = HandedFile(id=key, provider_id=outcome.provider_id, handed_at=ctx.now, expires_at=expires_at)
        await ctx.write(ctx.put(row))
        return outcome.provider_id

    async def _fetched(self, slot: Slot) -> File:
        """The object with the content of a link; fetched once for each message."""
        ctx = self._ctx
        bucket, prefix = ctx.bucket(FETCHED), f"{self._event.message_id}/{slot.path}."
        for key in await ctx.files.keys(bucket, prefix, maximum=1):
            there = await ctx.files.stat(bucket, key)
            if there is not None:
                return self._at(slot, bucket, key, there.content_type)
        maximum = max(limit.maximum for limit in slot.channel(self._channel.name).traits.files)
        try:
            found = await ctx.fetcher.get(slot.file.url or "", maximum)
        except Refused as refused:
            raise Invalid(ErrorCode.MEDIA_FAILED, f"{slot.path}: the link was not fetched: {refused}.") from None
        except Unreachable as unreachable:
            if ctx.now < self._event.queued_at + MAX_LINK_AGE:
                raise RetryLater(self._again(), "the link of its file cannot be reached") from None
            raise Invalid(ErrorCode.MEDIA_FAILED, f"{slot.path}: the link cannot be reached ({unreachable}).") from None
        content_type = settle(slot.file.content_type or found.content_type, found.body[:SNIFFED_BYTES])
        if content_type is None:
            raise Invalid(ErrorCode.INVALID_CONTENT, f"{slot.path}: the bytes are of no type that messages carry.")
        self._check(slot, content_type, len(found.body))
        # Carriers read the type from the file extension.
        key = prefix.removesuffix(".") + ENDINGS[content_type]
        await ctx.files.put(bucket, key, found.body, content_type)
        return self._at(slot, bucket, key, content_type)

    def _at(self, slot: Slot, bucket: str, key: str, content_type: str) -> File:
        name = slot.file.filename or (slot.file.url or "").partition("?")[0].rpartition("/")[2][:255] or None
        return File(url=f"s3://{bucket}/{key}", content_type=content_type, filename=name)

    def _again(self) -> datetime:
        jitter = jitter_for(f"{self._event.message_id}{self._ctx.now}")
        return self._ctx.now + timedelta(seconds=RETRY_SECONDS * (1 + 2 * jitter))
