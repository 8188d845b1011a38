"""The channels. Everything that varies by channel is in the channel's :class:`ChannelTraits`; no other code branches on
the channel.

A new channel is one member of :class:`Channel` with its :class:`ChannelTraits`; see docs/ADDING_A_CHANNEL.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self

from libs.messaging.addresses import EMAIL_ADDRESS, PHONE, AddressKind, provider_id
from libs.messaging.file_types import (
    AUDIO,
    DOCUMENTS,
    EVERY_TYPE,
    KB,
    MB,
    PICTURES,
    TEXTS,
    VIDEO,
    FileLimit,
    file_limit,
)
from libs.messaging.pause_rules import MAIL_RULES, STANDARD_RULES, PauseRule
from libs.messaging.policy import ClassPolicy, never_resending, resending
from libs.messaging.vocabulary import MessageClass

#: Meta's business-scoped user id (``CC.`` and up to 128 alphanumerics), for users without a phone number.
BUSINESS_SCOPED_ID = provider_id(r"[A-Z]{2}\.([A-Z]+\.)?[A-Za-z0-9]{1,128}", "US.13491208655302741918")


def _as_meta_writes(text: str, region: str | None = None) -> str:
    """Keeps E.164 numbers unchanged: Meta's form of some numbers is not "possible" by the tables of phonenumbers."""
    written = text.strip()
    return written if PHONE.valid(written) else PHONE.normalise(written, region)


_META_PHONE = replace(PHONE, normalise=_as_meta_writes)
#: The content type that a plain text is converted to.
TextContent = Literal["text", "email", "speech", "rich"]


@dataclass(frozen=True)
class TemplateTraits:
    """Templates of a channel. ``at_provider``: the provider stores and approves them, and its own limits apply. Lengths
    are in characters: of a template's body, and of the rendered text."""

    at_provider: bool = False
    max_body_length: int = 6000
    max_text_length: int = 6000
    #: The fields, besides the body, that a template of the channel may have.
    parts: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ChannelTraits:
    """The properties of a channel."""

    #: The kinds of address that the channel accepts, the usual one first.
    addresses: tuple[AddressKind, ...]
    text_content: TextContent
    templates: TemplateTraits
    #: The kinds of content that a bulk job may send.
    bulk_contents: frozenset[str]
    policies: Mapping[MessageClass, ClassPolicy]
    #: Messages per second of one sender, unless the settings give a rate.
    messages_per_second: float
    #: The channel's entry in ``services/bulk/planning/prices.json``; None: estimated at no cost.
    price_key: str | None = None
    files: tuple[FileLimit, ...] = ()
    #: The provider does not fetch URLs: the platform downloads a file that is given by its URL.
    fetches_links: bool = False
    #: The provider's fallback channel, if any.
    fallback: str | None = None
    #: Where a received file is stored: in the platform's bucket, at WhatsApp, or within the raw mail.
    received_files: Literal["bucket", "whatsapp", "mail"] = "bucket"
    #: Content other than a template requires a message from the contact within the last 24 hours.
    needs_open_window: bool = False
    #: Marketing is deferred during the recipient's quiet hours.
    quiet_hours: bool = True
    #: Billed by segments of the text (GSM 03.38).
    counts_segments: bool = False
    #: The provider limits how many distinct recipients a portfolio of numbers may reach in a day.
    has_portfolios: bool = False
    #: HELP is answered automatically.
    answers_help: bool = True
    #: An automatic reply must be sent from the number that the contact wrote to.
    answers_from_same_number: bool = False
    #: The scope of the provider's own opt-out.
    provider_opt_out: Literal["all", "marketing"] = "all"
    pause_rules: tuple[PauseRule, ...] = STANDARD_RULES

    def valid(self, address: str | None) -> bool:
        """Whether the address is valid on the channel."""
        return bool(address) and any(kind.valid(address or "") for kind in self.addresses)

    def normalise(self, written: str, region: str | None = None) -> str:
        """Returns the normalised address. Raises ValueError with a sentence for users."""
        kind = next((each for each in self.addresses if each.valid(written.strip())), self.addresses[0])
        return kind.normalise(written, region)

    def same(self, one: str, other: str) -> bool:
        """Whether both spellings denote the same address."""
        if one.lower() != other.lower():
            return False
        return one == other or any(kind.ignores_case and kind.valid(one) for kind in self.addresses)

    @property
    def provider_id(self) -> AddressKind | None:
        """The address kind of the provider's user ids, if the channel uses them."""
        return next((kind for kind in self.addresses if not kind.shared), None)


# No docstring: it would become part of every schema.
class Channel(StrEnum):
    traits: ChannelTraits

    def __new__(cls, value: str, traits: ChannelTraits | None = None) -> Self:
        # Called once for each member below, with its traits; ``Channel("sms")`` looks up a member and does not call it.
        assert traits is not None
        member = str.__new__(cls, value)
        member._value_ = value
        member.traits = traits
        return member

    WHATSAPP = (
        "whatsapp",
        ChannelTraits(
            addresses=(_META_PHONE, BUSINESS_SCOPED_ID),
            text_content="text",
            templates=TemplateTraits(at_provider=True),
            bulk_contents=frozenset({"template", "text", "media"}),
            policies=resending(timedelta(seconds=60)),
            messages_per_second=80.0,
            price_key="whatsapp",
            # Meta, "Supported media types" (December 2025). The limit is that of animated stickers; Meta limits static
            # ones to 100 KB.
            files=(
                file_limit("image", 5 * MB, "image/jpeg", "image/png"),
                file_limit("sticker", 500 * KB, "image/webp"),
                file_limit("audio", 16 * MB, *AUDIO),
                file_limit("video", 16 * MB, *VIDEO),
                file_limit("document", 100 * MB, "text/plain", *DOCUMENTS),
            ),
            received_files="whatsapp",
            needs_open_window=True,
            has_portfolios=True,
            # Meta's opt-out list (131050) covers marketing only.
            provider_opt_out="marketing",
        ),
    )
    SMS = (
        "sms",
        ChannelTraits(
            addresses=(PHONE,),
            text_content="text",
            templates=TemplateTraits(max_body_length=1530),
            bulk_contents=frozenset({"text", "template"}),
            policies=resending(timedelta(minutes=5)),
            messages_per_second=20.0,
            price_key="sms",
            # AWS, "MMS file types, size and character limits".
            files=(
                file_limit("image", 2 * MB, *PICTURES),
                file_limit("audio", 600 * KB, *AUDIO),
                file_limit("video", 600 * KB, *VIDEO),
                file_limit("document", 600 * KB, "application/pdf", *TEXTS),
            ),
            fetches_links=True,
            counts_segments=True,
            answers_from_same_number=True,
        ),
    )
    EMAIL = (
        "email",
        ChannelTraits(
            addresses=(EMAIL_ADDRESS,),
            text_content="email",
            templates=TemplateTraits(max_body_length=100_000, parts=frozenset({"subject", "html"})),
            bulk_contents=frozenset({"email", "template"}),
            policies=resending(timedelta(seconds=60)),
            messages_per_second=14.0,
            price_key="email",
            # SES limits a message to 40 MB after base64 (2026); this leaves space for the rest of the message.
            files=(file_limit("attachment", 28 * MB, *EVERY_TYPE),),
            fetches_links=True,
            received_files="mail",
            quiet_hours=False,
            # A mail that asks for help is for a person, not a keyword.
            answers_help=False,
            pause_rules=MAIL_RULES,
        ),
    )
    VOICE = (
        "voice",
        ChannelTraits(
            addresses=(PHONE,),
            text_content="speech",
            templates=TemplateTraits(parts=frozenset({"voice", "ssml"})),
            bulk_contents=frozenset({"speech", "template"}),
            policies=never_resending(timedelta(minutes=10)),
            messages_per_second=1.0,
            price_key="voice",
        ),
    )
    RCS = (
        "rcs",
        ChannelTraits(
            addresses=(PHONE,),
            text_content="rich",
            templates=TemplateTraits(max_body_length=3072, max_text_length=3072),
            bulk_contents=frozenset({"rich", "text", "template"}),
            policies=resending(timedelta(minutes=5)),
            messages_per_second=20.0,
            price_key="rcs",
            # AWS, "SendRcsMessage".
            files=(file_limit("file", 100 * MB, *EVERY_TYPE),),
            fallback="sms",
            answers_from_same_number=True,
        ),
    )
