"""The WhatsApp channel: converts our content to Meta's message JSON, sent by ``SendWhatsAppMessage``, or by Meta's own
API for numbers connected there.

Formats and limits: Meta, "WhatsApp Cloud API, Messages" and "Interactive messages" (2026); AWS End User Messaging
Social API reference (2024-01-01). AWS requires ``to`` in E.164 with its plus.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from libs.common.handle.context import Context
from libs.messaging.channels import BUSINESS_SCOPED_ID
from libs.messaging.channels import Channel as Name
from libs.messaging.content import (
    Contacts,
    Content,
    File,
    Interactive,
    Location,
    Media,
    Reaction,
    Template,
    Text,
)
from libs.messaging.errors import ErrorCode
from libs.messaging.providers.graph import VERSION
from libs.messaging.vocabulary import MessageClass
from services.outbound.channels.whatsapp.codes import verdict
from services.outbound.channels.whatsapp.interactive import interactive
from services.outbound.channels.whatsapp.meta import client_of
from services.outbound.contract import Account, Invalid, Outcome, Outgoing, Request
from services.outbound.sending.outcomes import outcome_of

MAX_TEXT_LENGTH = 4096
MAX_MESSAGE_LENGTH = 2_048_000
#: Audio and stickers have no caption.
_CAPTIONED = frozenset({"image", "video", "document"})

Json = dict[str, Any]


class WhatsApp:
    """See :class:`services.outbound.contract.Channel`. Option ``meta_api_version`` overrides the version."""

    name = Name.WHATSAPP
    provider = "socialmessaging"
    #: Meta keeps an upload for 30 days.
    keeps = timedelta(days=29)

    def render(self, message: Outgoing, account: Account) -> Request:
        """Returns the arguments of ``SendWhatsAppMessage``; ``message`` is the JSON for Meta."""
        body = json.dumps(meta_message(message), ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_MESSAGE_LENGTH:
            raise Invalid(ErrorCode.INVALID_CONTENT, f"{len(body)} bytes are more than {MAX_MESSAGE_LENGTH}.")
        return {
            "originationPhoneNumberId": account.sender,
            "message": body,
            "metaApiVersion": account.options.get("meta_api_version", VERSION),
        }

    async def probe(self, client: Any) -> None:
        await client.list_linked_whatsapp_business_accounts(maxResults=1)

    async def send(self, request: Request, client: Any) -> Outcome:
        return await outcome_of(client.send_whatsapp_message(**request), "messageId", verdict)

    async def upload(self, bucket: str, key: str, sender: str, client: Any) -> Outcome:
        """``PostWhatsAppMessageMedia``: Meta fetches the file from our bucket, with the object's Content-Type."""
        call = client.post_whatsapp_message_media(
            originationPhoneNumberId=sender, sourceS3File={"bucketName": bucket, "key": key}
        )
        return await outcome_of(call, "mediaId", verdict)

    async def own_client(self, sender: str, ctx: Context) -> Any | None:
        """Returns Meta's own client for the numbers in the setting ``meta_numbers``."""
        return await client_of(sender, ctx)

    def units(self, request: Request) -> int:
        return 1


def meta_message(message: Outgoing) -> Json:
    """Returns Meta's message JSON. Our id is ``biz_opaque_callback_data``, which every status includes."""
    kind, value = _content(message.content, message)
    scoped = BUSINESS_SCOPED_ID.valid(message.to)
    if scoped and message.message_class is MessageClass.OTP and kind == "template":
        raise Invalid(ErrorCode.INVALID_RECIPIENT, "A one-time code cannot go to a user id (131062).")
    body: Json = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    body["recipient" if scoped else "to"] = message.to
    if message.in_reply_to and kind != "reaction":
        body["context"] = {"message_id": message.in_reply_to}
    return {**body, "type": kind, kind: value, "biz_opaque_callback_data": message.message_id}


def _content(content: Content, message: Outgoing) -> tuple[str, Any]:
    match content:
        case Text():
            return "text", _text(content)
        case Media():
            return content.media_type, _media(content)
        case Template():
            return "template", _template(content, message)
        case Location():
            place = {"latitude": content.latitude, "longitude": content.longitude}
            return "location", {**place, **_given(name=content.name, address=content.address)}
        case Contacts():
            return "contacts", _contacts(content)
        case Reaction():
            return "reaction", {"message_id": message.in_reply_to or content.message_id, "emoji": content.emoji}
        case Interactive():
            return "interactive", interactive(content)
        case _:
            raise Invalid(ErrorCode.UNSUPPORTED, f"WhatsApp cannot carry {content.kind}.")


def _text(text: Text) -> Json:
    if len(text.body) > MAX_TEXT_LENGTH:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"The text is longer than {MAX_TEXT_LENGTH} characters.")
    return {"body": text.body, "preview_url": text.preview_url}


def _media(media: Media) -> Json:
    if media.caption and media.media_type not in _CAPTIONED:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"A caption is not possible with {media.media_type}.")
    value = _file(media.file)
    if media.media_type == "document":
        value |= _given(filename=media.file.filename)
    return value | _given(caption=media.caption)


def _file(file: File) -> Json:
    """A file by Meta's id or by a link that Meta fetches; our own files must have one of these before."""
    if file.provider_id:
        return {"id": file.provider_id}
    if file.url and file.url.startswith("https://"):
        return {"link": file.url}
    raise Invalid(ErrorCode.INVALID_CONTENT, "A file needs the provider's media id or an https link.")


def _template(template: Template, message: Outgoing) -> Json:
    components = [dict(component) for component in template.components]
    given = {str(component.get("type")).lower() for component in components}
    if template.header is not None and "header" not in given:
        components.insert(0, {"type": "header", "parameters": [_header(template.header)]})
    if template.variables and "body" not in given:
        at = 1 if components and components[0].get("type") == "header" else 0
        components.insert(at, {"type": "body", "parameters": _variables(template.variables)})
    if message.message_class is MessageClass.OTP and "button" not in given:
        components += _code_button(template.variables)
    value: Json = {"name": template.name, "language": {"code": template.language}}
    return {**value, "components": components} if components else value


def _variables(variables: dict[str, str]) -> list[Json]:
    """Positional variables (``"1"``, ``"2"`` …, none missing) in their order, others by name."""
    if all(name.isdecimal() for name in variables):
        wanted = [str(n) for n in range(1, len(variables) + 1)]
        if sorted(variables, key=int) != wanted:
            raise Invalid(ErrorCode.VARIABLES_INCOMPLETE, f"Variables {', '.join(wanted)} are expected.")
        parameters: list[Json] = [{"type": "text", "text": variables[name]} for name in wanted]
    else:
        parameters = [{"type": "text", "parameter_name": name, "text": text} for name, text in variables.items()]
    if any(not parameter["text"] for parameter in parameters):
        raise Invalid(ErrorCode.VARIABLES_INCOMPLETE, "A variable is empty.")
    return parameters


def _code_button(variables: dict[str, str]) -> list[Json]:
    """An authentication template has its code twice: in the body and in the button that copies it."""
    if not variables:
        raise Invalid(ErrorCode.VARIABLES_INCOMPLETE, "The code is missing.")
    code = variables.get("1") or variables.get("code") or next(iter(variables.values()))
    return [{"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": code}]}]


def _header(file: File) -> Json:
    kind = (file.content_type or "").partition("/")[0]
    if kind not in ("image", "video"):
        kind = "document"
    value = _file(file)
    return {"type": kind, kind: value | (_given(filename=file.filename) if kind == "document" else {})}


def _contacts(contacts: Contacts) -> list[Json]:
    for card in contacts.contacts:
        if not isinstance(card.get("name"), dict) or not card["name"].get("formatted_name"):
            raise Invalid(ErrorCode.INVALID_CONTENT, "A contact card needs name.formatted_name.")
    return contacts.contacts


def _given(**values: str | None) -> Json:
    return {name: value for name, value in values.items() if value}
