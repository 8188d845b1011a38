"""Actions of customers and of Meta, triggered by the control API: inbound messages, opt-outs, account changes."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from libs.simulator.core import Core
from libs.simulator.errors import ControlError
from libs.simulator.request_body import RequestBody
from libs.simulator.socialmessaging import events
from libs.simulator.socialmessaging.account import Account
from libs.simulator.socialmessaging.body import E164
from libs.simulator.socialmessaging.records import Number, Waba
from libs.simulator.socialmessaging.seeds import placeholder
from libs.simulator.socialmessaging.templates import Templates

DEFAULT_MIME = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "sticker": "image/webp",
}
WITHOUT_OBJECT = {"unsupported": [{
    "code": 131051, "title": "Message type unknown", "message": "Message type unknown",
    "error_data": {"details": "Message type is currently not supported."},
}]}  # fmt: skip
TYPES = (
    "text", *DEFAULT_MIME, "location", "contacts", "reaction", "button", "interactive", "order", "system", "unsupported",
)  # fmt: skip
TEMPLATE_EVENTS = (
    "APPROVED", "ARCHIVED", "UNARCHIVED", "DELETED", "DISABLED", "FLAGGED", "IN_APPEAL", "LIMIT_EXCEEDED", "LOCKED",
    "PAUSED", "PENDING", "PENDING_DELETION", "REINSTATED", "REJECTED",
)  # fmt: skip
ACCOUNT_STATES = ("OK", "RESTRICTED", "LOCKED", "UNPAID")


class Inbound:
    """Each method takes the JSON body of a control request and returns that of the answer."""

    def __init__(self, core: Core, account: Account, templates: Templates) -> None:
        self.core = core
        self.account = account
        self.templates = templates

    def _number(self, intent: RequestBody, name: str = "to") -> tuple[Waba, Number]:
        key = intent.text(name)
        found = self.account.number_for(key)
        if found is None:
            raise ControlError(name, "is not a number of this account", 404)
        return found

    def _person(self, intent: RequestBody) -> str:
        person = intent.text("from", required=True) or ""
        if not E164.fullmatch(person):
            raise ControlError("from", "must be an E.164 number such as +12025550143")
        return person.removeprefix("+")

    def message(self, intent: RequestBody) -> dict[str, Any]:
        """An inbound message: opens the window and publishes the same event `times` times."""
        digits, (waba, number) = self._person(intent), self._number(intent)
        kind, content = self._content(intent)
        now = self.core.clock.now()
        name = intent.text("profile_name")
        if name:
            self.account.names[digits] = name
        wamid = intent.text("wamid") or f"wamid.IN{self.core.noise.hex(32).upper()}"
        change_visibility = intent.flag("hide_phone", False)
        item = self._item(intent, digits, number, wamid, now, change_visibility)
        item |= {"type": kind, **({"errors": content} if kind == "unsupported" else {kind: content})}
        value = events.base_value(number)
        if kind != "system":
            value["contacts"] = [events.contact(self.account, digits, change_visibility)]
        value["messages"] = [item]
        self.account.heard(number, digits, now)
        message_id = self.core.noise.uuid()
        direct = intent.flag("direct", False)
        text = events.envelope(self.account, waba, number, value, "messages", now, message_id)
        places = waba.topics
        if direct:
            text, places = events.webhook(waba, value, "messages", now), [waba.webhook] if waba.webhook else []
        times = intent.count("times", 1, 1000)
        intent.done()
        for _ in range(times):
            self.core.emitter.now(places, text)
        media = content.get("id") if isinstance(content, dict) and kind in DEFAULT_MIME else None
        return {"wamid": wamid, "messageId": message_id, "mediaId": media, "published": times * len(places)}

    def webhook(self, intent: RequestBody) -> dict[str, Any]:
        """Set the webhook for events of numbers connected at Meta, signed with the app's `secret`; no `url`: none."""
        url, secret = intent.text("url"), intent.text("secret") or ""
        intent.done()
        if url is not None and not url.startswith(("http://", "https://")):
            raise ControlError("url", "must be an http or https URL")
        if url is not None:
            self.core.publisher.secrets[url] = secret
        for waba in self.account.wabas.values():
            waba.webhook = url
        return {"url": url}

    def _item(
        self, intent: RequestBody, digits: str, number: Number, wamid: str, now: float, change_visibility: bool
    ) -> dict[str, Any]:
        item: dict[str, Any] = {} if change_visibility else {"from": digits}
        item |= {"from_user_id": self.account.user_id(digits), "id": wamid, "timestamp": str(int(now))}
        replied = intent.text("context_message_id")
        if replied:
            item["context"] = {"from": number.digits, "id": replied}
        referral = intent.get("referral")
        if referral is not None:
            item["referral"] = referral
        return item

    def _content(self, intent: RequestBody) -> tuple[str, Any]:
        words = intent.text("text")
        if words is not None:
            return "text", {"body": words}
        kind = intent.choice("type", TYPES)
        if kind in WITHOUT_OBJECT:
            return kind, WITHOUT_OBJECT[kind]
        content = intent.get("body")
        if kind in DEFAULT_MIME:
            return kind, self._media(intent, kind, content or {})
        if not isinstance(content, list if kind == "contacts" else dict):
            raise ControlError("body", f"must be the {kind} object of the message (or give text)")
        return kind, content

    def _media(self, intent: RequestBody, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Store a file from a customer; `data` is base64, without it a placeholder."""
        mime_type = intent.text("mime_type") or str(content.get("mime_type", DEFAULT_MIME[kind]))
        data = intent.text("data")
        try:
            raw = placeholder(mime_type) if data is None else base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ControlError("data", "must be base64") from error
        media = self.account.store(mime_type, raw, "inbound")
        extra = {"voice": True} if kind == "audio" else {"animated": False} if kind == "sticker" else {}
        return {"id": media.id, "mime_type": mime_type, "sha256": media.sha256, **extra, **content}

    def preference(self, intent: RequestBody) -> dict[str, Any]:
        """A user stops or resumes marketing messages (`user_preferences`)."""
        digits, (waba, number) = self._person(intent), self._number(intent)
        value = intent.choice("value", ("stop", "resume"))
        intent.done()
        (self.account.opted_out.add if value == "stop" else self.account.opted_out.discard)(digits)
        now = self.core.clock.now()
        body = events.base_value(number) | {"contacts": [events.contact(self.account, digits)]}
        body["user_preferences"] = [{
            "wa_id": digits, "user_id": self.account.user_id(digits),
            "detail": f"User requested to {value} marketing messages", "category": "marketing_messages",
            "value": value, "timestamp": int(now),
        }]  # fmt: skip
        return self._publish(waba, number, body, "user_preferences")

    def template_status(self, name: str, intent: RequestBody) -> dict[str, Any]:
        """Meta changes the status of a template."""
        language, event = intent.text("language"), intent.choice("status", TEMPLATE_EVENTS)
        reason = intent.text("reason") or "NONE"
        extra = {
            k: intent.get(k) for k in ("other_info", "rejection_info", "disable_info") if intent.get(k) is not None
        }
        intent.done()
        changed = [
            (waba, t) for waba in self.account.wabas.values() for t in waba.templates.values()
            if t.name == name and language in (None, t.language)
        ]  # fmt: skip
        if not changed:
            raise ControlError("name", f"there is no template {name}", 404)
        for waba, template in changed:
            self.core.emitter.now(waba.topics, self.templates.decide(waba, template, event, reason, extra))
        return {"name": name, "status": event, "languages": [t.language for _, t in changed]}

    def template_category(self, name: str, intent: RequestBody) -> dict[str, Any]:
        """Meta re-categorises a template (`template_category_update`)."""
        category = intent.choice("category", ("MARKETING", "UTILITY", "AUTHENTICATION"))
        intent.done()
        for waba in self.account.wabas.values():
            for template in (t for t in waba.templates.values() if t.name == name):
                value = {
                    "message_template_id": int(template.meta_id), "message_template_name": name,
                    "message_template_language": template.language,
                    "previous_category": template.category, "new_category": category,
                }  # fmt: skip
                template.category = category
                return self._publish(waba, None, value, "template_category_update")
        raise ControlError("name", f"there is no template {name}", 404)

    def quality(self, intent: RequestBody) -> dict[str, Any]:
        """Quality or throughput of a number changes (`phone_number_quality_update`)."""
        waba, number = self._number(intent, "phone_number")
        rating = intent.text("quality_rating")
        if rating is not None:
            number.quality = intent.choice("quality_rating", ("GREEN", "YELLOW", "RED"))
        limit = intent.text("limit") or "TIER_UNLIMITED"
        value = {
            "display_phone_number": number.digits, "event": intent.text("event") or "THROUGHPUT_UPGRADE",
            "current_limit": limit, "max_daily_conversations_per_business": limit,
        }  # fmt: skip
        intent.done()
        return self._publish(waba, number, value, "phone_number_quality_update")

    def account_state(self, intent: RequestBody) -> dict[str, Any]:
        """The business account is restricted, locked, unpaid or fine again; publishes account_update."""
        waba = next(iter(self.account.wabas.values()))
        waba.state = intent.choice("state", ACCOUNT_STATES)
        named = {"RESTRICTED": "ACCOUNT_RESTRICTION", "LOCKED": "DISABLED_UPDATE", "UNPAID": "ACCOUNT_VIOLATION"}
        value: dict[str, Any] = {"event": named.get(waba.state, "ACCOUNT_REINSTATED")}
        if waba.state == "RESTRICTED":
            expiry = int(self.core.clock.now()) + 86400
            value["restriction_info"] = [
                {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": expiry}
            ]
        intent.done()
        return {"state": waba.state, **self._publish(waba, None, value, "account_update")}

    def _publish(self, waba: Waba, number: Number | None, value: dict[str, Any], field: str) -> dict[str, Any]:
        message_id = self.core.noise.uuid()
        text = events.envelope(self.account, waba, number, value, field, self.core.clock.now(), message_id)
        self.core.emitter.now(waba.topics, text)
        return {"messageId": message_id, "published": len(waba.topics)}
