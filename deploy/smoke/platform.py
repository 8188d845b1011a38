"""Test helpers for a running platform: create a contact, send, wait for a status, read the carriers' ledger."""

from __future__ import annotations

from base64 import b64encode
from contextlib import ExitStack
from typing import Any, Self

import httpx

from deploy.local.stack import Stack
from deploy.smoke.client import Failed, Http, require, until

RANK = ["queued", "deferred", "claimed", "uncertain", "unknown", "sent", "failed", "delivered", "read"]
#: Final statuses of failure.
ENDS = frozenset({"suppressed", "cancelled", "failed", "expired"})
#: Refusals that end once the other services have received the contact, the consent, the file or the inbound message.
NOT_YET = ("CONTACT_", "NO_CONSENT", "FILE_NOT_FOUND", "TEMPLATE_REQUIRED")
TEMPLATE = {"kind": "template", "name": "order_update", "language": "en_US", "variables": {"1": "Ann", "2": "A-17"}}


class Platform:
    """HTTP clients of one stack, signed in as its demo people."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._exit = ExitStack()
        self.operator = self._exit.enter_context(Http(stack.api_url, stack.token("OPERATOR")))
        self.viewer = self._exit.enter_context(Http(stack.api_url, stack.token("VIEWER")))
        self.simulator = self._exit.enter_context(Http(stack.simulator_url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def contact(self, phone: str, name: str, *, opted_in: bool = True, channel: str = "whatsapp") -> str:
        """A contact with this number (the existing one, if any), opted in to the channel."""
        made = self.operator.call("POST", "/api/contacts", {"name": name, "phone": phone}, expect=(201, 409))
        contact_id = str(made["contactId"])
        if opted_in:
            self.opt_in(contact_id, channel)
        return contact_id

    def mailbox(self, email: str, name: str) -> str:
        """A contact with consent for e-mail."""
        made = self.operator.call("POST", "/api/contacts", {"name": name, "email": email}, expect=201)
        self.opt_in(str(made["contactId"]), "email")
        return str(made["contactId"])

    def opt_in(self, contact_id: str, channel: str) -> None:
        consent = {"optedIn": True, "how": "form", "words": f"Yes, message me ({channel})"}
        self.operator.call("PUT", f"/api/contacts/{contact_id}/consents/{channel}", consent)

    def send(self, contact_id: str, content: dict[str, Any], *, expect: int = 202, **more: Any) -> Any:
        body = {"contactId": contact_id, "channel": "whatsapp", "content": content, **more}
        return self.operator.call("POST", "/api/messages", body, expect=expect)

    def send_when_known(self, contact_id: str, content: dict[str, Any], **more: Any) -> str:
        """Send; retries while the other services have not received what the message needs and refuse it."""

        def attempt() -> str | None:
            try:
                return str(self.send(contact_id, content, **more)["messageId"])
            except Failed as failed:
                if any(code in str(failed) for code in NOT_YET):
                    return None
                raise

        return str(until("contact, consent, window and file to be known to the senders", attempt))

    def status(self, message_id: str) -> str:
        return str(self.operator.get(f"/api/messages/{message_id}")["status"])

    def reaches(self, message_id: str, wanted: str) -> list[str]:
        """Wait for a status; raises Failed if the status ever moved backwards. Returns the observed statuses."""
        seen: list[str] = []

        def look() -> bool:
            now = self.status(message_id)
            if not seen or seen[-1] != now:
                seen.append(now)
            require(now == wanted or now not in ENDS, f"message {message_id} is not {wanted} but {' → '.join(seen)}")
            return now == wanted

        until(f"message {message_id} to be {wanted}", look)
        ranks = [RANK.index(status) for status in seen if status in RANK]
        require(ranks == sorted(ranks), f"the status went back: {seen}")
        return seen

    def accepted(self, *, to: str | None = None, message_id: str | None = None) -> list[Any]:
        entries: list[Any] = self.simulator.get("/control/ledger", to=to, message_id=message_id)["entries"]
        return entries

    def writes_in(self, phone: str, text: str, times: int = 1, channel: str = "whatsapp") -> None:
        body: dict[str, Any] = {"from": phone, "text": text, "times": times}
        if channel == "whatsapp":
            body["profile_name"] = "Ann Example"
        self.simulator.call("POST", f"/control/inbound/{channel}", body)

    def picture_in(self, phone: str, data: bytes, times: int = 1) -> None:
        """A customer sends a file of type PNG on WhatsApp."""
        body = {
            "from": phone,
            "type": "image",
            "mime_type": "image/png",
            "data": b64encode(data).decode(),
            "times": times,
        }
        self.simulator.call("POST", "/control/inbound/whatsapp", body)

    def upload(self, data: bytes, content_type: str, filename: str, *, state: str = "ready", **more: Any) -> str:
        """Upload through the presigned URL, and expect a state; returns the file's id."""
        body = {"filename": filename, "contentType": content_type, "size": len(data), **more}
        asked = self.operator.call("POST", "/api/media", body, expect=201)
        link = asked["upload"]
        httpx.put(link["url"], content=data, headers=link["headers"], trust_env=False).raise_for_status()
        done = self.operator.call("POST", f"/api/media/{asked['fileId']}/complete")
        require(done["state"] == state, f"the upload is not {state}: {done}")
        return str(asked["fileId"])

    def download(self, file_id: str) -> httpx.Response:
        """Download through the presigned link."""
        link = self.viewer.get(f"/api/media/{file_id}/download")["url"]
        return httpx.get(link, trust_env=False).raise_for_status()

    def mails_in(self, sender: str, text: str, *, subject: str = "Re: Your order", times: int = 1, **more: Any) -> None:
        """A person sends an e-mail; ``more`` as the simulator accepts it (``in_reply_to``, ``html``, verdicts)."""
        body = {"from": sender, "to": "support@mail.example.com", "subject": subject, "text": text, "times": times}
        self.simulator.call("POST", "/control/inbound/email", body | more)

    def opted_out(self, contact_id: str, channel: str) -> Any:
        """Wait for an opt-out on the channel to be effective; returns its evidence."""

        def effective() -> Any:
            found = self.operator.get(f"/api/contacts/{contact_id}/consents")["evidence"]
            return next(
                (e for e in found if e["channel"] == channel and not e["optedIn"] and e.get("effectiveAt")), None
            )

        return until(f"the opt-out on {channel} to be effective", effective)

    def inbound_of(self, contact_id: str) -> list[Any]:
        items = self.operator.get("/api/messages", contactId=contact_id)["items"]
        return [message for message in items if message["direction"] == "inbound"]
