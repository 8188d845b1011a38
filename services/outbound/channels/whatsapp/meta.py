"""A client for numbers that are connected at Meta itself, with the same operations, arguments and answers as AWS's
client, so that one channel serves both, and one module (:mod:`services.outbound.sending.outcomes`) determines the
outcome of a send."""

from __future__ import annotations

from typing import Any

from libs.common.aws.files import Files, TooBig
from libs.common.aws.rest import Answered
from libs.common.handle.context import Context
from libs.messaging.file_types import MAX_FILE_BYTES
from libs.messaging.providers.graph import Graph, graph_of
from libs.messaging.settings import MessagingSettings

Json = dict[str, Any]


class MetaClient:
    """The operations of ``socialmessaging`` that a sender uses. Raises what :class:`~libs.messaging.providers.graph.Graph` does."""

    def __init__(self, sender: str, graph: Graph, files: Files) -> None:
        self._sender = sender
        self._graph = graph
        self._files = files

    async def send_whatsapp_message(self, originationPhoneNumberId: str, message: bytes, metaApiVersion: str) -> Json:
        return {"messageId": await self._graph.message(originationPhoneNumberId, message, metaApiVersion)}

    async def list_linked_whatsapp_business_accounts(self, maxResults: int) -> Json:
        """Meta has no such list; the number itself is queried."""
        await self._graph.number(self._sender)
        return {}

    async def post_whatsapp_message_media(self, originationPhoneNumberId: str, sourceS3File: dict[str, str]) -> Json:
        """Unlike AWS, Meta cannot read our bucket: the bytes are read here and uploaded, with the object's
        Content-Type."""
        bucket, key = sourceS3File["bucketName"], sourceS3File["key"]
        async with self._graph.files:
            about = await self._files.stat(bucket, key)
            try:
                data = await self._files.read(bucket, key, MAX_FILE_BYTES) if about else None
            except TooBig as error:
                raise Answered(400, "TooBig", str(error)) from None
            if about is None or data is None:
                raise Answered(400, "NoSuchKey", "It is not in our bucket.")
            name = key.rpartition("/")[2]
            return {"mediaId": await self._graph.upload(originationPhoneNumberId, data, about.content_type, name)}


async def client_of(sender: str, ctx: Context) -> Any | None:
    """Returns the client for a number that is connected at Meta; None for a number of AWS."""
    if not ctx.settings.of(MessagingSettings).is_at_meta(sender):
        return None
    return MetaClient(sender, await graph_of(ctx), ctx.files)
