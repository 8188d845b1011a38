"""WhatsApp media: uploads from S3 or a presigned URL, downloads to them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from libs.simulator.aws import session
from libs.simulator.core import Core
from libs.simulator.errors import ProviderError
from libs.simulator.socialmessaging import media_rules
from libs.simulator.socialmessaging.account import Account
from libs.simulator.socialmessaging.records import Media

TRANSFER_TIMEOUT_SECONDS = 30


class MediaStore:
    """Post, get and delete. S3 is reached through `Settings.s3_endpoint`."""

    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account
        self.stack = AsyncExitStack()
        self.s3: Any = None

    async def post(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.number(params["originationPhoneNumberId"])
        source = one_of(params, "sourceS3File", "sourceS3PresignedUrl")
        if source == "sourceS3File":
            mime_type, data = await self._read_s3(params[source])
        else:
            mime_type, data = await fetch(params[source])
        problem = media_rules.file_problem(mime_type, len(data))
        if problem:
            raise ProviderError("InvalidParametersException", f"(#131053) Media upload error: {problem}")
        return {"mediaId": self.account.store(mime_type, data, "upload").id}

    async def get(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.number(params["originationPhoneNumberId"])
        media = self._find(params["mediaId"])
        answer = {"mimeType": media.mime_type, "fileSize": len(media.data)}
        if params.get("metadataOnly"):
            if "destinationS3File" in params or "destinationS3PresignedUrl" in params:
                raise ProviderError("InvalidParametersException", "metadataOnly takes no destination")
            return answer
        destination = one_of(params, "destinationS3File", "destinationS3PresignedUrl")
        if destination == "destinationS3File":
            await self._write_s3(params[destination], media)
        else:
            await deliver(params[destination], media)
        return answer

    async def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.number(params["originationPhoneNumberId"])
        del self.account.media[self._find(params["mediaId"]).id]
        return {"success": True}

    def _find(self, media_id: str) -> Media:
        media = self.account.media.get(media_id)
        if media is None:
            raise ProviderError("ResourceNotFoundException", f"Media {media_id} was not found")
        return media

    async def _client(self) -> Any:
        endpoint = self.core.settings.s3_endpoint
        if endpoint is None:
            raise ProviderError("DependencyException", "The simulator was started without an S3 endpoint")
        if self.s3 is None:
            # Path style, because emulators have no wildcard host names.
            config = AioConfig(
                s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=TRANSFER_TIMEOUT_SECONDS
            )
            url = None if endpoint == "aws" else endpoint
            context = session().create_client(
                "s3", region_name=self.core.settings.region, endpoint_url=url, config=config
            )
            self.s3 = await self.stack.enter_async_context(context)
        return self.s3

    async def _read_s3(self, file: dict[str, str]) -> tuple[str, bytes]:
        client = await self._client()
        try:
            found = await client.get_object(Bucket=file["bucketName"], Key=file["key"])
            async with found["Body"] as stream:
                return str(found.get("ContentType", "")), await stream.read()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise ProviderError("InvalidParametersException", f"S3 refused to read the source file: {code}") from error
        except BotoCoreError as error:
            raise ProviderError("DependencyException", "S3 could not be reached") from error

    async def _write_s3(self, file: dict[str, str], media: Media) -> None:
        client = await self._client()
        # AWS appends id and extension to the key: prefix `inbound_` -> `inbound_<id>.jpeg`.
        key = f"{file['key']}{media.id}{media_rules.extension(media.mime_type)}"
        kind = media_rules.bare(media.mime_type)
        try:
            await client.put_object(Bucket=file["bucketName"], Key=key, Body=media.data, ContentType=kind)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise ProviderError("InvalidParametersException", f"S3 refused to write the file: {code}") from error
        except BotoCoreError as error:
            raise ProviderError("DependencyException", "S3 could not be reached") from error

    async def close(self) -> None:
        """Close the connection to S3; the next use opens another."""
        await self.stack.aclose()
        self.s3 = None


def one_of(params: dict[str, Any], *names: str) -> str:
    """The one member given; sources and destinations are mutually exclusive."""
    given = [name for name in names if name in params]
    if len(given) != 1:
        raise ProviderError("InvalidParametersException", f"Exactly one of {', '.join(names)} is required")
    return given[0]


async def fetch(source: dict[str, Any]) -> tuple[str, bytes]:
    """GET a presigned URL with the headers it was signed for."""
    timeout = aiohttp.ClientTimeout(total=TRANSFER_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(source["url"], headers=source["headers"]) as answer,
        ):
            if answer.status != 200:
                raise ProviderError("InvalidParametersException", f"The presigned URL answered {answer.status}")
            return answer.content_type, await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ProviderError("DependencyException", "The presigned URL could not be reached") from error


async def deliver(destination: dict[str, Any], media: Media) -> None:
    """PUT to a presigned URL."""
    timeout = aiohttp.ClientTimeout(total=TRANSFER_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.put(destination["url"], headers=destination["headers"], data=media.data) as answer,
        ):
            if answer.status >= 300:
                raise ProviderError("InvalidParametersException", f"The presigned URL answered {answer.status}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ProviderError("DependencyException", "The presigned URL could not be reached") from error
