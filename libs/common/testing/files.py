"""Buckets in memory, for tests. Presigned URLs are not served."""

from __future__ import annotations

import hashlib

from libs.common.aws.files import Digest, Stat, TooBig, attachment


class MemoryFiles:
    """``objects`` contains: ``(bucket, key) -> (bytes, content type)``."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], tuple[bytes, str]] = {}

    async def stat(self, bucket: str, key: str) -> Stat | None:
        found = self.objects.get((bucket, key))
        return Stat(len(found[0]), found[1], _etag(found[0])) if found else None

    async def read(self, bucket: str, key: str, maximum: int) -> bytes | None:
        found = self.objects.get((bucket, key))
        if found and len(found[0]) > maximum:
            raise TooBig(f"more than {maximum} bytes")
        return found[0] if found else None

    async def digest(self, bucket: str, key: str, head: int, maximum: int) -> Digest | None:
        data = await self.read(bucket, key, maximum)
        if data is None:
            return None
        return Digest(data[:head], len(data), hashlib.sha256(data).hexdigest(), _etag(data))

    async def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        self.objects[bucket, key] = (data, content_type)

    async def copy(self, bucket: str, source: str, target: str, content_type: str, etag: str) -> bool:
        found = self.objects.get((bucket, source))
        if found is None or _etag(found[0]) != etag:
            return False
        self.objects[bucket, target] = (found[0], content_type)
        return True

    async def delete(self, bucket: str, key: str) -> None:
        self.objects.pop((bucket, key), None)

    async def keys(self, bucket: str, prefix: str, maximum: int = 100) -> list[str]:
        return sorted(key for at, key in self.objects if at == bucket and key.startswith(prefix))[:maximum]

    async def upload_url(self, bucket: str, key: str, content_type: str, size: int, seconds: int) -> str:
        return f"https://{bucket}.example.com/{key}?type={content_type}&size={size}&seconds={seconds}"

    async def download_url(self, bucket: str, key: str, content_type: str, filename: str, seconds: int) -> str:
        return f"https://{bucket}.example.com/{key}?type={content_type}&as={attachment(filename)}&seconds={seconds}"


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'
