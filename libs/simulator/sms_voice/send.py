"""SendTextMessage, SendMediaMessage, SendVoiceMessage, SendRcsMessage and the two SendNotify operations."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import Any

from libs.simulator import demo, magic_recipients
from libs.simulator.core import Addressee, Core
from libs.simulator.event_timing import SeededRandom, timeline
from libs.simulator.sms_voice import events
from libs.simulator.sms_voice.account import Account, Identity, e164
from libs.simulator.sms_voice.errors import OPTED_OUT, OUR_ID_KEYS, conflict, invalid, not_found, quota
from libs.simulator.sms_voice.event_sequence import course
from libs.simulator.sms_voice.rcs import check_rcs, is_rich
from libs.simulator.sms_voice.segments import Segments, segment

SERVICE = "pinpoint-sms-voice-v2"
CHARACTERS_PER_SECOND = 14
"""Characters per second of speech, approximately."""
MEDIA_TYPES = ("gif", "jpg", "jpeg", "png", "mp4", "3gp", "mp3", "amr", "pdf", "vcf", "txt")
NOTIFY_TEMPLATES = {"otp-default": "Your code is {code}.", "otp-voice": "Your code is {code}."}


def our_id(context: dict[str, str] | None) -> str | None:
    return next((context[k] for k in OUR_ID_KEYS if k in context), None) if context else None


class Sender:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    def prepare(self, params: dict[str, Any]) -> Addressee:
        return Addressee(e164(params["DestinationPhoneNumber"]), our_id(params.get("Context")))

    async def text(self, params: dict[str, Any]) -> dict[str, Any]:
        if "MessageBody" not in params:
            raise invalid("MISSING_PARAMETER", "MessageBody", "is required")
        identity = self._identity(params, "SMS")
        segments = segment(params["MessageBody"])
        outcome = "invalid_message" if segments.too_long else None
        return self._accept(params, "SendTextMessage", "TEXT", identity, segments, outcome)

    async def media(self, params: dict[str, Any]) -> dict[str, Any]:
        if "MediaUrls" not in params and "MessageBody" not in params:
            raise invalid("MISSING_PARAMETER", "MediaUrls", "media or a body is required")
        identity = self._identity(params, "MMS")
        # The body of an MMS is one part whatever its length.
        return self._accept(params, "SendMediaMessage", "MEDIA", identity, Segments("GSM", 0, 1), _media_fate(params))

    async def voice(self, params: dict[str, Any]) -> dict[str, Any]:
        body, kind = params.get("MessageBody", ""), params.get("MessageBodyTextType", "TEXT")
        if not body:
            raise invalid("MISSING_PARAMETER", "MessageBody", "is required")
        if kind == "TEXT" and len(body) > 3000:
            raise invalid("MAXIMUM_SIZE_EXCEEDED", "MessageBody", "plain text has at most 3,000 characters")
        if kind == "SSML" and not re.fullmatch(r"\s*<speak\b.*</speak>\s*", body, re.DOTALL):
            raise invalid("CANNOT_PARSE", "MessageBody", "SSML must be a <speak> document")
        identity = self._identity(params, "VOICE")
        if identity.kind not in ("phone-number", "pool"):
            raise invalid("VOICE_CAPABILITY_NOT_AVAILABLE", "OriginationIdentity", "must be a phone number or a pool")
        return self._accept(params, "SendVoiceMessage", "VOICE", identity, Segments("GSM", 0, 1), None)

    async def rcs(self, params: dict[str, Any]) -> dict[str, Any]:
        check_rcs(params)
        identity = self._identity(params, "RCS")
        if not identity.origin.startswith("rcs-"):
            raise invalid("INVALID_PARAMETER", "OriginationIdentity", "must be an RCS agent or a pool with one")
        return self._accept(params, "SendRcsMessage", "RCS", identity, Segments("UNICODE", 0, 1), None)

    async def notify(self, operation: str, default_template: str, params: dict[str, Any]) -> dict[str, Any]:
        """SendNotifyTextMessage and SendNotifyVoiceMessage: AWS's own sender and template."""
        if params["NotifyConfigurationId"].rpartition("/")[2] != demo.NOTIFY_CONFIGURATION_ID:
            raise not_found("notify-configuration", params["NotifyConfigurationId"])
        template = params.get("TemplateId") or default_template
        if template not in NOTIFY_TEMPLATES:
            raise not_found("notify-template", template)
        code = params["TemplateVariables"].get("code")
        if code is None:
            raise invalid("MISSING_PARAMETER", "TemplateVariables.code", "is required")
        voice = operation == "SendNotifyVoiceMessage"
        resolved = NOTIFY_TEMPLATES[template].format(code=" ".join(code) if voice else code)
        identity = self._identity(params, "VOICE" if voice else "SMS")
        channel, parts = ("VOICE", Segments("GSM", 0, 1)) if voice else ("TEXT", segment(resolved))
        answer = self._accept(params | {"MessageBody": resolved}, operation, channel, identity, parts, None)
        return answer | {"TemplateId": template, "ResolvedMessageBody": resolved}

    def _identity(self, params: dict[str, Any], capability: str) -> Identity:
        """The checks of AWS before it accepts a message."""
        account, to = self.account, e164(params["DestinationPhoneNumber"])
        identity = account.identity(
            params.get("OriginationIdentity"), capability, to, prefer_rcs=self.core.behaviour.pool_prefers_rcs
        )
        if params.get("ConfigurationSetName") is not None:
            account.configuration_set(params["ConfigurationSetName"])
        own_type, wanted = identity.record.get("MessageType"), params.get("MessageType")
        if own_type and wanted and own_type != wanted:
            raise conflict(
                "MESSAGE_TYPE_MISMATCH", f"The identity sends {own_type} messages", identity.kind, identity.id
            )
        opted_out = account.opt_out_record(identity.record.get("OptOutListName"), to)
        if opted_out is not None or magic_recipients.outcome_of(to) == "opted_out":
            raise conflict(OPTED_OUT, "Destination phone number has opted out", "opted-out-number", to)
        if self.core.behaviour.sandbox and to not in account.verified and not to.startswith("+1425414"):
            reason = "DESTINATION_PHONE_NUMBER_NOT_VERIFIED"
            raise conflict(reason, "The account is in the sandbox", "verified-destination-number", to)
        return identity

    def _price(self, params: dict[str, Any], channel: str, segments: Segments, seconds: int) -> float:
        if channel == "VOICE":
            price, threshold = events.PRICE_PER_MINUTE, params.get("MaxPricePerMinute")
        else:
            price, threshold = events.PRICES[channel][0] * segments.parts, params.get("MaxPrice")
        if threshold is not None and price > float(threshold):
            raise invalid("PRICE_OVER_THRESHOLD", "MaxPrice", f"the message would cost {price:.5f} USD")
        price *= max(1, -(-seconds // 60)) if channel == "VOICE" else 1
        if self.account.spent.get(channel, 0.0) + price > self.account.limit(channel):
            raise quota(f"MONTHLY_SPEND_LIMIT_REACHED_FOR_{channel}", "Monthly spend limit reached")
        return price

    def _accept(
        self, params: dict[str, Any], operation: str, channel: str, identity: Identity, segments: Segments,
        forced_fate: str | None,
    ) -> dict[str, Any]:  # fmt: skip
        to, context = e164(params["DestinationPhoneNumber"]), params.get("Context")
        seconds = max(3, len(params.get("MessageBody", "")) // CHARACTERS_PER_SECOND) if channel == "VOICE" else 0
        price = self._price(params, channel, segments, seconds)
        dice = self.core.dice(SERVICE, our_id(context), to)
        message = events.Message(
            id=dice.uuid(), origin=identity.origin, to=to, requested_at=self.core.clock.now(), context=context,
            message_type=params.get("MessageType") or identity.record.get("MessageType", "TRANSACTIONAL"),
            encoding=segments.encoding, parts=segments.parts, seconds=seconds, rich=is_rich(params),
            fallback_origin=self._fallback_origin(params, identity),
        )  # fmt: skip
        if params.get("DryRun"):
            return {"MessageId": message.id}
        self.account.spent[channel] = self.account.spent.get(channel, 0.0) + price
        self.core.ledger.record(
            at=message.requested_at, service=SERVICE, operation=operation, message_id=our_id(context),
            provider_id=message.id, to=to, sender=identity.origin, kind=_KINDS[channel], payload=params,
        )  # fmt: skip
        self.account.last_to[(identity.origin, to)] = message.id
        self._plan(params, channel, message, forced_fate or magic_recipients.outcome_of(to), dice)
        return {"MessageId": message.id}

    def _fallback_origin(self, params: dict[str, Any], identity: Identity) -> str:
        fallback = params.get("FallbackConfiguration") or {}
        named = fallback.get("OriginationIdentity")
        if named is None and identity.kind == "pool" and fallback:
            named = next(m for m in self.account.pool_members[identity.id] if m.startswith("phone-"))
        if named is None:
            return identity.origin
        kind, record = self.account.resource(named)
        return str(record["PhoneNumber"] if kind == "phone-number" else named)

    def _plan(
        self, params: dict[str, Any], channel: str, message: events.Message, outcome: str, dice: SeededRandom
    ) -> None:
        behaviour = self.core.behaviour
        fallback = (params.get("FallbackConfiguration") or {}).get("Channel")
        usual = course(channel, outcome, behaviour, dice, fallback)
        names = [outcome] if outcome.startswith("MEDIA_") else usual
        names = self.core.outcomes.get((SERVICE, message.to), names)
        name = params.get("ConfigurationSetName")
        configuration_set = self.account.configuration_set(name) if name is not None else None
        for step in timeline(behaviour, dice, names, message.requested_at, outcome):
            source = message
            if channel == "RCS" and not step.name.startswith("RCS_"):
                source = dataclasses.replace(message, origin=message.fallback_origin)
            destinations = events.topics(configuration_set, step.name)
            self.core.emitter.at(step.due, destinations, partial(events.render, source, step.name, step.happens))


_KINDS = {"TEXT": "sms", "MEDIA": "mms", "VOICE": "voice", "RCS": "rcs"}


def _media_fate(params: dict[str, Any]) -> str | None:
    """The object's name decides: `missing...` cannot be read, unknown extensions are not supported."""
    for url in params.get("MediaUrls", ()):
        name = url.rpartition("/")[2].lower()
        if name.startswith("missing"):
            return "MEDIA_FILE_INACCESSIBLE"
        if name.startswith("huge"):
            return "MEDIA_FILE_SIZE_EXCEEDED"
        if name.rpartition(".")[2] not in MEDIA_TYPES:
            return "MEDIA_FILE_TYPE_UNSUPPORTED"
    return None
