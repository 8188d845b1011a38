"""Files on WhatsApp, one step each way: a customer's picture is stored and downloaded, and a file is sent to a customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.smoke.client import require, until
from deploy.smoke.platform import Platform
from libs.simulator.socialmessaging.seeds import PDF, PNG

PHONE = "+12025550116"


def tell(on: Platform, say: Callable[[str], None]) -> None:
    """The picture comes first: it opens the service window for the file."""
    contact = on.contact(PHONE, "Finn Example")
    say(f"media in: {_in(on, contact)}")
    say(f"media out: {_out(on, contact)}")


def _in(on: Platform, contact: str) -> str:
    on.picture_in(PHONE, PNG, times=2)
    (message,) = until("the picture to be a message", lambda: on.inbound_of(contact))
    path = f"/api/messages/{message['messageId']}"
    (file_id,) = until("its file", lambda: on.operator.get(path)["mediaRefs"])
    require(on.download(file_id).content == PNG, "another file comes out than the customer sent in")
    return "a picture came twice, is one message with one file, and downloads byte for byte"


def _out(on: Platform, contact: str) -> str:
    file_id = on.upload(PDF, "application/pdf", "invoice-1001.pdf", channel="whatsapp")
    content: dict[str, Any] = {"kind": "media", "mediaType": "document", "file": {"fileId": file_id}}
    message = on.send_when_known(contact, content | {"caption": "Your invoice"}, messageClass="reply")
    seen = on.reaches(message, "read")
    (entry,) = on.accepted(message_id=message)
    sent = entry["payload"].get("document", {})
    require(sent.get("id") and sent.get("caption") == "Your invoice", f"the carrier took no document: {entry}")
    return f"a PDF, uploaded by a presigned link: {' → '.join(seen)}, accepted once as {sent.get('filename')}"
