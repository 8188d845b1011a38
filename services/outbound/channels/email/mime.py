"""Builds a message with attachments as MIME with Python's own library; the same message always gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import EmailMessage, Message
from email.policy import SMTP

from libs.messaging.content import Email, File
from libs.messaging.errors import ErrorCode
from services.outbound.contract import Invalid

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_UNKNOWN = "application/octet-stream"
#: SES refuses executable attachments (*Unsupported attachment types*); these are the most common ones.
_REFUSED = (".bat", ".cmd", ".com", ".cpl", ".exe", ".jse", ".jar", ".lnk", ".msi", ".pif", ".ps1", ".reg", ".scr", ".vbe",
            ".vbs", ".wsf")  # fmt: skip


def mime(
    email: Email, to: str, sender: str, headers: Mapping[str, str], files: Mapping[str, bytes], message_id: str
) -> bytes:
    """Returns the whole message. ``files`` are the attachments by URL. Raises Invalid."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = sender
        message["To"] = to
        message["Subject"] = email.subject
        for name, value in headers.items():
            message[name] = value
    except ValueError as error:
        # The library refuses line breaks too; those are checked before, so this is another error in the header.
        raise Invalid(ErrorCode.INVALID_CONTENT, f"A header cannot be written: {type(error).__name__}.") from None
    if email.text:
        message.set_content(email.text)
        if email.html:
            message.add_alternative(email.html, subtype="html")
    else:
        message.set_content(email.html or "", subtype="html")
    for file in email.attachments:
        _attach(message, file, files)
    for n, part in enumerate(part for part in message.walk() if part.is_multipart()):
        _bound(part, f"=_{message_id}_{n}")
    return message.as_bytes()


def _attach(message: EmailMessage, file: File, files: Mapping[str, bytes]) -> None:
    data = files.get(file.url or "")
    if data is None:
        raise Invalid(ErrorCode.MEDIA_FAILED, "An attachment is a file of ours or a public link.")
    name = file.filename or (file.url or "").rpartition("/")[2] or "attachment"
    if any(c < " " or c == "\x7f" for c in name):
        raise Invalid(ErrorCode.INVALID_CONTENT, "There is a line break or control character in a file name.")
    if name.lower().endswith(_REFUSED):
        raise Invalid(ErrorCode.INVALID_CONTENT, f"SES does not take attachments of the type of {name!r}.")
    kind = (file.content_type or _UNKNOWN).partition(";")[0].strip().lower()
    main, _, sub = (kind if _TYPE.fullmatch(kind) else _UNKNOWN).partition("/")
    if main in ("multipart", "message"):
        main, sub = _UNKNOWN.split("/")
    message.add_attachment(data, maintype=main, subtype=sub, filename=name)


def _bound(part: Message, boundary: str) -> None:
    part.set_boundary(boundary)
