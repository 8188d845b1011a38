"""Upload and download requests. The bytes are transferred between the caller and S3; this module issues URLs and checks
uploads."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from libs.common.clock import Timestamp, derived_id
from libs.common.errors import Problem
from libs.common.handle.context import Context, Done
from libs.messaging.channels import Channel
from libs.messaging.file_types import ENDINGS, MAX_FILE_BYTES, TYPES, bare
from libs.messaging.media import unsupported_reason
from services.media.admission import admit
from services.media.model import BUCKET, UPLOAD_DEADLINE, MediaFile, State, safe_name, until

UPLOAD_URL_SECONDS = 15 * 60
#: A download link is passed to a browser at once.
DOWNLOAD_URL_SECONDS = 60


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


def _known_type(given: str) -> str:
    if bare(given) not in TYPES:
        raise ValueError(f"no type that messages carry; these are: {', '.join(sorted(TYPES))}")
    return bare(given)


def _plain_name(given: str) -> str:
    name = safe_name(given)
    if name is None:
        raise ValueError("no name is left once paths and invisible characters are gone")
    return name


class AskUpload(_Part):
    """A request for an upload. ``size`` is exact, in bytes; with ``channel``, its limits are checked at once."""

    filename: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_plain_name)]
    content_type: Annotated[str, Field(min_length=1, max_length=127), AfterValidator(_known_type)]
    size: int = Field(ge=1, le=MAX_FILE_BYTES)
    channel: Channel | None = None


class Upload(_Part):
    """An upload URL: PUT the bytes to ``url`` with exactly these headers until ``expires_at``; then POST …/complete."""

    method: str = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: Timestamp


class MediaView(_Part):
    """One file. ``state`` is ``pending``, ``ready`` or ``rejected``; ``reason`` and ``detail`` explain a rejection.
    ``fits`` are the channels that carry it. ``upload`` is included only in the answer to the upload request."""

    file_id: str
    message_id: str | None = None
    state: State
    reason: str | None = None
    detail: str | None = None
    filename: str | None = None
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    channel: Channel | None = None
    fits: list[Channel] = []
    provider_id: str | None = None
    provider_id_expires_at: Timestamp | None = None
    uploaded_at: Timestamp
    upload: Upload | None = None


class MediaList(_Part):
    items: list[MediaView]


class Download(_Part):
    url: str
    expires_at: Timestamp


def view(row: MediaFile, upload: Upload | None = None) -> MediaView:
    names = set(MediaView.model_fields) - {"upload", "fits"}
    shown = {name: getattr(row, name) for name in names}
    return MediaView(**shown, fits=list(row.fits), upload=upload)


async def ask_upload(body: AskUpload, ctx: Context) -> Done[MediaView]:
    """Creates a pending file and its upload URL. The id is derived from the request's key, so a repeated request gives
    the same file."""
    if body.channel is not None:
        why = unsupported_reason(body.channel, None, body.content_type, body.size)
        if why is not None:
            field = "size" if why[0].isdigit() else "contentType"
            raise Problem(
                422,
                "INVALID_CONTENT",
                "This channel does not carry such a file",
                why,
                [{"field": field, "detail": why}],
            )
    row = MediaFile(
        file_id=derived_id(ctx.required_cause.id, "file"),
        channel=body.channel,
        filename=body.filename,
        declared_type=body.content_type,
        content_type=body.content_type,
        size=body.size,
        created_by=ctx.actor,
        uploaded_at=ctx.now,
        expires_at=until(ctx.now + UPLOAD_DEADLINE),
    )
    ctx.stage(ctx.insert(row))
    url = await ctx.files.upload_url(ctx.bucket(BUCKET), row.raw_key, body.content_type, body.size, UPLOAD_URL_SECONDS)
    headers = {"Content-Type": body.content_type, "Content-Length": str(body.size)}
    return Done(view(row, Upload(url=url, headers=headers, expires_at=ctx.now + timedelta(seconds=UPLOAD_URL_SECONDS))))


async def complete(file_id: str, ctx: Context) -> Done[MediaView]:
    """Checks the upload and decides; a decision is final."""
    row = await file_by_id(file_id, ctx)
    if row.state != "pending":
        return Done(view(row))
    decided = await admit(row, row.raw_key, ctx)
    if decided.reason == "missing":
        raise Problem(409, "NOT_UPLOADED", "Nothing was uploaded yet", "PUT the bytes to the URL of the upload first.")
    ctx.stage(ctx.replace(decided))
    return Done(view(decided), tuple(decided.said(ctx.bucket(BUCKET))))


async def file_by_id(file_id: str, ctx: Context) -> MediaFile:
    """Returns the row. Raises Problem 404."""
    row = await ctx.get(MediaFile, file_id)
    if row is None:
        raise Problem(404, "FILE_NOT_FOUND", "There is no such file", "Files are kept for 30 days.")
    return row


async def files_of(message_id: str, ctx: Context) -> MediaList:
    page = await ctx.query(MediaFile, message_id, index="by-message", limit=100)
    return MediaList(items=[view(row) for row in sorted(page.items, key=lambda row: row.part)])


async def download(file_id: str, ctx: Context) -> Download:
    """Returns a short-lived link to the bytes, always as an attachment, so that no file of a stranger is displayed
    under our domain."""
    row = await file_by_id(file_id, ctx)
    if row.state != "ready" or row.s3_key is None or row.content_type is None:
        raise Problem(409, "FILE_NOT_READY", "There is nothing to download", row.detail or f"It is {row.state}.")
    name = row.filename or f"{row.file_id}{ENDINGS.get(row.content_type, '')}"
    url = await ctx.files.download_url(ctx.bucket(BUCKET), row.s3_key, row.content_type, name, DOWNLOAD_URL_SECONDS)
    return Download(url=url, expires_at=ctx.now + timedelta(seconds=DOWNLOAD_URL_SECONDS))
