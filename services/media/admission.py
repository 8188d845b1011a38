"""Checks whether a file is accepted: the object exists, has a size that messages carry, and its bytes are of a known
type."""

from __future__ import annotations

from libs.common.aws.files import TooBig
from libs.common.errors import Conflict
from libs.common.handle.context import Context
from libs.messaging.file_types import MAX_FILE_BYTES, SNIFFED_BYTES, bare, settle
from libs.messaging.media import fits, unsupported_reason
from services.media.model import BUCKET, MediaFile


async def admit(row: MediaFile, key: str, ctx: Context) -> MediaFile:
    """Returns the row after the check of the object ``key`` in our bucket. An accepted file is copied, under the
    detected type, to a key that no outsider can write; the copy is conditional on the bytes that were checked. Raises
    Conflict if they changed meanwhile."""
    bucket = ctx.bucket(BUCKET)
    try:
        found = await ctx.files.digest(bucket, key, SNIFFED_BYTES, MAX_FILE_BYTES)
    except TooBig:
        return row.rejected("too_big", f"More than {MAX_FILE_BYTES} bytes.")
    if found is None:
        return row.rejected("missing", "There is no such object.")
    if found.size == 0:
        return row.rejected("empty", "The file is empty.")
    content_type = settle(row.declared_type, found.head)
    if content_type is None:
        return row.rejected("type", "Its bytes are of no type that messages carry.")
    if row.message_id is None:
        # An uploader must declare the correct type; a customer's file is accepted under the detected type.
        if content_type != bare(row.declared_type):
            return row.rejected("type_differs", f"Its bytes are {content_type}, declared was {row.declared_type}.")
        why = unsupported_reason(row.channel, None, content_type, found.size) if row.channel else None
        if why is not None:
            return row.rejected("limits", why)
    target = row.final_key(content_type)
    if not await ctx.files.copy(bucket, key, target, content_type, found.etag):
        raise Conflict("the object changed while it was looked at")
    return row.ready(
        ctx.now,
        s3_key=target,
        content_type=content_type,
        size=found.size,
        sha256=found.sha256,
        fits=fits(content_type, found.size),
    )
