"""The known members of SMS, MMS, voice and RCS: those that AWS documents and those in its samples (2026): *Event format
for SMS, MMS and voice*, *RCS events*, *Two-way SMS messaging: payload*. Add a new member here."""

from __future__ import annotations

from services.inbound.parsing.members import only

EVENT = only(
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
