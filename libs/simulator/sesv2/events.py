"""SES events as they arrive over SNS (facts 6.5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from libs.simulator import demo
from libs.simulator.clock import iso_millis
from libs.simulator.sesv2.compose import Mail, bare

MTA = "a8-50.smtp-out.amazonses.com"
API_NAMES = {
    "Send": "SEND", "Delivery": "DELIVERY", "Bounce": "BOUNCE", "Complaint": "COMPLAINT", "Reject": "REJECT",
    "Open": "OPEN", "Click": "CLICK", "RenderingFailure": "RENDERING_FAILURE", "DeliveryDelay": "DELIVERY_DELAY",
    "Subscription": "SUBSCRIPTION",
}  # fmt: skip
BOUNCES = {
    "Permanent": ("General", "NoEmail", "Suppressed", "OnAccountSuppressionList", "EmailValidationSuppressed",
                  "OnTenantSuppressionList"),
    "Transient": ("General", "MailboxFull", "MessageTooLarge", "CustomTimeoutExceeded", "ContentRejected",
                  "AttachmentRejected"),
    "Undetermined": ("Undetermined",),
}  # fmt: skip
_CODES = {
    "Permanent": ("5.1.1", "smtp; 550 5.1.1 user unknown"),
    "Transient": ("4.0.0", "smtp; 451 try later"),
    "Undetermined": ("5.0.0", "smtp; 554 unknown"),
}
SUPPRESSED_TEXT = "Amazon SES did not send the message to this address because it is on the suppression list"


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted email. `requested_at` in seconds."""

    id: str
    feedback_id: str
    mail: Mail
    operation: str
    requested_at: float
    configuration_set: str
    tags: dict[str, str]
    region: str
    contact_list: str | None
    topic: str | None


def render(sent: Sent, name: str, recipient: str, at: float) -> str:
    """The event `name` (`Bounce:Permanent/General`, `Delivery` ...) about one recipient, as SNS Message."""
    kind, _, detail = name.partition(":")
    event = {"eventType": "Rendering Failure" if kind == "RenderingFailure" else kind, "mail": _mail(sent)}
    member = "failure" if kind == "RenderingFailure" else kind[0].lower() + kind[1:]
    event[member] = _OBJECTS[kind](sent, recipient, iso_millis(at), detail)
    return json.dumps(event, separators=(",", ":"))


def _mail(sent: Sent) -> dict[str, Any]:
    mail, domain = sent.mail, bare(sent.mail.source).rpartition("@")[2]
    tags = {
        "ses:operation": [sent.operation],
        "ses:configuration-set": [sent.configuration_set],
        "ses:source-ip": ["192.0.2.10"],
        "ses:from-domain": [domain],
        "ses:caller-identity": ["sender-role"],
    }
    return {
        "timestamp": iso_millis(sent.requested_at),
        "source": mail.source,
        "sourceArn": f"arn:aws:ses:{sent.region}:{demo.ACCOUNT_ID}:identity/{domain}",
        "sendingAccountId": demo.ACCOUNT_ID,
        "messageId": sent.id,
        "destination": mail.recipients,
        "headersTruncated": False,
        "headers": [{"name": n, "value": v} for n, v in mail.headers],
        "commonHeaders": {"from": [mail.source], "to": mail.to, "messageId": sent.id, "subject": mail.subject},
        "tags": tags | {k: [v] for k, v in sent.tags.items()},
    }


def _delivery(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    return {
        "timestamp": at,
        "processingTimeMillis": 2000,
        "recipients": [recipient],
        "smtpResponse": "250 2.6.0 Message received",
        "remoteMtaIp": "198.51.100.20",
        "reportingMTA": MTA,
    }


def _bounce(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    kind, _, subtype = (detail or "Permanent/General").partition("/")
    subtype = subtype or BOUNCES[kind][0]
    status, code = _CODES[kind]
    if subtype.endswith("SuppressionList"):
        code = SUPPRESSED_TEXT
    bounced = {"emailAddress": recipient, "action": "failed", "status": status, "diagnosticCode": code}
    return {
        "feedbackId": sent.feedback_id,
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [bounced],
        "timestamp": at,
        "reportingMTA": f"dns; {MTA}",
    }


def _complaint(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    return {
        "feedbackId": sent.feedback_id,
        "complaintSubType": None,
        "complainedRecipients": [{"emailAddress": recipient}],
        "timestamp": at,
        "userAgent": "Feedback Loop",
        "complaintFeedbackType": "abuse",
        "arrivalDate": at,
    }


def _seen(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    return {"ipAddress": "203.0.113.7", "timestamp": at, "userAgent": "Mozilla/5.0"}


def _click(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    link = sent.mail.link or "https://example.com/"
    return _seen(sent, recipient, at, detail) | {"link": link, "linkTags": {"campaign": ["spring"]}}


def _failure(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    text = f"Attribute '{sent.mail.missing or 'name'}' is not present in the rendering data."
    return {"errorMessage": text, "templateName": sent.mail.template or ""}


def _delay(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    delayed = {"emailAddress": recipient, "status": "4.4.1", "diagnosticCode": "smtp; 421 4.4.1 try later"}
    return {
        "timestamp": at,
        "delayType": "TransientCommunicationFailure",
        "expirationTime": iso_millis(sent.requested_at + 14 * 3600),
        "reportingMTA": MTA,
        "delayedRecipients": [delayed],
    }


def _subscription(sent: Sent, recipient: str, at: str, detail: str) -> dict[str, Any]:
    topic = sent.topic or "offers"

    def preferences(unsubscribed: bool) -> dict[str, Any]:
        status = "OptOut" if unsubscribed else "OptIn"
        return {
            "unsubscribeAll": unsubscribed,
            "topicSubscriptionStatus": [{"topicName": topic, "subscriptionStatus": status}],
        }

    return {
        "contactList": sent.contact_list or "newsletter",
        "timestamp": at,
        "source": "UnsubscribeHeader",
        "newTopicPreferences": preferences(True),
        "oldTopicPreferences": preferences(False),
    }


_OBJECTS: dict[str, Any] = {
    "Send": lambda sent, recipient, at, detail: {},
    "Delivery": _delivery,
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Reject": lambda sent, recipient, at, detail: {"reason": "Bad content"},
    "Open": _seen,
    "Click": _click,
    "RenderingFailure": _failure,
    "DeliveryDelay": _delay,
    "Subscription": _subscription,
}


def known(name: str) -> bool:
    """Whether a name can be rendered: a kind, and for Bounce `Type/SubType`."""
    kind, _, detail = name.partition(":")
    if kind not in API_NAMES:
        return False
    bounce, _, subtype = detail.partition("/")
    return not detail or (kind == "Bounce" and subtype in ("", *BOUNCES.get(bounce, ("?",))) and bounce in BOUNCES)
