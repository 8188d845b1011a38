"""The known members of WhatsApp's events: those that AWS and Meta document and those in their samples (2026): AWS,
*Message and event format*; Meta, *Webhooks reference*. Add a new member here."""

from __future__ import annotations

from services.inbound.parsing.members import Known, only

ENVELOPE = only(
    "whatsAppWebhookEntry aws_account_id message_timestamp messageId",
    context=only(MetaWabaIds=only("wabaId arn"), MetaPhoneNumberIds=only("metaPhoneNumberId arn")),
)
ENTRY = only("id time changes")
CHANGE = only("field value")
VALUE = only(
    "messaging_product messages statuses user_preferences errors",
    metadata=only("display_phone_number phone_number_id"),
    contacts=only("wa_id user_id parent_user_id", profile=only("name username country_code")),
)
_ERRORS = only("code title message href", error_data=only("details"))
STATUS = only(
    "id status timestamp recipient_id recipient_user_id recipient_type biz_opaque_callback_data",
    conversation=only("id expiration_timestamp", origin=only("type")),
    pricing=only("billable pricing_model type category"),
    errors=_ERRORS,
)
PREFERENCE = only("wa_id user_id detail category value timestamp")
EVENTBRIDGE = only(
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


def of_message(kind: str) -> Known:
    """Returns the members of an element of ``messages[]``; content that is kept whole may have any members."""
    return {**_MESSAGE, kind: _CONTENT.get(kind)}
