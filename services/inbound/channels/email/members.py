"""The known members: those that SES documents and those in its samples (2026): Amazon SES, *Contents of event data*,
*Contents of notifications*. Add a new member here."""

from __future__ import annotations

from services.inbound.parsing.members import Known, only

MAIL = only(
    "timestamp messageId source sourceArn sourceIp callerIdentity sendingAccountId destination headersTruncated "
    "commonHeaders tags",
    headers=only("name value"),
)
_RECIPIENT = only("emailAddress action status diagnosticCode")
_TOPICS = only("unsubscribeAll", topicSubscriptionStatus=only("topicName subscriptionStatus"))
_MEMBERS: dict[str, Known] = {
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
RECEIVED = only(
    "notificationType content",
    mail=MAIL,
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


def of_event(member: str | None) -> Known:
    """Returns the members of an event that has ``member`` besides ``mail``."""
    known = only("eventType notificationType", mail=MAIL)
    return {**known, member: _MEMBERS[member]} if member else known
