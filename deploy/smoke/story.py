"""The story of issue number one: a WhatsApp conversation, a STOP, a killed worker, and who may do what."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deploy.local.stack import Stack
from deploy.smoke.client import Failed, Http, require, until

RANK = ["queued", "deferred", "claimed", "uncertain", "unknown", "sent", "failed", "delivered", "read"]
TEMPLATE = {"kind": "template", "name": "order_update", "language": "en_US", "variables": {"1": "Ann", "2": "A-17"}}


@dataclass
class Story:
    """One run. ``say`` prints a line; ``facts`` end in the closing JSON line."""

    stack: Stack
    say: Callable[[str], None]
    operator: Http
    viewer: Http
    simulator: Http
    facts: dict[str, Any] = field(default_factory=dict)

    # -- small words -----------------------------------------------------------------------------------

    def contact(self, phone: str, name: str, *, opted_in: bool = True) -> str:
        made = self.operator.call("POST", "/api/contacts", {"name": name, "phone": phone}, expect=201)
        contact_id = str(made["contactId"])
        if opted_in:
            consent = {"optedIn": True, "how": "form", "words": "Yes, message me on WhatsApp"}
            self.operator.call("PUT", f"/api/contacts/{contact_id}/consents/whatsapp", consent)
        return contact_id

    def send(self, contact_id: str, content: dict[str, Any], *, expect: int = 202, **more: Any) -> Any:
        body = {"contactId": contact_id, "channel": "whatsapp", "content": content, **more}
        return self.operator.call("POST", "/api/messages", body, expect=expect)

    def send_when_known(self, contact_id: str, content: dict[str, Any], **more: Any) -> str:
        """Send; until the consent has reached the other services they refuse, which is as it should be."""

        def attempt() -> str | None:
            try:
                return str(self.send(contact_id, content, **more)["messageId"])
            except Failed as failed:
                if "NO_CONSENT" in str(failed) or "CONTACT_" in str(failed):
                    return None
                raise

        return str(until("the consent to be known to the senders", attempt))

    def status(self, message_id: str) -> str:
        return str(self.operator.get(f"/api/messages/{message_id}")["status"])

    def reaches(self, message_id: str, wanted: str) -> list[str]:
        """Wait for a status; raises Failed if on the way it ever moved backwards. Returns what was seen."""
        seen: list[str] = []

        def look() -> bool:
            now = self.status(message_id)
            if not seen or seen[-1] != now:
                seen.append(now)
            return now == wanted

        until(f"message {message_id} to be {wanted}", look)
        ranks = [RANK.index(status) for status in seen if status in RANK]
        require(ranks == sorted(ranks), f"the status went back: {seen}")
        return seen

    def accepted(self, *, to: str | None = None, message_id: str | None = None) -> list[Any]:
        entries: list[Any] = self.simulator.get("/control/ledger", to=to, message_id=message_id)["entries"]
        return entries

    def writes_in(self, phone: str, text: str, times: int = 1) -> None:
        body = {"from": phone, "text": text, "times": times, "profile_name": "Ann Example"}
        self.simulator.call("POST", "/control/inbound/whatsapp", body)

    def inbound_of(self, contact_id: str) -> list[Any]:
        items = self.operator.get("/api/messages", contactId=contact_id)["items"]
        return [message for message in items if message["direction"] == "inbound"]

    # -- the five chapters -----------------------------------------------------------------------------

    def template_first(self) -> None:
        phone = "+12025550111"
        self.ann = self.contact(phone, "Ann Example")
        self.send_when_known(self.ann, TEMPLATE)
        first = self.accepted(to=phone)
        refused = self.send(self.ann, {"kind": "text", "body": "Hello"}, expect=422)
        require(refused["code"] == "TEMPLATE_REQUIRED", f"refused with {refused['code']}")
        self.say(f"free text before the contact wrote in: refused, {refused['code']}")
        message_id = self.operator.get("/api/messages", contactId=self.ann)["items"][0]["messageId"]
        seen = self.reaches(message_id, "read")
        until("the acceptance in the ledger", lambda: self.accepted(message_id=message_id))
        require(len(self.accepted(message_id=message_id)) == 1, "accepted more than once")
        self.say(f"template message: {' → '.join(seen)}")
        del first

    def conversation(self) -> None:
        phone = "+12025550111"
        chaos = {"delay_ms": [20, 200], "duplicate": 2, "shuffle": True}
        self.simulator.call("PATCH", "/control/behaviour", chaos)
        self.writes_in(phone, "Where is my order?", times=3)
        until("the message to be stored", lambda: self.inbound_of(self.ann))
        reply = until("the window to be open", lambda: self._reply())
        seen = self.reaches(reply, "read")
        require(len(self.inbound_of(self.ann)) == 1, "one message delivered three times was stored more than once")
        conversations = self.operator.get("/api/conversations")["items"]
        require(sum(c["contactId"] == self.ann for c in conversations) == 1, "more than one conversation")
        self.say("a message that came three times: one message, one conversation, window open")
        until("the simulator to be quiet", lambda: not self.simulator.get("/control/events/pending")["pending"])
        require(self.status(reply) == "read", "a late receipt moved the status back")
        require(len(self.accepted(message_id=reply)) == 1, "the reply was accepted more than once")
        self.say(f"reply with receipts shuffled and doubled: {' → '.join(seen)}")
        calm = {"delay_ms": [50, 250], "duplicate": 0, "shuffle": False}
        self.simulator.call("PATCH", "/control/behaviour", calm)

    def _reply(self) -> str | None:
        try:
            return str(self.send(self.ann, {"kind": "text", "body": "On its way."}, messageClass="reply")["messageId"])
        except Failed as failed:
            if "TEMPLATE_REQUIRED" in str(failed):
                return None
            raise

    def stop(self) -> None:
        phone = "+12025550111"
        before = len(self.accepted(to=phone))
        self.writes_in(phone, "STOP")
        path = f"/api/contacts/{self.ann}/consents"
        evidence = until("the opt-out to be effective", lambda: self._effective(path))
        require(evidence["words"] == "STOP", f"the evidence has other words: {evidence}")
        refused = until("the refusal", lambda: self._refusal(self.ann))
        require(refused["code"] == "OPTED_OUT", f"refused with {refused['code']}")
        require(len(self.accepted(to=phone)) == before, "something was accepted after STOP")
        self.say(f"STOP: opted out with evidence ({evidence['how']}); the next send: refused, {refused['code']}")

    def _effective(self, path: str) -> Any:
        found = self.operator.get(path)["evidence"]
        return next((e for e in found if not e["optedIn"] and e.get("effectiveAt")), None)

    def _refusal(self, contact_id: str) -> Any:
        try:
            return self.send(contact_id, TEMPLATE, expect=422)
        except Failed as failed:
            if ": 202 " in str(failed):
                return None
            raise

    def killed_worker(self) -> None:
        phone = "+12025550112"
        bob = self.contact(phone, "Bob Example")
        self.simulator.call(
            "POST",
            "/control/faults",
            {"service": "socialmessaging", "operation": "SendWhatsAppMessage", "fault": "accept_then_hang", "to": phone,
             "times": 1, "seconds": 20},
        )  # fmt: skip
        message_id = self.send_when_known(bob, TEMPLATE)
        until("the provider to have accepted", lambda: self.accepted(message_id=message_id))
        self.stack.kill("workers", signal.SIGKILL)
        killed = time.monotonic()
        self.stack.start("workers")
        seen = self.reaches(message_id, "read")
        require(len(self.accepted(message_id=message_id)) == 1, "accepted more than once")
        self.simulator.call("DELETE", "/control/faults")
        self.facts["recovered_after_s"] = round(time.monotonic() - killed, 1)
        self.say(f"worker killed between claim and answer: {' → '.join(seen)}, accepted once")

    def who_may(self) -> None:
        self.viewer.get("/api/contacts/search", q="Ann")
        body = {"contactId": self.ann, "channel": "whatsapp", "content": TEMPLATE}
        refused = self.viewer.call("POST", "/api/messages", body, expect=403)
        require(refused["code"] == "FORBIDDEN", f"refused with {refused['code']}")
        self.say("VIEWER reads, and may not send: 403")
        good = self.stack.token("OPERATOR")
        head, claims, signature = good.split(".")
        forged = f"{head}.{claims[:-4]}{'AAAA' if claims[-4:] != 'AAAA' else 'BBBB'}.{signature}"
        for kind, token in (("no token", None), ("a forged token", forged), ("an id token", self.stack.id_token())):
            with Http(self.stack.api_url, token) as stranger:
                stranger.call("GET", "/api/messages", expect=401)
            self.say(f"{kind}: 401")

    def tell(self) -> None:
        """All chapters in order."""
        for title, chapter in (
            ("An operator writes first", self.template_first),
            ("The contact writes in", self.conversation),
            ("The contact says STOP", self.stop),
            ("A worker dies", self.killed_worker),
            ("Who may do what", self.who_may),
        ):
            begun = time.monotonic()
            self.say(f"# {title}")
            chapter()
            self.facts[chapter.__name__] = round(time.monotonic() - begun, 1)
        summary = self.simulator.get("/control/ledger/summary")
        require(not summary["duplicates"], f"accepted more than once: {summary['duplicates']}")
        self.facts["accepted"] = summary["accepted"]
