"""The e-mail channel: converts our content to the arguments of sesv2 ``SendEmail``.

Formats and limits: SES API v2 reference, ``SendEmail`` (model 2019-09-27); *Service quotas in Amazon SES*: 40 MB with
attachments encoded, 50 recipients (our messages have one), headers of up to 126 and 995 printable ASCII characters, 15
of them; RFC 5322 and RFC 8058.
"""

from __future__ import annotations

import json
from email.utils import formataddr, parseaddr
from typing import Any

from libs.messaging.channels import Channel as Name
from libs.messaging.content import Content, Email, Template, Text
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import MessageClass, Purpose
from services.outbound.channels.email.codes import verdict
from services.outbound.channels.email.headers import checked, given_headers, one_line
from services.outbound.channels.email.mime import mime
from services.outbound.contract import Account, Invalid, Outcome, Outgoing, Request
from services.outbound.sending.outcomes import outcome_of

#: Maximum size of one encoded message at SES.
MAX_MESSAGE_BYTES = 40 * 1024 * 1024
MAX_TEMPLATE_DATA_BYTES = 262_144
MAX_SUBJECT_LENGTH = 998
MAX_LOCAL_PART_LENGTH = 64
#: A body may contain this placeholder, which is replaced by the unsubscribe link.
PLACEHOLDER = "{{unsubscribeUrl}}"
#: A text without a subject gets its beginning as the subject, up to this length.
MAX_HEADING_LENGTH = 60

Json = dict[str, Any]


class EmailChannel:
    """See :class:`services.outbound.contract.Channel`. Options: ``configurationSet``, ``replyTo``, ``messageIdHost``
    (of the ids that recipients see), and ``unsubscribeUrl`` from ``prepare``; files by their URL."""

    name = Name.EMAIL
    provider = "sesv2"

    def render(self, message: Outgoing, account: Account) -> Request:
        """Returns the arguments of ``SendEmail``. Our id is the tag ``messageId``, which every event of SES
        includes."""
        request: Json = {
            "FromEmailAddress": _sender(account.sender),
            "Destination": {"ToAddresses": [_recipient(message.to)]},
            "Content": _content(message, account),
            "EmailTags": _tags(message),
        }
        reply_to = _reply_to(message.content) or account.options.get("replyTo")
        if reply_to:
            request["ReplyToAddresses"] = [one_line(reply_to, "Reply-To")]
        if account.options.get("configurationSet"):
            request["ConfigurationSetName"] = account.options["configurationSet"]
        return request

    async def probe(self, client: Any) -> None:
        await client.get_account()

    async def send(self, request: Request, client: Any) -> Outcome:
        return await outcome_of(client.send_email(**request), "MessageId", verdict)

    def units(self, request: Request) -> int:
        """SES counts recipients."""
        return len(request["Destination"]["ToAddresses"])


def _tags(message: Outgoing) -> list[Json]:
    """The tags that every event of the message includes; values are ASCII letters, digits, ``_`` and ``-``."""
    tags = {"messageId": message.message_id, "class": message.message_class.value}
    if message.job_id:
        tags["jobId"] = message.job_id
    return [{"Name": name, "Value": value} for name, value in tags.items()]


def wants_unsubscribe(message: Outgoing) -> bool:
    """Whether the message needs a one-click unsubscribe link: marketing and bulk (RFC 8058; Gmail and Yahoo require
    it)."""
    return message.purpose is Purpose.MARKETING or message.message_class is MessageClass.BULK


def _content(message: Outgoing, account: Account) -> Json:
    match message.content:
        case Email():
            return _email(message.content, message, account)
        case Text():
            heading = (message.content.body.strip().splitlines() or [""])[0][:MAX_HEADING_LENGTH] or "Message"
            return _email(Email(subject=heading, text=message.content.body), message, account)
        case Template():
            return _template(message.content, message, account)
        case _:
            raise Invalid(ErrorCode.UNSUPPORTED, f"E-mail cannot carry {message.content.kind}.")


def _email(email: Email, message: Outgoing, account: Account) -> Json:
    subject = one_line(email.subject, "subject")
    if len(subject.encode()) > MAX_SUBJECT_LENGTH:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"The subject is longer than {MAX_SUBJECT_LENGTH} bytes.")
    if not email.text and not email.html:
        raise Invalid(ErrorCode.INVALID_CONTENT, "An e-mail needs text, html or both.")
    url = account.options.get("unsubscribeUrl")
    if url is None and PLACEHOLDER in f"{email.text}{email.html}":
        raise Invalid(ErrorCode.INVALID_CONTENT, f"{PLACEHOLDER} is for marketing and bulk messages.")
    text, html = (part.replace(PLACEHOLDER, url or "") if part else None for part in (email.text, email.html))
    headers = _headers(email.headers, message, account)
    if not email.attachments:
        body = {"Text": _data(text)} if text else {}
        body |= {"Html": _data(html)} if html else {}
        return {"Simple": {"Subject": _data(subject), "Body": body, **_listed(headers)}}
    whole = Email(subject=subject, text=text, html=html, attachments=email.attachments)
    reply_to = _reply_to(email) or account.options.get("replyTo")
    if reply_to:
        headers = {**headers, "Reply-To": reply_to}
    raw = mime(whole, message.to, account.sender, headers, account.files, message.message_id)
    if len(raw) > MAX_MESSAGE_BYTES:
        raise Invalid(
            ErrorCode.INVALID_CONTENT, f"{len(raw)} bytes with attachments are more than {MAX_MESSAGE_BYTES}."
        )
    return {"Raw": {"Data": raw}}


def _template(template: Template, message: Outgoing, account: Account) -> Json:
    """Content for a template of SES. SES reports missing variables later, as a rendering failure."""
    data = json.dumps(template.variables, ensure_ascii=False, separators=(",", ":"))
    if len(data) > MAX_TEMPLATE_DATA_BYTES:
        raise Invalid(ErrorCode.INVALID_CONTENT, f"The variables are longer than {MAX_TEMPLATE_DATA_BYTES} characters.")
    if template.header or template.components:
        raise Invalid(ErrorCode.UNSUPPORTED, "A template of SES has variables, no header and no components.")
    return {
        "Template": {
            "TemplateName": template.name,
            "TemplateData": data,
            **_listed(_headers({}, message, account)),
        }
    }


def _headers(given: dict[str, str], message: Outgoing, account: Account) -> dict[str, str]:
    """Returns the headers in the order in which they are sent: thread, unsubscribe, then the message's own."""
    headers: dict[str, str] = {}
    if message.in_reply_to:
        answered = _message_id(message.in_reply_to, account)
        headers |= {"In-Reply-To": answered, "References": answered}
    url = account.options.get("unsubscribeUrl")
    if url:
        headers |= {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return checked(headers | given_headers(given))


def _message_id(provider_id: str, account: Account) -> str:
    """Returns the Message-ID of mail: a foreign id is complete; for ours, SES returns only the part before the
    ``@``."""
    if "@" in provider_id:
        return provider_id if provider_id.startswith("<") else f"<{provider_id}>"
    return f"<{provider_id}@{account.options.get('messageIdHost', 'email.amazonses.com')}>"


def _recipient(address: str) -> str:
    """Checks the address: SES accepts ASCII only; its format was validated before."""
    local = address.rpartition("@")[0]
    if not address.isascii() or not address.isprintable() or not 1 <= len(local) <= MAX_LOCAL_PART_LENGTH:
        raise Invalid(
            ErrorCode.INVALID_RECIPIENT, "SES takes addresses in ASCII with up to 64 characters before the @."
        )
    return address


def _sender(identity: str) -> str:
    """Returns ``Name <address>``. A name that is not ASCII is encoded here (RFC 2047), because SES does not encode
    it."""
    name, address = parseaddr(one_line(identity, "the sender"))
    return identity if identity.isascii() else formataddr((name, address))


def _reply_to(content: Content) -> str | None:
    if not isinstance(content, Email):
        return None
    return next((value for name, value in content.headers.items() if name.lower() == "reply-to"), None)


def _data(text: str) -> Json:
    return {"Data": text, "Charset": "UTF-8"}


def _listed(headers: dict[str, str]) -> Json:
    return {"Headers": [{"Name": name, "Value": value} for name, value in headers.items()]} if headers else {}
