"""The demo account: fixed, synthetic identities that tests and demos can name.

No real identities: phone numbers are of the range reserved for fiction (+1 202 555 01xx), domains are
example.com, the account id is AWS's documentation account.
"""

from __future__ import annotations

ACCOUNT_ID = "111122223333"
REGION = "us-east-1"

# WhatsApp: one business account with two numbers.
WABA_ID = "waba-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
META_WABA_ID = "100000000000001"
PHONE_NUMBER_ID = "phone-number-id-1a2b3c4d5e6f708192a3b4c5d6e7f809"
META_PHONE_NUMBER_ID = "200000000000001"
PHONE_NUMBER = "+12025550100"
SECOND_PHONE_NUMBER_ID = "phone-number-id-2b3c4d5e6f708192a3b4c5d6e7f8091a"
SECOND_META_PHONE_NUMBER_ID = "200000000000002"
SECOND_PHONE_NUMBER = "+12025550101"

TEMPLATE_ORDER_UPDATE = "order_update"  # UTILITY, positional {{1}} {{2}}
TEMPLATE_WELCOME = "welcome"  # UTILITY, named {{first_name}}
TEMPLATE_PROMO = "promo"  # MARKETING, positional {{1}}, quick reply "Stop promotions"
TEMPLATE_OTP = "otp_code"  # AUTHENTICATION, {{1}} in the body and in the URL button
TEMPLATE_PAUSED = "summer_sale"  # MARKETING, PAUSED
TEMPLATE_REJECTED = "bad_offer"  # MARKETING, REJECTED
TEMPLATE_LANGUAGE = "en_US"

# Media that exist from the start (ids of uploads live 30 days at Meta, these do not expire).
MEDIA_IMAGE_ID = "900000000000001"
MEDIA_VIDEO_ID = "900000000000002"
MEDIA_AUDIO_ID = "900000000000003"
MEDIA_STICKER_ID = "900000000000004"
MEDIA_DOCUMENT_ID = "900000000000005"

# A recipient with normal behaviour.
CUSTOMER = "+12025550143"


def waba_arn(waba_id: str = WABA_ID, region: str = REGION) -> str:
    """ARNs carry the bare hex, without the `waba-` of the id."""
    return f"arn:aws:social-messaging:{region}:{ACCOUNT_ID}:waba/{waba_id.removeprefix('waba-')}"


def phone_number_arn(phone_number_id: str = PHONE_NUMBER_ID, region: str = REGION) -> str:
    bare = phone_number_id.removeprefix("phone-number-id-")
    return f"arn:aws:social-messaging:{region}:{ACCOUNT_ID}:phone-number-id/{bare}"


# SMS, MMS, voice and RCS.
SMS_PHONE_NUMBER_ID = "phone-0a1b2c3d4e5f60718293a4b5c6d7e8f9"  # +12025550100, 10DLC, TRANSACTIONAL
SMS_SECOND_PHONE_NUMBER_ID = "phone-1b2c3d4e5f60718293a4b5c6d7e8f90a"  # +12025550101, toll-free, PROMOTIONAL
POOL_ID = "pool-0a1b2c3d4e5f60718293a4b5c6d7e8f9"  # the first number and the RCS agent
RCS_AGENT_ID = "rcs-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
SENDER_ID = "EXMPLE"  # GB and IN, one-way
OPT_OUT_LIST = "Default"
NOTIFY_CONFIGURATION_ID = "notify-0a1b2c3d4e5f60718293a4b5c6d7e8f9"

# Email: verified identities of the demo account.
EMAIL_DOMAIN = "mail.example.com"
EMAIL_SENDER = "Example Store <news@mail.example.com>"
EMAIL_SUPPORT = "support@example.com"
EMAIL_CUSTOMER = "alex@example.com"


def sms_arn(kind: str, name: str, region: str = REGION) -> str:
    """`sms_arn("phone-number", SMS_PHONE_NUMBER_ID)`."""
    return f"arn:aws:sms-voice:{region}:{ACCOUNT_ID}:{kind}/{name}"
