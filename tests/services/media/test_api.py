"""Uploads and downloads through the front entry point; the bytes go to a real S3 over the URLs that were answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.aws.clients import Aws
from libs.common.aws.files import AwsFiles
from libs.common.testing.world import World
from libs.messaging.events.media import MediaRejected, MediaStored
from services.media.model import MediaFile
from services.media.service import service
from tests.services.media import kit


@pytest.fixture
async def on(emulator: dict[str, str]) -> AsyncIterator[World]:
    """``media`` on memory, but with its bucket in a real S3."""
    async with Aws(environment=emulator) as aws, World([service], aws=aws) as world:
        world.runtime.files = AwsFiles(aws)
        client = await aws.client("s3")
        await kit.empty(client, kit.BUCKET)
        yield world


async def objects(on: World) -> list[str]:
    return await on.runtime.files.keys(kit.BUCKET, "")


async def put(answer: dict[str, Any], data: bytes, **headers: str) -> int:
    upload = answer["upload"]
    given = {name: value for name, value in upload["headers"].items() if name != "Content-Length"} | headers
    async with httpx.AsyncClient(trust_env=False) as s3:
        return (await s3.put(upload["url"], content=data, headers=given)).status_code


async def uploaded(on: World, data: bytes, content_type: str = "image/png", **more: Any) -> dict[str, Any]:
    """Ask, put, complete: the last answer."""
    asked = await on.http().post("/api/media", json=kit.asked(data, content_type, **more))
    assert asked.status_code == 201, asked.text
    assert await put(asked.json(), data) == 200
    done = await on.http().post(f"/api/media/{asked.json()['fileId']}/complete")
    assert done.status_code == 200, done.text
    await on.settle()
    found: dict[str, Any] = done.json()
    return found


async def test_a_file_is_uploaded_checked_announced_and_downloaded(on: World) -> None:
    done = await uploaded(on, kit.PNG, filename="../été\u202e.png")
    assert (done["state"], done["contentType"], done["size"]) == ("ready", "image/png", len(kit.PNG))
    assert done["fits"] == ["whatsapp", "sms", "email", "rcs"]
    (said,) = on.said(MediaStored)
    assert (said.file_id, said.bucket, said.message_id) == (done["fileId"], kit.BUCKET, None)
    assert await objects(on) == [f"files/{done['fileId']}.png"], "what was judged is tidied away"
    link = (await on.http("VIEWER").get(f"/api/media/{done['fileId']}/download")).json()
    async with httpx.AsyncClient(trust_env=False) as s3:
        got = await s3.get(link["url"])
    assert got.content == kit.PNG
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-disposition"].startswith("attachment; filename=\"_t_.png\"; filename*=UTF-8''%C3%A9")


async def test_s3_itself_refuses_another_size_or_type_than_was_asked_for(on: World) -> None:
    asked = (await on.http().post("/api/media", json=kit.asked(kit.PNG))).json()
    assert await put(asked, kit.PNG + b"more") == 403
    assert await put(asked, kit.PNG, **{"Content-Type": "text/html"}) == 403
    early = await on.http().post(f"/api/media/{asked['fileId']}/complete")
    assert (early.status_code, early.json()["code"]) == (409, "NOT_UPLOADED")
    assert await put(asked, kit.PNG) == 200


@pytest.mark.parametrize(
    ("data", "declared", "reason"),
    [
        (kit.EXE, "image/png", "type"),
        (kit.HTML, "text/plain", "type"),
        (kit.SVG, "image/png", "type"),
        (kit.zipped(), "application/pdf", "type"),
        (kit.JPEG, "image/png", "type_differs"),
        (kit.PDF, "image/jpeg", "type_differs"),
    ],
    ids=["program", "html", "svg", "zip", "other image", "document"],
)
async def test_a_file_that_is_not_what_it_says_is_rejected_with_the_reason(
    on: World, data: bytes, declared: str, reason: str
) -> None:
    done = await uploaded(on, data, declared)
    assert (done["state"], done["reason"]) == ("rejected", reason)
    assert done["detail"]
    assert [said.reason for said in on.said(MediaRejected)] == [reason]
    assert not on.said(MediaStored)
    assert await objects(on) == []
    refused = await on.http().get(f"/api/media/{done['fileId']}/download")
    assert (refused.status_code, refused.json()["code"]) == (409, "FILE_NOT_READY")


async def test_what_was_taken_cannot_be_exchanged_by_who_has_the_upload_url(on: World) -> None:
    asked = (await on.http().post("/api/media", json=kit.asked(kit.PNG))).json()
    await put(asked, kit.PNG)
    await on.http().post(f"/api/media/{asked['fileId']}/complete")
    await on.settle()
    other = kit.EXE[: len(kit.PNG)].ljust(len(kit.PNG), b"x")
    assert await put(asked, other) == 200, "the URL still works"
    again = await on.http().post(f"/api/media/{asked['fileId']}/complete")
    assert again.json()["state"] == "ready"
    link = (await on.http().get(f"/api/media/{asked['fileId']}/download")).json()
    async with httpx.AsyncClient(trust_env=False) as s3:
        assert (await s3.get(link["url"])).content == kit.PNG


async def test_the_same_key_is_the_same_file(on: World) -> None:
    key = {"Idempotency-Key": "upload-1"}
    first = await on.http().post("/api/media", json=kit.asked(kit.PNG), headers=key)
    again = await on.http().post("/api/media", json=kit.asked(kit.PNG), headers=key)
    assert first.json() == again.json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": 0}, "size"),
        ({"size": 100 * 1024 * 1024 + 1}, "size"),
        ({"size": "many"}, "size"),
        ({"contentType": "application/x-msdownload"}, "contentType"),
        ({"contentType": "image/svg+xml"}, "contentType"),
        ({"contentType": "text/html"}, "contentType"),
        ({"filename": ""}, "filename"),
        ({"filename": "../.."}, "filename"),
        ({"filename": "a" * 256}, "filename"),
        ({"channel": "fax"}, "channel"),
        ({"channel": "voice"}, "contentType"),
        ({"channel": "whatsapp", "size": 6 * 1024 * 1024}, "size"),
        ({"channel": "whatsapp", "contentType": "image/gif"}, "contentType"),
        ({"bucket": "mine"}, "bucket"),
    ],
)
async def test_a_bad_request_names_the_field(change: dict[str, Any], field: str) -> None:
    async with World([service]) as on:
        refused = await on.http().post("/api/media", json=kit.asked(kit.PNG) | change)
    assert refused.status_code == 422
    assert field in [error["field"] for error in refused.json()["errors"]]


async def test_who_may_do_what() -> None:
    async with World([service]) as on:
        assert (await on.http("VIEWER").post("/api/media", json=kit.asked(kit.PNG))).status_code == 403
        assert (await on.http("VIEWER").post("/api/media/x/complete")).status_code == 403
        for path in ("/api/media/x", "/api/media/x/download", "/api/media?messageId=x"):
            assert (await on.http(None).get(path)).status_code == 401
        for path in ("/api/media/x", "/api/media/x/download"):
            missing = await on.http("VIEWER").get(path)
            assert (missing.status_code, missing.json()["code"]) == (404, "FILE_NOT_FOUND")


async def test_an_upload_that_never_came_is_forgotten_after_a_day() -> None:
    async with World([service]) as on:
        asked = (await on.http().post("/api/media", json=kit.asked(kit.PNG))).json()
        await on.advance(86_400, step=86_400)
        assert await on.row("media", MediaFile, asked["fileId"]) is None
        assert (await on.http().get(f"/api/media/{asked['fileId']}")).status_code == 404
