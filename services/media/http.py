"""HTTP routes of ``/api/media``. File contents are never transferred through them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from libs.common.aws.auth import Role
from libs.common.handle.context import Context, Done
from libs.common.hosts.http.routes import SMALL_MAX_BODY_BYTES, Api
from services.media import requests
from services.media.requests import AskUpload, Download, MediaList, MediaView

router = Api()


@router.write("POST", "/api/media", role=Role.OPERATOR, status=201, about="file_id", max_bytes=SMALL_MAX_BODY_BYTES)
async def ask_upload(body: AskUpload, ctx: Context) -> Done[MediaView]:
    """Requests an upload URL for a file."""
    return await requests.ask_upload(body, ctx)


@router.write("POST", "/api/media/{file_id}/complete", role=Role.OPERATOR)
async def complete_upload(file_id: str, ctx: Context) -> Done[MediaView]:
    """Reports that a file is uploaded, and returns whether it is accepted."""
    return await requests.complete(file_id, ctx)


@router.read("GET", "/api/media", role=Role.VIEWER)
async def list_files(
    ctx: Context, message_id: Annotated[str, Query(alias="messageId", min_length=1, max_length=100)]
) -> MediaList:
    """Lists the files of a message, accepted or not."""
    return await requests.files_of(message_id, ctx)


@router.read("GET", "/api/media/{file_id}", role=Role.VIEWER)
async def read_file(file_id: str, ctx: Context) -> MediaView:
    """Returns the facts about a file."""
    return requests.view(await requests.file_by_id(file_id, ctx))


@router.read("GET", "/api/media/{file_id}/download", role=Role.VIEWER)
async def download_file(file_id: str, ctx: Context) -> Download:
    """Returns a link to download a file, valid for a minute."""
    return await requests.download(file_id, ctx)
