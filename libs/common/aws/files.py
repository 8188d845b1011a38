"""The only access to objects in S3: stat, read, digest, put, copy, presign. Handlers reach it as ``ctx.files`` with a bucket from
``ctx.bucket(name)``; clients upload and download by presigned URL, directly to and from S3."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from botocore.exceptions import ClientError

from libs.common.aws.clients import Aws

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Stat:
    """The metadata of an object. ``etag`` changes when the bytes do; ``size`` in bytes."""

    size: int
    content_type: str
    etag: str


@dataclass(frozen=True)
class Digest:
    """The result of reading an object once: its first bytes, its size, the SHA-256 of all, and the ``etag`` that was read."""

    head: bytes
    size: int
    sha256: str
    etag: str


class TooBig(Exception):
    """The object exceeds the limit."""


class Files(Protocol):
    """Buckets by physical name. A missing object is None or False; other errors are raised unchanged."""

    async def stat(self, bucket: str, key: str) -> Stat | None: ...

    async def read(self, bucket: str, key: str, maximum: int) -> bytes | None:
        """The whole object, at most ``maximum`` bytes. Raises TooBig."""

    async def digest(self, bucket: str, key: str, head: int, maximum: int) -> Digest | None:
        """Read the object without storing it. Raises TooBig once it exceeds ``maximum``."""

    async def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None: ...

    async def copy(self, bucket: str, source: str, target: str, content_type: str, etag: str) -> bool:
        """Copy inside a bucket with another content type, if the source still has ``etag``. False: it has not, or is missing."""

    async def delete(self, bucket: str, key: str) -> None:
        """Delete; an absent object is no error."""

    async def keys(self, bucket: str, prefix: str, maximum: int = 100) -> list[str]: ...

    async def upload_url(self, bucket: str, key: str, content_type: str, size: int, seconds: int) -> str:
        """A presigned URL for one PUT of exactly this type and size (both headers are signed) until ``seconds`` from now."""

    async def download_url(self, bucket: str, key: str, content_type: str, filename: str, seconds: int) -> str:
        """A presigned URL for a GET, as an attachment of that name."""


def attachment(filename: str) -> str:
    """A Content-Disposition (RFC 6266) that is safe for any name: plain ASCII, and the whole name percent-encoded."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


class AwsFiles:
    """Files in S3."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def stat(self, bucket: str, key: str) -> Stat | None:
        client = await self._aws.client("s3")
        try:
            found = await client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise
        return Stat(int(found["ContentLength"]), str(found.get("ContentType", "")), str(found["ETag"]))

    async def read(self, bucket: str, key: str, maximum: int) -> bytes | None:
        async with self._open(bucket, key) as found:
            if found is None:
                return None
            data = bytearray()
            async for chunk in _chunks(found, maximum):
                data += chunk
            return bytes(data)

    async def digest(self, bucket: str, key: str, head: int, maximum: int) -> Digest | None:
        async with self._open(bucket, key) as found:
            if found is None:
                return None
            first, size, sha256 = b"", 0, hashlib.sha256()
            async for chunk in _chunks(found, maximum):
                first = first if len(first) >= head else (first + chunk)[:head]
                size += len(chunk)
                sha256.update(chunk)
            return Digest(first, size, sha256.hexdigest(), str(found["ETag"]))

    @asynccontextmanager
    async def _open(self, bucket: str, key: str) -> AsyncIterator[Any]:
        client = await self._aws.client("s3")
        try:
            found = await client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if _status(error) != 404:
                raise
            yield None
            return
        async with found["Body"]:
            yield found

    async def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        client = await self._aws.client("s3")
        await client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)

    async def copy(self, bucket: str, source: str, target: str, content_type: str, etag: str) -> bool:
        client = await self._aws.client("s3")
        try:
            await client.copy_object(
                Bucket=bucket,
                Key=target,
                CopySource={"Bucket": bucket, "Key": source},
                CopySourceIfMatch=etag,
                ContentType=content_type,
                MetadataDirective="REPLACE",
            )
        except ClientError as error:
            if _status(error) in (404, 409, 412):
                return False
            raise
        return True

    async def delete(self, bucket: str, key: str) -> None:
        client = await self._aws.client("s3")
        await client.delete_object(Bucket=bucket, Key=key)

    async def keys(self, bucket: str, prefix: str, maximum: int = 100) -> list[str]:
        client = await self._aws.client("s3")
        found = await client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=maximum)
        return [str(each["Key"]) for each in found.get("Contents", [])]

    async def upload_url(self, bucket: str, key: str, content_type: str, size: int, seconds: int) -> str:
        return await self._presigned("put_object", seconds, bucket, key, ContentType=content_type, ContentLength=size)

    async def download_url(self, bucket: str, key: str, content_type: str, filename: str, seconds: int) -> str:
        shown = {"ResponseContentType": content_type, "ResponseContentDisposition": attachment(filename)}
        return await self._presigned("get_object", seconds, bucket, key, **shown)

    async def _presigned(self, operation: str, seconds: int, bucket: str, key: str, **more: Any) -> str:
        client = await self._aws.client("s3")
        given = {"Bucket": bucket, "Key": key, **more}
        return str(await client.generate_presigned_url(operation, Params=given, ExpiresIn=seconds))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


async def _chunks(found: Any, maximum: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in found["Body"].iter_chunks(CHUNK_BYTES):
        size += len(chunk)
        if size > maximum:
            raise TooBig(f"more than {maximum} bytes")
        yield chunk
