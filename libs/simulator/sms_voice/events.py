"""Events of messages and calls (facts 3.5, 4, 5.3), and which destinations they go to."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from libs.simulator.sms_voice.account import country_of

DESCRIPTIONS = {
    "QUEUED": "Message is queued for delivery",
    "PENDING": "Message has not been delivered to the recipient device yet",
    "SUCCESSFUL": "Message has been accepted by phone carrier",
    "DELIVERED": "Message has been accepted by phone",
    "INVALID": "Destination phone number is invalid",
    "INVALID_MESSAGE": "Message body is invalid",
    "UNREACHABLE": "Phone is currently unreachable/unavailable",
    "CARRIER_UNREACHABLE": "Phone carrier is currently unreachable/unavailable",
    "BLOCKED": "Phone has blocked SMS",
    "CARRIER_BLOCKED": "Phone carrier has blocked this message",
    "SPAM": "Phone carrier has blocked this message as spam",
    "UNKNOWN": "Unknown error attempting to reach phone",
    "TTL_EXPIRED": "Message TTL expired",
    "PROTECT_BLOCKED": "Message has been blocked by the protect configuration",
    "FILE_INACCESSIBLE": "Media file is inaccessible",
    "FILE_TYPE_UNSUPPORTED": "Media file type is not supported",
    "FILE_SIZE_EXCEEDED": "Media file is too large",
}
RCS_STATUSES = {
    "RCS_QUEUED": ("PENDING", "Message is queued for delivery"),
    "RCS_SENT": ("PENDING", "Message has been accepted by the RCS platform"),
    "RCS_DELIVERED": ("DELIVERED", "Message has been accepted by phone"),
    "RCS_READ": ("READ", "Message has been read by recipient"),
    "RCS_FAILED": ("UNDELIVERABLE", "Message is undeliverable over RCS"),
    "RCS_REJECTED": ("REJECTED", "Message was rejected"),
    "RCS_TTL_EXPIRED": ("EXPIRED", "TTL_EXPIRATION_REVOKED"),
    "RCS_PROTECT_BLOCKED": ("PROTECT_BLOCKED", "Message has been blocked by the protect configuration"),
    "RCS_FALLEN_BACK_TO_SMS": ("UNDELIVERABLE", "Message fell back to SMS"),
}
"""RCS_REJECTED is our name for RCS_FAILED with the status REJECTED."""
INTERMEDIATE = ("QUEUED", "PENDING", "SENT", "INITIATED", "RINGING", "ANSWERED", "FALLEN_BACK_TO_SMS")
FREE = ("QUEUED", "PENDING", "INVALID", "INVALID_MESSAGE", "PROTECT_BLOCKED")
RCS_BUSINESS_ID = "examplestore_0a1b2c3d_agent"
PROTECTED = {
    "protectConfiguration": {"protectConfigurationId": "protect-0a1b2c3d4e5f60718293a4b5c6d7e8f9", "protectStatus": "BLOCK"},
    "protectConfigurationAssessment": {
        "protectRecommendation": "BLOCK", "protectInsights": {"blockReason": "AIT_SUSPECTED"},
    },
}  # fmt: skip
PRICES = {"TEXT": (0.00581, 0.003), "MEDIA": (0.0195, 0.00266), "RCS": (0.007, 0.00494)}
"""USD per part or message, and the carrier's fee in it."""
PRICE_PER_MINUTE = 0.013


@dataclass(frozen=True, slots=True)
class Message:
    """The common members of the events of a message. `requested_at` in seconds; `seconds` the length of a call."""

    id: str
    origin: str
    to: str
    requested_at: float
    context: dict[str, str] | None
    message_type: str
    encoding: str
    parts: int
    seconds: int
    rich: bool
    fallback_origin: str


def render(message: Message, name: str, at: float) -> str:
    """The event `name` (`TEXT_DELIVERED` ...) as SNS Message."""
    channel, _, status = name.partition("_")
    event: dict[str, Any] = {"contentType": "MMS"} if channel == "MEDIA" else {}
    event |= {
        "eventType": "RCS_FAILED" if name == "RCS_REJECTED" else name,
        "eventVersion": "1.0",
        "eventTimestamp": int(at * 1000),
        "isFinal": status not in INTERMEDIATE,
        "originationPhoneNumber": message.origin,
        "destinationPhoneNumber": message.to,
    }
    country = country_of(message.to)
    if country is not None:
        event["isoCountryCode"] = country
    event |= {"TEXT": _text, "MEDIA": _media, "VOICE": _voice, "RCS": _rcs}[channel](message, name, status)
    if status == "PROTECT_BLOCKED":
        event |= PROTECTED
    return json.dumps(event, separators=(",", ":"))


def _request(message: Message) -> dict[str, Any]:
    return {"messageId": message.id, "messageRequestTimestamp": int(message.requested_at * 1000)}


def _end(message: Message, price: float, fee: float) -> dict[str, Any]:
    context = {"context": message.context} if message.context else {}
    return {**context, "totalMessageParts": message.parts, "totalMessagePrice": price, "totalCarrierFee": fee}


def _charge(message: Message, channel: str, status: str) -> tuple[float, float]:
    if status in FREE or status.startswith("FILE_"):
        return 0.0, 0.0
    price, fee = PRICES[channel]
    return round(price * message.parts, 5), round(fee * message.parts, 5)


def _text(message: Message, name: str, status: str) -> dict[str, Any]:
    return {
        "isInternationalSend": country_of(message.to) != "US",
        "mcc": "310",
        "mnc": "260",
        **_request(message),
        "messageEncoding": message.encoding,
        "messageType": message.message_type,
        "messageStatus": status,
        "messageStatusDescription": DESCRIPTIONS.get(status, status),
        **_end(message, *_charge(message, "TEXT", status)),
    }


def _media(message: Message, name: str, status: str) -> dict[str, Any]:
    return {
        **_request(message),
        "messageType": message.message_type,
        "messageStatus": "FAILED" if status.startswith("FILE_") else status,
        "messageStatusDescription": DESCRIPTIONS.get(status, status),
        **_end(message, *_charge(message, "MEDIA", status)),
    }


def _voice(message: Message, name: str, status: str) -> dict[str, Any]:
    found: dict[str, Any] = {**_request(message), "messageStatus": status}
    if status not in INTERMEDIATE:
        seconds = message.seconds if status == "COMPLETED" else 0
        minutes = math.ceil(seconds / 60)
        found |= {
            "callDurationInSeconds": seconds,
            "totalDurationInMinutes": minutes,
            "totalMessagePrice": round(minutes * PRICE_PER_MINUTE, 5),
        }
    return found | ({"context": message.context} if message.context else {})


def _rcs(message: Message, name: str, status: str) -> dict[str, Any]:
    word, description = RCS_STATUSES[name]
    price, fee = PRICES["RCS"] if name == "RCS_DELIVERED" else (0.0, 0.0)
    billed = {"rcsMetadata": {"billingEventType": "RICH" if message.rich else "BASIC"}} if price else {}
    return {
        "isInternationalSend": country_of(message.to) != "US",
        **_request(message),
        "messageEncoding": "UNICODE",
        "messageType": message.message_type,
        "messageStatus": word,
        "messageStatusDescription": description,
        **_end(message, price, fee),
        **billed,
        "rcsBusinessId": RCS_BUSINESS_ID,
        "agentIsoCountryCode": "US",
    }


def topics(configuration_set: dict[str, Any] | None, name: str) -> list[str]:
    """SNS topics of the set's destinations that subscribe to this event. ALL is SMS, MMS and voice, not RCS."""
    if configuration_set is None:
        return []
    name = "RCS_FAILED" if name == "RCS_REJECTED" else name
    channel = name.partition("_")[0]
    wanted = {name, f"{channel}_ALL"} | ({"ALL"} if channel != "RCS" else set())
    return [
        d["SnsDestination"]["TopicArn"]
        for d in configuration_set["EventDestinations"]
        if d["Enabled"] and "SnsDestination" in d and not wanted.isdisjoint(d["MatchingEventTypes"])
    ]
