"""Files in the service's bucket: presigned uploads and downloads, and streaming; no file is held in memory as a
whole."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from libs.common.handle.context import Context

BUCKET = "files"
#: Validity of a presigned URL (s).
URL_SECONDS = 900
_READ_BYTES = 1 << 20
#: S3 requires at least 5 MiB for each part of a multipart upload except the last.
_UPLOAD_PART_BYTES = 8 << 20


class Files:
    """Access to the bucket of one context's service."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._bucket = ctx.names.bucket(ctx.service.name, BUCKET)

    async def _s3(self) -> Any:
        return await self._ctx.aws.client("s3")

    async def put_url(self, key: str, size: int | None) -> str:
        """Returns the URL to PUT the object (of exactly that size, if given)."""
        given: dict[str, Any] = {"Bucket": self._bucket, "Key": key}
        if size is not None:
            given["ContentLength"] = size
        s3 = await self._s3()
        return str(await s3.generate_presigned_url("put_object", Params=given, ExpiresIn=URL_SECONDS))

    async def get_url(self, key: str, filename: str) -> str:
        s3 = await self._s3()
        given = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
        }
        return str(await s3.generate_presigned_url("get_object", Params=given, ExpiresIn=URL_SECONDS))

    async def size(self, key: str) -> int | None:
        """Returns the size in bytes; None if the object does not exist."""
        try:
            return int((await (await self._s3()).head_object(Bucket=self._bucket, Key=key))["ContentLength"])
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise

    async def head(self, key: str, size: int) -> bytes:
        """Returns the first ``size`` bytes."""
        answer = await (await self._s3()).get_object(Bucket=self._bucket, Key=key, Range=f"bytes=0-{size - 1}")
        async with answer["Body"] as body:
            return bytes(await body.read())

    async def get(self, key: str) -> bytes:
        answer = await (await self._s3()).get_object(Bucket=self._bucket, Key=key)
        async with answer["Body"] as body:
            return bytes(await body.read())

    async def put(self, key: str, body: bytes, content_type: str = "application/json") -> None:
        s3 = await self._s3()
        await s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    @asynccontextmanager
    async def on_disk(self, key: str) -> AsyncIterator[Path]:
        """Provides a copy on disk for the duration of the block."""
        with tempfile.TemporaryDirectory(prefix="wecare-") as folder:
            path = Path(folder) / "file"
            answer = await (await self._s3()).get_object(Bucket=self._bucket, Key=key)
            async with answer["Body"] as body:
                with path.open("wb") as file:
                    async for piece in body.iter_chunks(_READ_BYTES):
                        file.write(piece)
            yield path

    async def put_stream(self, key: str, pieces: AsyncIterator[bytes], content_type: str) -> int:
        """Writes an object of any size, atomically. Returns its size in bytes."""
        s3 = await self._s3()
        held = bytearray()
        upload: str | None = None
        parts: list[dict[str, Any]] = []
        size = 0

        async def part(body: bytes) -> None:
            number = len(parts) + 1
            where = {"Bucket": self._bucket, "Key": key, "UploadId": upload}
            answer = await s3.upload_part(**where, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})

        async for piece in pieces:
            held += piece
            size += len(piece)
            if len(held) >= _UPLOAD_PART_BYTES:
                if upload is None:
                    made = await s3.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
                    upload = made["UploadId"]
                await part(bytes(held))
                held.clear()
        if upload is None:
            await self.put(key, bytes(held), content_type)
        else:
            if held:
                await part(bytes(held))
            done = {"Parts": parts}
            await s3.complete_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload=done)
        return size
