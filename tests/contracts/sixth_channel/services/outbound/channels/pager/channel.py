"""Pagers: a text of up to 400 characters, sent by the provider's own API. People are known by the provider's id of their pager.

A toy: there is no such provider.
"""

from __future__ import annotations

import json
from typing import Any

from services.outbound.channels.pager.codes import verdict

from libs.common.aws.rest import Answered, Rest
from libs.common.handle.context import Context
from libs.messaging.channels import Channel as Name
from libs.messaging.content import Text
from libs.messaging.errors import ErrorCode
from libs.messaging.settings import MessagingSettings
from services.outbound.contract import Account, Invalid, Outcome, Outgoing, Request
from services.outbound.sending.outcomes import outcome_of

MAX_TEXT_LENGTH = 400
#: The access token, as a secret of the service.
TOKEN = "pager-token"


class PagerClient:
    """The provider's API with our token. Each request is made once."""

    def __init__(self, rest: Rest, url: str, token: str) -> None:
        self._rest, self._url, self._token = rest, url, token

    async def page(self, request: Request) -> dict[str, Any]:
        """``POST /pages`` -> its answer. Raises Answered for an answer that is no 2xx, and ValueError."""
        answer = await self._rest.ask("POST", f"{self._url}/pages", self._token, body=json.dumps(request).encode())
        if not 200 <= answer.status < 300:
            code, message = _error(answer.body)
            raise Answered(answer.status, code, message, answer.headers.get("Retry-After"))
        found: dict[str, Any] = answer.json()
        return found


class Pager:
    """Text only."""

    name = Name.PAGER
    provider = "pager"

    def render(self, message: Outgoing, account: Account) -> Request:
        if not isinstance(message.content, Text):
            raise Invalid(ErrorCode.UNSUPPORTED, f"A pager cannot show {message.content.kind}.")
        if len(message.content.body) > MAX_TEXT_LENGTH:
            raise Invalid(ErrorCode.INVALID_CONTENT, f"The text is longer than {MAX_TEXT_LENGTH} characters.")
        return {
            "from": account.sender, "to": message.to, "text": message.content.body, "reference": message.message_id
        }  # fmt: skip

    async def own_client(self, sender: str, ctx: Context) -> PagerClient:
        url = ctx.settings.of(MessagingSettings).senders_of(self.name).parameters_of(sender)["url"]
        return PagerClient(ctx.rest, url, await ctx.secret(TOKEN))

    async def send(self, request: Request, client: PagerClient) -> Outcome:
        return await outcome_of(client.page(request), "id", verdict)

    def units(self, request: Request) -> int:
        return 1


def _error(body: bytes) -> tuple[str, str]:
    try:
        error = json.loads(body)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "no_error_body", ""
