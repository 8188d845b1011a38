"""Messages from people: two-way SMS and RCS, with the keyword handling that AWS does (facts 3.6, 3.7, 5.4)."""

from __future__ import annotations

import json
from typing import Any

from libs.simulator import demo
from libs.simulator.clock import iso_millis
from libs.simulator.core import Core
from libs.simulator.errors import ControlError, ProviderError
from libs.simulator.request_body import RequestBody
from libs.simulator.sms_voice.account import OPT_IN_WORDS, OPT_OUT_WORDS, Account, e164
from libs.simulator.sms_voice.optouts import OptOuts

RCS_TYPES = ("suggestion", "typing", "conversation_started", "media", "location", "unsubscribe")


class Inbound:
    def __init__(self, core: Core, account: Account, optouts: OptOuts) -> None:
        self.core = core
        self.account = account
        self.optouts = optouts

    def _target(self, intent: RequestBody, default: str) -> tuple[str, dict[str, Any]]:
        key = intent.text("to") or default
        try:
            kind, record = self.account.resource(key)
        except ProviderError as error:
            raise ControlError("to", "is not an identity of this account", 404) from error
        if kind not in ("phone-number", "rcs-agent"):
            raise ControlError("to", "must be a phone number or an RCS agent of this account")
        return kind, record

    @staticmethod
    def _person(intent: RequestBody) -> str:
        person = intent.text("from", required=True) or ""
        if not person.removeprefix("+").isdigit() or not 5 <= len(person) <= 16:
            raise ControlError("from", "must be a phone number such as +12025550143")
        return e164(person)

    def sms(self, intent: RequestBody) -> dict[str, Any]:
        """An inbound SMS; opt-out keywords take effect as at AWS."""
        person, (_, record) = self._person(intent), self._target(intent, demo.PHONE_NUMBER)
        words, times = intent.text("text", required=True) or "", intent.count("times", 1, 1000)
        intent.done()
        identity = record.get("PhoneNumberId") or record["RcsAgentId"]
        origin = record.get("PhoneNumber") or identity
        keyword, reply = self._keyword(identity, record, person, words)
        event = self._event(person, origin, words, keyword)
        return self._publish(record, event, times) | {"autoReply": reply, "keyword": keyword}

    def _event(self, person: str, origin: str, body: str, keyword: str | None) -> dict[str, Any]:
        event = {
            "originationNumber": person,
            "destinationNumber": origin,
            "messageKeyword": keyword or f"KEYWORD_{demo.ACCOUNT_ID}",
            "messageBody": body,
            "inboundMessageId": self.core.noise.uuid(),
        }
        previous = self.account.last_to.get((origin, person))
        return event | ({"previousPublishedMessageId": previous} if previous else {})

    def _keyword(self, identity: str, record: dict[str, Any], person: str, words: str) -> tuple[str | None, str | None]:
        """The keyword that the message begins with, and the automatic reply of AWS."""
        text = words.strip().upper()
        keywords = self.optouts.keywords_of(identity)
        known = sorted({*keywords, *OPT_OUT_WORDS, *OPT_IN_WORDS}, key=len, reverse=True)
        found = next((w for w in known if text == w or text.startswith((w + " ", w + ".", w + "!"))), None)
        if found is None or record["SelfManagedOptOutsEnabled"]:
            return found, None
        keyword = keywords.get(found) or keywords["STOP"]
        action = keywords[found].action if found in keywords else "OPT_OUT" if found in OPT_OUT_WORDS else "OPT_IN"
        list_name = record["OptOutListName"]
        if action == "OPT_OUT":
            self.account.opt_out(list_name, person, self.core.clock.now(), by_user=True)
            return found, keyword.message
        if action == "OPT_IN":
            self.account.opted_out[list_name].pop(person, None)
            return found, keywords[found].message if found in keywords else None
        return found, keyword.message

    def rcs(self, intent: RequestBody) -> dict[str, Any]:
        """An inbound RCS event: a text, a suggestion, typing, a file or a location."""
        person, (kind, record) = self._person(intent), self._target(intent, demo.RCS_AGENT_ID)
        if kind != "rcs-agent":
            raise ControlError("to", "must be an RCS agent")
        words = intent.text("text")
        agent = record["RcsAgentId"]
        reply: str | None = None
        if words is not None:
            keyword, reply = self._keyword(agent, record, person, words)
            event = self._event(person, agent, words, keyword)
        else:
            event = self._structured(intent, person, agent)
        times = intent.count("times", 1, 1000)
        intent.done()
        return self._publish(record, event, times) | {"autoReply": reply}

    def _structured(self, intent: RequestBody, person: str, agent: str) -> dict[str, Any]:
        kind, extra = intent.choice("type", RCS_TYPES), intent.get("body") or {}
        if not isinstance(extra, dict):
            raise ControlError("body", "must be an object")
        event = self._event(person, agent, "", None)
        previous = self.account.last_to.get((agent, person))
        stamp = _stamp(self.core.clock.now())
        bodies: dict[str, dict[str, Any]] = {
            "suggestion": {"type": "SUGGESTION", "text": "Confirm", "postbackData": "confirm"},
            "typing": {"type": "RCS_TYPING", "receivedAt": stamp},
            "conversation_started": {
                "type": "CONVERSATION_STARTED", "startTime": stamp, "endTime": _stamp(self.core.clock.now() + 86400),
                "conversationInitiatingMessageId": previous or event["inboundMessageId"],
                "conversationInitiatingMessageType": "OUTBOUND" if previous else "INBOUND",
            },
            "media": {
                "mediaStatus": "SUCCESS", "s3Bucket": "example-media-bucket",
                "s3Key": f"inbound-media/rcs/{event['inboundMessageId']}#photo.jpg", "mimeType": "image/jpeg",
                "fileName": "photo.jpg", "fileSizeBytes": 1211843,
            },
            "location": {"type": "LOCATION", "latitude": 38.8977, "longitude": -77.0365},
            "unsubscribe": {"type": "UNSUBSCRIBE"},
        }  # fmt: skip
        event["messageBody"] = json.dumps(bodies[kind] | extra, separators=(",", ":"))
        if kind in ("typing", "conversation_started", "location", "unsubscribe"):
            # As documented: no plus sign, no keyword, no earlier message.
            event["originationNumber"] = person.removeprefix("+")
            event = {k: v for k, v in event.items() if k not in ("messageKeyword", "previousPublishedMessageId")}
        if kind == "typing":
            event["inboundMessageId"] = f"{person.removeprefix('+')}-{stamp}"
        return event

    def _publish(self, record: dict[str, Any], event: dict[str, Any], times: int) -> dict[str, Any]:
        topics = [record["TwoWayChannelArn"]] if record["TwoWayEnabled"] else []
        text = json.dumps(event, separators=(",", ":"))
        for _ in range(times):
            self.core.emitter.now(topics, text)
        return {"inboundMessageId": event["inboundMessageId"], "published": times * len(topics)}


def _stamp(at: float) -> str:
    return iso_millis(at).removesuffix("Z") + "+0000"
