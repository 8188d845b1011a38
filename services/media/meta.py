"""Fetches files of Meta's own webhook: looked up by id and downloaded from Meta's URL, only if it is a URL of Meta.

Source: Meta, "WhatsApp Cloud API, Media" (2026): ids of customers' files are valid for seven days, a URL for five
minutes; the URL needs the token too.
"""

from __future__ import annotations

import hashlib
import re

from libs.common.aws.rest import Answered, TooLong
from libs.common.handle.context import Context
from libs.messaging.file_types import MAX_FILE_BYTES
from libs.messaging.providers.graph import NotMeta, graph_of
from libs.messaging.settings import MessagingSettings
from services.media.deletion import Gone
from services.media.model import BUCKET, MediaFile

#: "Invalid parameter", "no such object", "media download error".
_GONE = frozenset({"100", "33", "131052"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Damaged(Exception):
    """The bytes do not match the SHA-256 that Meta gave; a retry may succeed."""


async def from_meta(number: str, row: MediaFile, ctx: Context) -> str:
    """Stores the bytes in our bucket and returns the key. ``number`` is Meta's id of the number that received the file.
    Raises Gone; any other error leads to a retry of the event."""
    if not ctx.settings.of(MessagingSettings).is_at_meta(number):
        raise Gone("no_sender", "It was sent to a number that WECARE_META_NUMBERS does not name.")
    media_id = row.provider_id or ""
    if not _ID.fullmatch(media_id):
        raise Gone("refused", "Its id is none of Meta's.")
    graph = await graph_of(ctx)
    try:
        reported = await graph.media(media_id)
    except Answered as no:
        if no.code in _GONE or no.status == 404:
            raise Gone("expired", "WhatsApp does not have it any more; its ids live seven days.") from None
        raise
    if reported.size > MAX_FILE_BYTES:
        raise Gone("too_big", f"More than {MAX_FILE_BYTES} bytes.")
    async with graph.files:
        try:
            data = await graph.file(reported.url, MAX_FILE_BYTES)
        except NotMeta:
            raise Gone("refused", "It is said to lie where Meta keeps no files.") from None
        except TooLong:
            raise Gone("too_big", f"More than {MAX_FILE_BYTES} bytes.") from None
        if hashlib.sha256(data).hexdigest() != reported.sha256.lower():
            raise Damaged("not the bytes whose SHA-256 Meta told")
        key = f"{row.inbound_prefix}{media_id}"
        await ctx.files.put(ctx.bucket(BUCKET), key, data, "application/octet-stream")
    return key
