"""Meta's Graph API for the account's numbers, as if they were connected at Meta directly: messages and media (facts 2.14).

The account, its windows, templates and media are shared with the AWS service. Differences: ids are wamids, errors are Meta's JSON, what
Meta refuses at once (templates, rates) is refused at once, and events go to the webhook instead of SNS. Any bearer token is
accepted; which HTTP status belongs to which code is documented for few of them.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from aiohttp import web

from libs.simulator.core import Addressee, Core
from libs.simulator.errors import ProviderError
from libs.simulator.fault_injection import Call, FaultInjector
from libs.simulator.socialmessaging import media_rules
from libs.simulator.socialmessaging.account import Account
from libs.simulator.socialmessaging.records import Media, Number, Waba
from libs.simulator.socialmessaging.send import DIRECT, Sender

VERSION = r"{version:v\d{1,2}\.\d}"
NO_TOKEN = "Invalid OAuth access token - Cannot parse access token"  # noqa: S105 - Meta's words
_CODED = re.compile(r"\(#(\d+)\) ([^:]*)(?:: (.*))?", re.DOTALL)


class Graph:
    """`POST /{id}/messages`, `POST /{id}/media`, `GET /{media-id}`, and the file at the URL that it answers with."""

    name = DIRECT.service

    def __init__(self, core: Core, account: Account, sender: Sender, fault_injector: FaultInjector) -> None:
        self.core = core
        self.account = account
        self.sender = sender
        self.fault_injector = fault_injector

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post(f"/{VERSION}/{{number}}/messages", self.messages)
        router.add_post(f"/{VERSION}/{{number}}/media", self.upload)
        router.add_get(f"/{VERSION}/{{media}}", self.media)
        router.add_get("/whatsapp_business/attachments/", self.file)

    def refusal(self, kind: str) -> ProviderError:
        if kind == "throttled":
            return ProviderError("130429", "(#130429) Rate limit hit", status=429)
        if kind == "invalid_number":
            return ProviderError("100", "(#100) Invalid parameter: Param to must be a valid WhatsApp number")
        return ProviderError("131000", "(#131000) Something went wrong", status=500)

    async def messages(self, request: web.Request) -> web.StreamResponse:
        params: dict[str, Any] = {"message": await request.read()}
        try:
            self._known(request)
            addressee = self.sender.prepare(params)
        except ProviderError as error:
            return refused(error)
        return await self._carry_out(request, "messages", partial(self._send, request, params["body"]), addressee)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        return await self._carry_out(request, "media.upload", partial(self._store, request, form))

    async def media(self, request: web.Request) -> web.StreamResponse:
        return await self._carry_out(request, "media.get", partial(self._describe, request))

    async def file(self, request: web.Request) -> web.StreamResponse:
        return await self._carry_out(request, "media.file", partial(self._read, request))

    async def _carry_out(
        self, request: web.Request, operation: str, run: Any, addressee: Addressee | None = None
    ) -> web.StreamResponse:
        return await self.fault_injector.carry_out(request, Call(self, operation, addressee, run, answered, refused))

    def _known(self, request: web.Request) -> None:
        """Require a bearer token; all tokens are accepted."""
        if not re.fullmatch(r"Bearer \S+", request.headers.get("Authorization", "")):
            raise ProviderError("190", NO_TOKEN, status=401)

    def _number(self, request: web.Request) -> tuple[Waba, Number]:
        key = request.match_info["number"]
        found = self.account.number_for(key)
        if found is None or found[1].meta_id != key:
            raise no_object(key)
        return found

    async def _send(self, request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        waba, number = self._number(request)
        wamid = self.sender.accept(waba, number, body, DIRECT)
        if "status" in body:
            return {"success": True}
        to = str(body.get("to") or body.get("recipient"))
        who = {"input": to, "wa_id": to.removeprefix("+")}
        sent = {"id": wamid, **({"message_status": "accepted"} if body.get("type") == "template" else {})}
        return {"messaging_product": "whatsapp", "contacts": [who], "messages": [sent]}

    async def _store(self, request: web.Request, form: Any) -> dict[str, Any]:
        self._known(request)
        self._number(request)
        file = form.get("file")
        if form.get("messaging_product") != "whatsapp" or not isinstance(file, web.FileField):
            raise ProviderError("100", "(#100) Invalid parameter: messaging_product and file are required")
        data, mime_type = file.file.read(), str(form.get("type") or file.content_type)
        problem = media_rules.file_problem(mime_type, len(data))
        if problem:
            raise ProviderError("131053", f"(#131053) Media upload error: {problem}")
        return {"id": self.account.store(mime_type, data, "upload").id}

    async def _describe(self, request: web.Request) -> dict[str, Any]:
        self._known(request)
        media = self._media(request.match_info["media"])
        url = f"{request.scheme}://{request.host}/whatsapp_business/attachments/?mid={media.id}"
        return {
            "messaging_product": "whatsapp", "url": url, "mime_type": media.mime_type, "sha256": media.sha256,
            "file_size": len(media.data), "id": media.id,
        }  # fmt: skip

    async def _read(self, request: web.Request) -> Media:
        self._known(request)
        return self._media(request.query.get("mid", ""))

    def _media(self, media_id: str) -> Media:
        found = self.account.media.get(media_id)
        if found is None:
            raise no_object(media_id)
        return found


def no_object(key: str) -> ProviderError:
    words = (
        f"Unsupported request. Object with ID '{key}' does not exist, or cannot be loaded due to missing permissions"
    )
    return ProviderError("100", words, members={"error_subcode": 33, "type": "GraphMethodException"})


def answered(answer: Any) -> web.Response:
    if isinstance(answer, Media):
        return web.Response(body=answer.data, content_type=media_rules.bare(answer.mime_type))
    return web.Response(body=json.dumps(answer).encode(), content_type="application/json")


def refused(error: ProviderError) -> web.Response:
    """The error format of Meta: `{"error": {message, type, code, error_subcode?, error_data?, fbtrace_id}}`."""
    coded = _CODED.fullmatch(error.message)
    code = int(coded[1]) if coded else int(error.code) if error.code.isdigit() else 100
    body: dict[str, Any] = {"message": f"(#{code}) {coded[2]}" if coded else error.message, "type": "OAuthException"}
    body |= {"code": code, "fbtrace_id": "SIMULATED"}
    details = coded[3] if coded else None
    if details:
        body["error_data"] = {"messaging_product": "whatsapp", "details": details}
    body |= error.members
    status = error.status or (401 if code == 190 else 400)
    return web.Response(status=status, body=json.dumps({"error": body}).encode(), content_type="application/json")
