"""The smoke scenario: a WhatsApp conversation, a STOP, a killed worker, and the roles."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deploy.smoke import channels, media
from deploy.smoke.client import Failed, Http, require, until
from deploy.smoke.platform import TEMPLATE, Platform


@dataclass
class Scenario:
    """One run. ``say`` prints a line; ``facts`` end in the closing JSON line."""

    on: Platform
    say: Callable[[str], None]
    facts: dict[str, Any] = field(default_factory=dict)

    # -- the steps --------------------------------------------------------------------------------

    def template_first(self) -> None:
        phone = "+12025550111"
        self.ann = self.on.contact(phone, "Ann Example")
        message_id = self.on.send_when_known(self.ann, TEMPLATE)
        refused = self.on.send(self.ann, {"kind": "text", "body": "Hello"}, expect=422)
        require(refused["code"] == "TEMPLATE_REQUIRED", f"refused with {refused['code']}")
        self.say(f"free text before the contact wrote in: refused, {refused['code']}")
        seen = self.on.reaches(message_id, "read")
        until("the acceptance in the ledger", lambda: self.on.accepted(message_id=message_id))
        require(len(self.on.accepted(message_id=message_id)) == 1, "accepted more than once")
        self.say(f"template message: {' → '.join(seen)}")

    def conversation(self) -> None:
        phone = "+12025550111"
        chaos = {"delay_ms": [20, 200], "duplicate": 2, "shuffle": True}
        self.on.simulator.call("PATCH", "/control/behaviour", chaos)
        self.on.writes_in(phone, "Where is my order?", times=3)
        until("the message to be stored", lambda: self.on.inbound_of(self.ann))
        reply = self.on.send_when_known(self.ann, {"kind": "text", "body": "On its way."}, messageClass="reply")
        seen = self.on.reaches(reply, "read")
        require(len(self.on.inbound_of(self.ann)) == 1, "one message delivered three times was stored more than once")
        conversations = self.on.operator.get("/api/conversations")["items"]
        require(sum(c["contactId"] == self.ann for c in conversations) == 1, "more than one conversation")
        self.say("a message that came three times: one message, one conversation, window open")
        until("the simulator to be quiet", lambda: not self.on.simulator.get("/control/events/pending")["pending"])
        require(self.on.status(reply) == "read", "a late receipt moved the status back")
        require(len(self.on.accepted(message_id=reply)) == 1, "the reply was accepted more than once")
        self.say(f"reply with receipts shuffled and doubled: {' → '.join(seen)}")
        calm = {"delay_ms": [50, 250], "duplicate": 0, "shuffle": False}
        self.on.simulator.call("PATCH", "/control/behaviour", calm)

    def stop(self) -> None:
        phone = "+12025550111"
        before = len(self.on.accepted(to=phone))
        self.on.writes_in(phone, "STOP")
        path = f"/api/contacts/{self.ann}/consents"
        evidence = until("the opt-out to be effective", lambda: self._effective(path))
        require(evidence["words"] == "STOP", f"the evidence has other words: {evidence}")
        refused = until("the refusal", lambda: self._refusal(self.ann))
        require(refused["code"] == "OPTED_OUT", f"refused with {refused['code']}")
        answers = until("the confirmation", lambda: self.on.accepted(to=phone)[before:])
        require([each["kind"] for each in answers] == ["text"], f"after STOP not one confirmation but: {answers}")
        self.say("STOP: one confirmation on the same channel")
        self.say(f"STOP: opted out with evidence ({evidence['how']}); the next send: refused, {refused['code']}")

    def _effective(self, path: str) -> Any:
        found = self.on.operator.get(path)["evidence"]
        return next((e for e in found if not e["optedIn"] and e.get("effectiveAt")), None)

    def _refusal(self, contact_id: str) -> Any:
        try:
            return self.on.send(contact_id, TEMPLATE, expect=422)
        except Failed as failed:
            if ": 202 " in str(failed):
                return None
            raise

    def killed_worker(self) -> None:
        phone = "+12025550112"
        bob = self.on.contact(phone, "Bob Example")
        self.on.simulator.call(
            "POST",
            "/control/faults",
            {"service": "socialmessaging", "operation": "SendWhatsAppMessage", "fault": "accept_then_hang", "to": phone,
             "times": 1, "seconds": 20},
        )  # fmt: skip
        message_id = self.on.send_when_known(bob, TEMPLATE)
        until("the provider to have accepted", lambda: self.on.accepted(message_id=message_id))
        self.on.stack.kill("workers", signal.SIGKILL)
        killed = time.monotonic()
        self.on.stack.start("workers")
        seen = self.on.reaches(message_id, "read")
        require(len(self.on.accepted(message_id=message_id)) == 1, "accepted more than once")
        self.on.simulator.call("DELETE", "/control/faults")
        self.facts["recovered_after_s"] = round(time.monotonic() - killed, 1)
        self.say(f"worker killed between claim and answer: {' → '.join(seen)}, accepted once")

    def other_channels(self) -> None:
        channels.tell(self.on, self.say)

    def files(self) -> None:
        media.tell(self.on, self.say)

    def who_may(self) -> None:
        self.on.viewer.get("/api/contacts/search", q="Ann")
        body = {"contactId": self.ann, "channel": "whatsapp", "content": TEMPLATE}
        refused = self.on.viewer.call("POST", "/api/messages", body, expect=403)
        require(refused["code"] == "FORBIDDEN", f"refused with {refused['code']}")
        self.say("VIEWER reads, and may not send: 403")
        good = self.on.stack.token("OPERATOR")
        head, claims, signature = good.split(".")
        forged = f"{head}.{claims[:-4]}{'AAAA' if claims[-4:] != 'AAAA' else 'BBBB'}.{signature}"
        for kind, token in (("no token", None), ("a forged token", forged), ("an id token", self.on.stack.id_token())):
            with Http(self.on.stack.api_url, token) as stranger:
                stranger.call("GET", "/api/messages", expect=401)
            self.say(f"{kind}: 401")

    def tell(self) -> None:
        """All steps in order."""
        for title, chapter in (
            ("An operator writes first", self.template_first),
            ("The contact writes in", self.conversation),
            ("The contact says STOP", self.stop),
            ("A worker dies", self.killed_worker),
            ("Other channels", self.other_channels),
            ("Files", self.files),
            ("Who may do what", self.who_may),
        ):
            begun = time.monotonic()
            self.say(f"# {title}")
            chapter()
            self.facts[chapter.__name__] = round(time.monotonic() - begun, 1)
        summary = self.on.simulator.get("/control/ledger/summary")
        require(not summary["duplicates"], f"accepted more than once: {summary['duplicates']}")
        self.facts["accepted"] = summary["accepted"]
