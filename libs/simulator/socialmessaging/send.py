"""SendWhatsAppMessage: accept, record in the ledger, and schedule the events of the message."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from libs.simulator import magic_recipients
from libs.simulator.behaviour import GRAPH
from libs.simulator.core import Addressee, Core
from libs.simulator.errors import ProviderError
from libs.simulator.event_timing import SeededRandom, Step, timeline
from libs.simulator.socialmessaging import body as bodies
from libs.simulator.socialmessaging import events, media_rules, template_rules
from libs.simulator.socialmessaging.account import Account
from libs.simulator.socialmessaging.codes import meta_error
from libs.simulator.socialmessaging.records import Number, Template, Waba

SERVICE = "socialmessaging"
PAIR_RATE, PAIR_BURST = 1 / 6, 45
"""One message per 6 s and pair, with a burst of 45 (facts 2.5)."""

MetaError = dict[str, Any]
REFUSED_BY_META = frozenset({130429, 131056})
"""Rate errors: Meta's API refuses them at once; through AWS they are a `failed` status."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a number is connected: names in the ledger, and whether through AWS or directly at Meta."""

    service: str
    operation: str
    direct: bool = False


BY_AWS = Way(SERVICE, "SendWhatsAppMessage")
DIRECT = Way(GRAPH, "messages", direct=True)


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted message with the data of its status events."""

    waba: Waba
    number: Number
    digits: str
    api_id: str
    wamid: str
    category: str
    callback_data: str | None
    error: MetaError | None
    way: Way

    @property
    def places(self) -> list[str]:
        """The destinations of its events."""
        if self.way.direct:
            return [self.waba.webhook] if self.waba.webhook else []
        return self.waba.topics


class Sender:
    """Sends for one account."""

    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    def prepare(self, params: dict[str, Any]) -> Addressee | None:
        """Decode the message once; magic numbers and faults depend on its recipient."""
        body = bodies.decode(params["message"])
        params["body"] = body
        to, callback = body.get("to"), body.get("biz_opaque_callback_data")
        if not isinstance(to, str):
            return None
        return Addressee(to, callback if isinstance(callback, str) else None)

    async def send(self, params: dict[str, Any]) -> dict[str, Any]:
        waba, number = self.account.number(params["originationPhoneNumberId"])
        if not re.fullmatch(r"v\d{1,2}\.\d", params["metaApiVersion"]):
            raise ProviderError("InvalidParametersException", "metaApiVersion must have the form v23.0")
        return {"messageId": self.accept(waba, number, params["body"], BY_AWS)}

    def accept(self, waba: Waba, number: Number, message: dict[str, Any], way: Way) -> str:
        """Returns the id for the sender; refuses with ProviderError."""
        body = bodies.check(message)
        if body.kind == "mark_read":
            return self._mark_read(number, body, way)
        digits = self._digits(body)
        template, error = self._template(waba, body)
        if error is not None and (way.direct or self.core.behaviour.sync_template_errors):
            raise _concurrency(error)
        dice = self.core.dice(SERVICE, body.callback_data, "+" + digits)
        outcome = magic_recipients.outcome_of("+" + digits)
        error = error or self._misfortune(waba, number, body, digits, template, outcome)
        if error is not None and way.direct and error["code"] in REFUSED_BY_META:
            raise _concurrency(error)
        sent = self._accept(waba, number, body, digits, template, error, dice, way)
        self._plan(sent, outcome, dice)
        return sent.api_id

    def _digits(self, body: bodies.Body) -> str:
        if body.to is not None:
            return body.to.removeprefix("+")
        # An unknown user id is kept as the address: the message will be undeliverable.
        return self.account.by_user_id.get(str(body.recipient), str(body.recipient))

    def _mark_read(self, number: Number, body: bodies.Body, way: Way) -> str:
        now = self.core.clock.now()
        dice = self.core.dice(SERVICE, None, body.json["message_id"])
        api_id = dice.uuid()
        self.core.ledger.record(
            at=now, service=way.service, operation=way.operation, message_id=None, provider_id=api_id,
            wamid=body.json["message_id"], to=body.json["message_id"], sender=number.e164, kind="mark_read",
            payload=body.json,
        )  # fmt: skip
        return api_id

    def _template(self, waba: Waba, body: bodies.Body) -> tuple[Template | None, MetaError | None]:
        if body.kind != "template":
            return None, None
        found = template_rules.find_template(waba, body.json["template"])
        if not isinstance(found, Template):
            return None, found
        if found.category == "AUTHENTICATION" and body.recipient is not None:
            return found, meta_error(131062)
        return found, template_rules.check_parameters(found, body.json["template"])

    def _misfortune(
        self, waba: Waba, number: Number, body: bodies.Body, digits: str, template: Template | None, outcome: str
    ) -> MetaError | None:
        """The error that an accepted message fails with, if any: the first one applies."""
        marketing = template is not None and template.category == "MARKETING"
        return (
            self._by_account(waba, number, digits, template)
            or self._by_fate(digits, outcome, marketing)
            or self._by_window(number, digits, template, outcome)
            or self._by_media(body)
            or self._by_rate(number, digits)
        )

    def _by_account(self, waba: Waba, number: Number, digits: str, template: Template | None) -> MetaError | None:
        if digits == number.digits:
            return meta_error(131021)
        if waba.state == "RESTRICTED" and template is not None:
            return meta_error(368)
        return {"LOCKED": meta_error(131031), "UNPAID": meta_error(131042)}.get(waba.state)

    def _by_fate(self, digits: str, outcome: str, marketing: bool) -> MetaError | None:
        if marketing and (outcome == "opted_out" or digits in self.account.opted_out):
            return meta_error(131050)
        if marketing and outcome == "ecosystem":
            return meta_error(131049)
        if not digits.isdigit():
            return meta_error(131026)
        codes = {"undeliverable": 131026, "blocked": 131026, "throughput": 130429, "pair_rate": 131056}
        return meta_error(codes[outcome]) if outcome in codes else None

    def _by_window(self, number: Number, digits: str, template: Template | None, outcome: str) -> MetaError | None:
        if template is not None or self.core.behaviour.always_open_window:
            return None
        if outcome != "window_closed" and self.account.window_open(number, digits, self.core.clock.now()):
            return None
        return meta_error(131047)

    def _by_media(self, body: bodies.Body) -> MetaError | None:
        if body.kind not in media_rules.ALLOWED:
            return None
        content = body.json[body.kind]
        if "link" in content:
            problem = media_rules.link_problem(body.kind, content["link"])
        else:
            media = self.account.media.get(content["id"])
            problem = (
                media_rules.use_problem(body.kind, media.mime_type)
                if media is not None
                else f"Media id {content['id']} does not exist"
            )
        return meta_error(131053, problem) if problem else None

    def _by_rate(self, number: Number, digits: str) -> MetaError | None:
        behaviour, buckets = self.core.behaviour, self.core.buckets
        if behaviour.throughput and not buckets.take(f"wa:{number.id}", behaviour.throughput, behaviour.throughput):
            return meta_error(130429)
        if behaviour.pair_rate and not buckets.take(f"pair:{number.id}:{digits}", PAIR_RATE, PAIR_BURST):
            return meta_error(131056)
        return None

    def _accept(
        self,
        waba: Waba,
        number: Number,
        body: bodies.Body,
        digits: str,
        template: Template | None,
        error: MetaError | None,
        dice: SeededRandom,
        way: Way,
    ) -> Sent:
        api_id = dice.uuid()
        # Like the real ones: base64 of length-prefixed fields with the number and a random part.
        token = (
            b"\x1c\x18"
            + bytes([len(digits)])
            + digits.encode()
            + b"\x15\x02\x00\x11\x18\x12"
            + bytes.fromhex(dice.hex(18))
        )
        wamid = "wamid." + base64.b64encode(token).decode()
        if way.direct:
            api_id = wamid
        category = template.category.lower() if template is not None else "service"
        self.core.ledger.record(
            at=self.core.clock.now(), service=way.service, operation=way.operation,
            message_id=body.callback_data, provider_id=api_id, wamid=wamid,
            to="+" + digits if digits.isdigit() else digits, sender=number.e164, kind=body.kind, payload=body.json,
        )  # fmt: skip
        return Sent(waba, number, digits, api_id, wamid, category, body.callback_data, error, way)

    def _plan(self, sent: Sent, outcome: str, dice: SeededRandom) -> None:
        read, failed = dice.chance(self.core.behaviour.read_share), dice.chance(self.core.behaviour.fail_share)
        if sent.error is None and (failed or outcome == "fails_after_sent"):
            names = ["sent", "failed"]
        elif sent.error is not None:
            names = ["failed"]
        else:
            names = _STATUSES.get(outcome, ["sent", "delivered", "read"] if read else ["sent", "delivered"])
        names = self.core.outcomes.get((SERVICE, "+" + sent.digits), names)
        for step in timeline(self.core.behaviour, dice, names, self.core.clock.now(), outcome):
            self.core.emitter.at(step.due, sent.places, partial(self._status, sent, step))

    def _status(self, sent: Sent, step: Step) -> str:
        behaviour = self.core.behaviour
        status, _, code = step.name.partition(":")
        error = meta_error(int(code)) if code else sent.error or meta_error(131000)
        value = events.status_value(
            self.account, sent.number, wamid=sent.wamid, status=status, digits=sent.digits, at=step.happens,
            category=sent.category, callback_data=sent.callback_data if behaviour.echo_callback_data else None,
            error=error if status == "failed" else None,
        )  # fmt: skip
        if sent.way.direct:
            return events.webhook(sent.waba, value, "messages", step.happens)
        message_id = sent.api_id if behaviour.envelope_message_id == "api" else self.core.noise.uuid()
        return events.envelope(self.account, sent.waba, sent.number, value, "messages", step.happens, message_id)


def _concurrency(error: MetaError) -> ProviderError:
    details = error["error_data"]["details"]
    return ProviderError("InvalidParametersException", f"(#{error['code']}) {error['title']}: {details}")


_STATUSES: dict[str, list[str]] = {
    "silent": [],
    "unknown": [],
    "unread": ["sent", "delivered"],
    "unreachable": ["sent"],
}
