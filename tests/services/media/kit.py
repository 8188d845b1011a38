"""The smallest files that are what they say they are, and a world with ``media`` in it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(20)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n"
OGG = b"OggS\x00\x02" + bytes(20)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(16)
EXE = b"MZ\x90\x00\x03\x00\x00\x00" + bytes(60)
HTML = b"<!DOCTYPE html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
BUCKET = "wecare-test-media-files"


def office(folder: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("_rels/.rels", "<Relationships/>")
        archive.writestr(f"{folder}/document.xml", "<x/>")
    return data.getvalue()


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("run.js", "alert(1)")
    return data.getvalue()


def asked(data: bytes, content_type: str = "image/png", **more: Any) -> dict[str, Any]:
    return {"filename": "photo.png", "contentType": content_type, "size": len(data), **more}


async def empty(client: Any, bucket: str) -> None:
    """A bucket with nothing in it; the S3 of a test run is shared."""
    await client.create_bucket(Bucket=bucket)
    for found in (await client.list_objects_v2(Bucket=bucket)).get("Contents", []):
        await client.delete_object(Bucket=bucket, Key=found["Key"])
