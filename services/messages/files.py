"""Files of messages: records the files of inbound messages on the message, and checks the files of outbound
messages."""

from __future__ import annotations

from datetime import timedelta

from libs.common.errors import CopyRefusal, Problem, RetryLater, invalid
from libs.common.handle.context import Context
from libs.common.store.ops import When
from libs.messaging.attachments import private_addresses, slots
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.errors import EXPLANATIONS, ErrorCode, problem_code
from libs.messaging.events.media import MediaStored
from libs.messaging.file_copy import stored_files
from libs.messaging.media import unsupported_reason
from services.messages.model import Message, file_slot

#: Maximum wait of a stored file for the message that it came with.
MAX_WAIT = timedelta(minutes=15)
RETRY_DELAY = timedelta(seconds=2)


async def note_file(event: MediaStored, ctx: Context) -> None:
    """Keeps a copy of the file's facts and writes its id on the message that it came with. Raises RetryLater while
    there is no such message."""
    await stored_files.keep(event, ctx)
    if event.message_id is None:
        return
    written = await ctx.write(
        ctx.update(
            Message,
            event.message_id,
            set={file_slot(event.part): event.file_id},
            when=(When("deletedAt", "missing"),),
        )
    )
    if not written and written.row is None and ctx.now < event.stored_at + MAX_WAIT:
        raise RetryLater(ctx.now + RETRY_DELAY, "the message of the file is not stored yet")


async def check_files(ctx: Context, channel: Channel, content: Content) -> None:
    """Checks that every file of ours in the content exists and is of a type that the channel carries. Raises Problem
    with the file's name."""
    if private := private_addresses(content):
        raise invalid(f"content.{private[0]}", "Name a file of ours by its id, or an https address.")
    for slot in slots(content):
        if not slot.file.file_id:
            continue
        copy = await stored_files.get(ctx, slot.file.file_id)
        field = f"content.{slot.path}"
        if copy is None:
            errors = [{"field": field, "detail": "not known, or not ready (see GET /api/media/{fileId})"}]
            raise CopyRefusal(422, "FILE_NOT_FOUND", "There is no such file, or it is not ready", "", errors)
        why = unsupported_reason(slot.channel(channel), slot.kind, copy.content_type, copy.size)
        if why is not None:
            explained = EXPLANATIONS[ErrorCode.INVALID_CONTENT]
            errors = [{"field": field, "detail": why}]
            raise Problem(422, problem_code(ErrorCode.INVALID_CONTENT), explained.means, why, errors, do=explained.do)
