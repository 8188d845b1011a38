"""Members of known messages that nobody has told us of: found here, kept raw beside what is recorded, counted by ``unknown_members.py``.

What is known is what the providers document and what their samples carry (2026): AWS, *Message and event format*, *Event format
for SMS, MMS and voice*, *RCS events*, *Two-way SMS messaging: payload*; Amazon SES, *Contents of event data*, *Contents of
notifications*; Meta, *Webhooks reference*. A new member becomes known by a word here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.inbound.channels.fields import Json, bounded

#: Name -> the members inside; None: whatever is inside is known, or its owner's own.
Known = Mapping[str, "Known | None"]
#: Where they lie in ``details``: path -> value, as it came.
UNKNOWN = "unknown"


def only(names: str = "", **inside: Known) -> dict[str, Known | None]:
    """These members, by spaces, and those whose own members are known, too."""
    return {**dict.fromkeys(names.split()), **inside}


def unknown(source: Any, known: Known, where: str = "") -> Json:
    """``{path: value}`` of what is not ``known`` in an object; in a list of objects the path has the place."""
    if isinstance(source, list):
        return {
            path: value for n, part in enumerate(source) for path, value in unknown(part, known, f"{where}.{n}").items()
        }
    found: Json = {}
    for name, value in source.items() if isinstance(source, dict) else ():
        path = f"{where}.{name}" if where else name
        inside = known.get(name)
        if name not in known:
            found[path] = value
        elif inside is not None:
            found |= unknown(value, inside, path)
    return found


def with_unknown_members(extra_members: Json) -> Json:
    """The part of ``details`` that holds them."""
    return {UNKNOWN: {path: bounded(value) for path, value in extra_members.items()}} if extra_members else {}


# -- WhatsApp ------------------------------------------------------------------------------------------

WHATSAPP_ENVELOPE = only(
    "whatsAppWebhookEntry aws_account_id message_timestamp messageId",
    context=only(MetaWabaIds=only("wabaId arn"), MetaPhoneNumberIds=only("metaPhoneNumberId arn")),
)
WHATSAPP_ENTRY = only("id time changes")
WHATSAPP_CHANGE = only("field value")
WHATSAPP_VALUE = only(
    "messaging_product messages statuses user_preferences errors",
    metadata=only("display_phone_number phone_number_id"),
    contacts=only("wa_id user_id parent_user_id", profile=only("name username country_code")),
)
_ERRORS = only("code title message href", error_data=only("details"))
WHATSAPP_STATUS = only(
    "id status timestamp recipient_id recipient_user_id recipient_type biz_opaque_callback_data",
    conversation=only("id expiration_timestamp", origin=only("type")),
    pricing=only("billable pricing_model type category"),
    errors=_ERRORS,
)
WHATSAPP_PREFERENCE = only("wa_id user_id detail category value timestamp")
WHATSAPP_EVENTBRIDGE = only(
    "version id detail-type source account time region resources",
    detail=only(
        "wabaId originationPhoneNumber originationPhoneNumberId messageId status eventTimestamp", errors=_ERRORS
    ),
)
_MESSAGE = only(
    "id from from_user_id group_id timestamp type",
    context=only("from id forwarded frequently_forwarded referred_product"),
    referral=only(
        "source_url source_id source_type headline body media_type image_url video_url thumbnail_url ctwa_clid",
        welcome_message=only("text"),
    ),
    errors=_ERRORS,
)
_FILE = only("id mime_type sha256 caption filename animated url voice")
_CONTENT: dict[str, Known] = {
    **dict.fromkeys(("image", "video", "audio", "voice", "document", "sticker"), _FILE),
    "text": only("body"),
    "location": only("latitude longitude name address url"),
    "reaction": only("message_id emoji"),
    "button": only("text payload"),
    "interactive": only(
        "type",
        button_reply=only("id title"),
        list_reply=only("id title description"),
        nfm_reply=only("name body response_json"),
    ),
}


def of_whatsapp_message(kind: str) -> Known:
    """The members of an element of ``messages[]``; content that is kept whole holds whatever is in it."""
    return {**_MESSAGE, kind: _CONTENT.get(kind)}


# -- SMS, MMS, voice and RCS ----------------------------------------------------------------------------

SMS_VOICE_EVENT = only(
    "eventType eventVersion eventTimestamp isFinal originationPhoneNumber destinationPhoneNumber isoCountryCode mcc mnc "
    "isInternationalSend messageId messageRequestTimestamp messageEncoding messageType messageStatus contentType context "
    "messageStatusDescription totalMessageParts totalMessagePrice totalCarrierFee callDurationInSeconds "
    "totalDurationInMinutes rcsBusinessId agentIsoCountryCode conversationInitiatingMessageId "
    "conversationInitiatingMessageType conversationSessionFee",
    rcsMetadata=only("billingEventType"),
    protectConfiguration=only("protectConfigurationId protectStatus"),
    protectConfigurationAssessment=only("protectRecommendation", protectInsights=only("blockReason")),
)
TWO_WAY = only(
    "originationNumber destinationNumber messageKeyword messageBody inboundMessageId previousPublishedMessageId"
)
RCS_SUGGESTION = only("type text postbackData")
RCS_MEDIA = only("mediaStatus mediaStatusMessage s3Bucket s3Key mimeType fileName fileSizeBytes")

# -- SES -----------------------------------------------------------------------------------------------

SES_MAIL = only(
    "timestamp messageId source sourceArn sourceIp callerIdentity sendingAccountId destination headersTruncated "
    "commonHeaders tags",
    headers=only("name value"),
)
_RECIPIENT = only("emailAddress action status diagnosticCode")
_TOPICS = only("unsubscribeAll", topicSubscriptionStatus=only("topicName subscriptionStatus"))
_SES_MEMBERS: dict[str, Known] = {
    "send": only(),
    "delivery": only("timestamp processingTimeMillis recipients smtpResponse remoteMtaIp reportingMTA"),
    "bounce": only(
        "bounceType bounceSubType timestamp feedbackId reportingMTA remoteMtaIp", bouncedRecipients=_RECIPIENT
    ),
    "complaint": only(
        "timestamp feedbackId complaintSubType userAgent complaintFeedbackType arrivalDate",
        complainedRecipients=only("emailAddress"),
    ),
    "reject": only("reason"),
    "open": only("ipAddress timestamp userAgent isBotEvent"),
    "click": only("ipAddress timestamp userAgent link linkTags isBotEvent"),
    "failure": only("errorMessage templateName"),
    "deliveryDelay": only("timestamp delayType expirationTime reportingMTA", delayedRecipients=_RECIPIENT),
    "subscription": only(
        "contactList timestamp source", newTopicPreferences=_TOPICS, oldTopicPreferences=_TOPICS
    ),
}  # fmt: skip
_VERDICT = only("status")
SES_RECEIVED = only(
    "notificationType content",
    mail=SES_MAIL,
    receipt=only(
        "timestamp processingTimeMillis recipients dmarcPolicy",
        spamVerdict=_VERDICT,
        virusVerdict=_VERDICT,
        spfVerdict=_VERDICT,
        dkimVerdict=_VERDICT,
        dmarcVerdict=_VERDICT,
        action=only("type topicArn bucketName objectKeyPrefix objectKey encoding"),
    ),
)


def of_ses_event(member: str | None) -> Known:
    """The members of an event that carries ``member`` besides ``mail``."""
    known = only("eventType notificationType", mail=SES_MAIL)
    return {**known, member: _SES_MEMBERS[member]} if member else known
