"""Mail received by SES: the message is in the notification (SNS action, up to 150 KB) or in our bucket (S3 action),
where a handler reads it. Pure.

Mail that SES's scanners report as virus or spam, and mail that fails DMARC of a domain with a policy of rejection or
quarantine, is not accepted as a message: it becomes an account notice with the verdicts and without its content. Gray
and unfinished verdicts are accepted, with the verdicts in the message's details.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from email.utils import getaddresses
from typing import Any

from libs.common.clock import derived_id
from libs.common.errors import Malformed
from libs.messaging.channels import Channel
from libs.messaging.content import Content
from libs.messaging.events.inbound import AccountNoticed, EmailStored, MessageReceived
from services.inbound.channels.email.members import RECEIVED
from services.inbound.contract import Keyed
from services.inbound.parsing.fields import Json, an_object, iso_moment, needed, objects, optional
from services.inbound.parsing.mail.mime import Mime, read
from services.inbound.parsing.members import unknown, with_unknown_members

_SCANS = ("spam", "virus", "spf", "dkim", "dmarc")
_ENFORCED = frozenset({"REJECT", "QUARANTINE"})
#: Ids of mail that was sent through SES: ``<id>@email.amazonses.com``, ``<id>@<region>.amazonses.com``.
_OF_SES = ".amazonses.com"


def received(whole: Json) -> Keyed:
    """Translates a ``Received`` notification to ``[(key, event)]``. Raises Malformed."""
    mail, receipt = an_object(whole, "mail", "message"), an_object(whole, "receipt", "message")
    email_id, verdicts = needed(mail, "messageId", "mail"), _verdicts(receipt)
    if _refused(receipt, verdicts):
        details = {"id": email_id, "verdicts": verdicts}
        return [(f"email#{email_id}", AccountNoticed(channel=Channel.EMAIL, kind="email_refused", details=details))]
    action = an_object(receipt, "action", "receipt")
    if isinstance(whole.get("content"), str):
        return [(f"email#{email_id}", message_of(whole, read(_decoded(whole["content"], action))))]
    stored = EmailStored(
        email_id=email_id,
        bucket=needed(action, "bucketName", "receipt.action"),
        key=needed(action, "objectKey", "receipt.action"),
        notification={name: value for name, value in whole.items() if name != "notificationType"},
    )
    return [(f"email#{email_id}", stored)]


def message_of(notification: Json, found: Mime, where: str | None = None) -> MessageReceived:
    """Builds the message from SES's notification and the parsed mail; ``where`` its bytes are stored. Raises Malformed.

    Our id is derived from SES's id, because the writer chooses the Message-ID. The provider's id is that Message-ID
    with its brackets: our reply refers to it, and it can never equal an id of SES."""
    mail, receipt = an_object(notification, "mail", "message"), an_object(notification, "receipt", "message")
    email_id = needed(mail, "messageId", "mail")
    address, name = _sender(found, mail)
    content: Content = found.content
    extra_members = with_unknown_members(unknown(notification, RECEIVED))
    details: dict[str, Any] = {"verdicts": _verdicts(receipt), **found.details, **extra_members}
    if where:
        details["raw"] = where
    return MessageReceived(
        message_id=derived_id(Channel.EMAIL, email_id),
        channel=Channel.EMAIL,
        provider_message_id=found.header("message-id") or _header(mail, "message-id") or email_id,
        sender=address,
        sender_name=name,
        to=_recipient(receipt, mail),
        content=content,
        received_at=iso_moment(mail, "timestamp", "mail"),
        in_reply_to=_answered(found, mail),
        details=details,
    )


def _answered(found: Mime, mail: Json) -> str | None:
    """Returns the id of the message that is answered: SES's id of the first of ours in the thread, else the id in the
    header."""
    named = [
        each
        for header in ("in-reply-to", "references")
        for each in reversed((found.header(header) or _header(mail, header) or "").split())
    ]
    for each in named:
        known, _, domain = each.strip("<>").partition("@")
        if known and f".{domain.lower()}".endswith(_OF_SES):
            return known
    return named[0] if named else None


def _sender(found: Mime, mail: Json) -> tuple[str, str | None]:
    """Returns the address in From, which DMARC covers; the envelope's only if there is none. Only the domain is
    lower-cased."""
    for text in (found.header("from"), *_common(mail, "from"), optional(mail, "source")):
        for name, address in getaddresses([text or ""]):
            mailbox, _, domain = address.rpartition("@")
            if mailbox and domain:
                return f"{mailbox}@{domain.lower()}", name.strip()[:200] or None
    raise Malformed("mail.commonHeaders.from: no address, and none in mail.source")


def _recipient(receipt: Json, mail: Json) -> str:
    for source, name in ((receipt, "recipients"), (mail, "destination")):
        found = source.get(name)
        if isinstance(found, list) and found and isinstance(found[0], str):
            return found[0]
    raise Malformed("receipt.recipients: missing, and mail.destination too")


def _common(mail: Json, name: str) -> list[str]:
    found = an_object(mail, "commonHeaders", "mail").get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _header(mail: Json, name: str) -> str | None:
    """Returns a header as SES parsed it, for headers that the message's own bytes do not show."""
    for each in objects(mail, "headers", "mail"):
        if str(each.get("name", "")).lower() == name:
            return optional(each, "value")
    return optional(an_object(mail, "commonHeaders", "mail"), "messageId") if name == "message-id" else None


def _verdicts(receipt: Json) -> dict[str, str]:
    found = {scan: optional(an_object(receipt, f"{scan}Verdict", "receipt"), "status") for scan in _SCANS}
    return {scan: status for scan, status in found.items() if status}


def _refused(receipt: Json, verdicts: dict[str, str]) -> bool:
    forged = verdicts.get("dmarc") == "FAIL" and str(receipt.get("dmarcPolicy", "")).upper() in _ENFORCED
    return forged or "FAIL" in (verdicts.get("spam"), verdicts.get("virus"))


def _decoded(content: str, action: Json) -> bytes:
    """Decodes by the action's encoding; if it is not given, as base64 if the content is valid base64."""
    encoding = (optional(action, "encoding") or "").upper()
    if encoding != "UTF-8" and encoding != "UTF8":
        try:
            return b64decode("".join(content.split()), validate=True)
        except (binascii.Error, ValueError):
            if encoding == "BASE64":
                raise Malformed("message.content: not base64") from None
    return content.encode("utf-8", "surrogateescape")
