"""Client of Meta's Graph API for WhatsApp numbers that are connected at Meta directly (Cloud API).

Source: Meta, "WhatsApp Cloud API: Messages, Media, Error codes" (v23.0, 2026). Each request is made once; a failure is
raised unchanged (:class:`~libs.common.aws.rest.Answered` for a response other than 2xx, with Meta's code), never
interpreted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import FormData
from yarl import URL

from libs.common.aws.rest import FILE_TIMEOUT_SECONDS, Answer, Answered, Rest
from libs.common.declare.service import Secret
from libs.common.handle.context import Context
from libs.messaging.settings import MessagingSettings

VERSION = "v23.0"
#: The access token of a system user that may send for all of ``meta_numbers``.
TOKEN = "meta-token"  # noqa: S105 - the name of a secret
OWNER = "outbound-whatsapp"
#: Hosts of Meta's files (``lookaside.fbsbx.com`` in 2026); the token is sent to no other host.
_HOSTS = (".fbsbx.com", ".facebook.com")
#: "Object with ID … does not exist, or cannot be loaded due to missing permissions": 100 with this subcode is not about the content.
_NO_OBJECT = 33

log = structlog.get_logger()


class NotMeta(Exception):
    """The URL of a file is not on one of Meta's hosts."""


@dataclass(frozen=True)
class Stored:
    """A file at Meta. ``url`` is valid for five minutes; ``sha256`` in hex and ``size`` in bytes are as reported by
    Meta."""

    url: str
    sha256: str
    size: int


def needs_token(service: str) -> Secret:
    """Returns the declaration of the token for ``service``; the sender owns it."""
    return Secret(TOKEN, owner="" if service == OWNER else OWNER)


async def graph_of(ctx: Context) -> Graph:
    """Returns the client with the platform's token. Without a token every request fails before it is sent, as AWS
    requests do without credentials."""
    try:
        token = (await ctx.secret(TOKEN)).strip()
    except Exception as error:
        log.warning("no token", secret=TOKEN, error=type(error).__name__)
        token = ""
    return Graph(ctx.rest, ctx.settings.of(MessagingSettings).meta_graph_url, token)


class Graph:
    """``base`` is the setting ``meta_graph_url``."""

    def __init__(self, rest: Rest, base: str, token: str) -> None:
        self._rest = rest
        self._base = base.rstrip("/")
        self._token = token

    async def message(self, number: str, body: bytes, version: str = VERSION) -> str | None:
        """``POST /{phone-number-id}/messages`` -> the wamid; None if a 2xx response does not contain it. Also raises
        ValueError."""
        found = _object(
            _good(await self._rest.ask("POST", self._at(version, number, "messages"), self._token, body=body))
        )
        sent = found.get("messages")
        first = sent[0] if isinstance(sent, list) and sent else None
        return _text(first.get("id")) if isinstance(first, dict) else None

    async def upload(self, number: str, data: bytes, content_type: str, filename: str) -> str | None:
        """``POST /{phone-number-id}/media`` -> Meta's id of the file, valid for 30 days."""
        form = FormData()
        form.add_field("messaging_product", "whatsapp")
        form.add_field("type", content_type)
        form.add_field("file", data, filename=filename, content_type=content_type)
        answer = await self._rest.ask(
            "POST", self._at(VERSION, number, "media"), self._token, body=form, seconds=FILE_TIMEOUT_SECONDS
        )
        return _text(_object(_good(answer)).get("id"))

    async def number(self, number: str) -> None:
        """``GET /{phone-number-id}``: checks that Meta responds."""
        _good(await self._rest.ask("GET", self._at(VERSION, number), self._token))

    async def media(self, media_id: str) -> Stored:
        """``GET /{media-id}``. Also raises ValueError."""
        found = _object(_good(await self._rest.ask("GET", self._at(VERSION, media_id), self._token)))
        url, sha256, size = found.get("url"), found.get("sha256"), found.get("file_size")
        if not isinstance(url, str) or not isinstance(sha256, str):
            raise ValueError("the answer has no url, or no sha256")
        return Stored(url, sha256, int(str(size)))

    async def file(self, url: str, maximum: int) -> bytes:
        """Downloads a ``url`` of :meth:`media`. Raises NotMeta, and :class:`~libs.common.aws.rest.TooLong` beyond
        ``maximum``."""
        try:
            # Parsed once, so that the checked URL is the one requested.
            where = URL(url)
        except ValueError:
            raise NotMeta from None
        if not self._meta(where):
            raise NotMeta
        return _good(
            await self._rest.ask("GET", where, self._token, maximum=maximum, seconds=FILE_TIMEOUT_SECONDS)
        ).body

    @property
    def files(self) -> Any:
        """Lock to hold while a whole file is in memory."""
        return self._rest.files

    def _at(self, version: str, *parts: str) -> str:
        return "/".join([self._base, version, *(quote(part, safe="") for part in parts)])

    def _meta(self, where: URL) -> bool:
        if where.user is not None or where.password is not None:
            return False
        base = URL(self._base)
        if (where.scheme, where.host, where.port) == (base.scheme, base.host, base.port):
            return True
        return where.scheme == "https" and where.port == 443 and (where.host or "").endswith(_HOSTS)


def _good(answer: Answer) -> Answer:
    """Raises Answered for anything but a 2xx."""
    if 200 <= answer.status < 300:
        return answer
    code, message = _error(answer)
    raise Answered(answer.status, code, message, answer.headers.get("Retry-After"))


def _error(answer: Answer) -> tuple[str, str]:
    """Returns Meta's code and text, taken from ``code`` and ``error_data.details``, never from titles."""
    try:
        error = _object(answer)["error"]
        number, words = int(error["code"]), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError):
        return "NoErrorBody", ""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    if number == 100 and error.get("error_subcode") == _NO_OBJECT:
        number = _NO_OBJECT
    return str(number), _text(details) or words


def _object(answer: Answer) -> dict[str, Any]:
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("the answer is no object")
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
