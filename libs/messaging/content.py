"""Content types of messages: one union for all channels, discriminated by ``kind``. The channel defines which kinds it
supports.

The limits here apply to all channels; a channel also rejects what its provider would.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

#: Maximum size of an e-mail's text and HTML together, in UTF-8; an event on SNS may have 256 KiB in total.
MAX_EMAIL_BYTES = 120_000


class Part(BaseModel):
    """Base class of all parts of a message: frozen, camelCase in JSON, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Text(Part):
    """A text. ``registered_id``: the id under which its wording is registered, where operators require that (SMS to
    India: the DLT content template id)."""

    kind: Literal["text"] = "text"
    body: str = Field(min_length=1, max_length=6000)
    preview_url: bool = False
    registered_id: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^\S+$")


class File(Part):
    """A file: a stored file by ``file_id``, a public ``https`` URL, or the provider's own media id."""

    file_id: str | None = None
    url: str | None = Field(default=None, max_length=2000, pattern=r"^(https|s3)://")
    provider_id: str | None = None
    content_type: str | None = None
    filename: str | None = Field(default=None, max_length=255)


class Media(Part):
    kind: Literal["media"] = "media"
    media_type: Literal["image", "video", "audio", "document", "sticker"]
    file: File
    caption: str | None = Field(default=None, max_length=1024)


class Template(Part):
    """A template by name. ``variables`` are keyed ``"1"``, ``"2"`` … for positional ones, by name otherwise;
    ``components`` passes header and button parameters to the provider unchanged, in the provider's format."""

    kind: Literal["template"] = "template"
    name: str = Field(min_length=1, max_length=512)
    language: str = Field(default="en_US", pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$")
    variables: dict[str, str] = Field(default_factory=dict)
    header: File | None = None
    components: list[dict[str, Any]] = Field(default_factory=list)


class Location(Part):
    kind: Literal["location"] = "location"
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: str | None = None
    address: str | None = None


class Contacts(Part):
    """Contact cards, in the format of WhatsApp's ``contacts``."""

    kind: Literal["contacts"] = "contacts"
    contacts: list[dict[str, Any]] = Field(min_length=1)


class Reaction(Part):
    """A reaction. ``message_id`` is the platform's id of the message reacted to (inbound: the provider's id if the
    platform's is not known)."""

    kind: Literal["reaction"] = "reaction"
    message_id: str
    emoji: str = ""


class Choice(Part):
    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=25)
    description: str | None = Field(default=None, max_length=72)


class Section(Part):
    title: str | None = Field(default=None, max_length=24)
    rows: list[Choice] = Field(min_length=1)


class Interactive(Part):
    """Buttons (1–3), a list (sections of rows, 10 in all), a link button, or a request for the location."""

    kind: Literal["interactive"] = "interactive"
    style: Literal["buttons", "list", "link", "location_request"]
    body: str = Field(min_length=1, max_length=1024)
    header: str | None = Field(default=None, max_length=60)
    footer: str | None = Field(default=None, max_length=60)
    buttons: list[Choice] = Field(default_factory=list, max_length=3)
    button: str | None = Field(default=None, max_length=20)
    sections: list[Section] = Field(default_factory=list, max_length=10)
    url: str | None = Field(default=None, max_length=2000)


class Email(Part):
    kind: Literal["email"] = "email"
    subject: str = Field(min_length=1, max_length=998)
    text: str | None = None
    html: str | None = None
    attachments: list[File] = Field(default_factory=list, max_length=20)
    headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_an_event(self) -> Self:
        """Limits the size: a message is part of an event, and SNS limits the size of an event."""
        size = sum(len(part.encode("utf-8", "replace")) for part in (self.text or "", self.html or ""))
        if size > MAX_EMAIL_BYTES:
            raise ValueError(f"text and html are {size} bytes together; {MAX_EMAIL_BYTES} are possible")
        return self


class Speech(Part):
    kind: Literal["speech"] = "speech"
    text: str = Field(min_length=1, max_length=6000)
    ssml: bool = False
    voice: str = "MATTHEW"


class Suggestion(Part):
    action: Literal["reply", "open_url", "dial", "show_location", "request_location", "calendar"]
    text: str = Field(min_length=1, max_length=25)
    postback: str = Field(min_length=1, max_length=2048)
    details: dict[str, Any] = Field(default_factory=dict)


class Card(Part):
    title: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    media_url: str | None = None
    #: A stored file instead of ``media_url``.
    media_file_id: str | None = None
    height: Literal["SHORT", "MEDIUM", "TALL"] = "MEDIUM"
    suggestions: list[Suggestion] = Field(default_factory=list, max_length=4)


class Rich(Part):
    """RCS content: text, a file, one card or a carousel of 2–10 cards, with suggestions, and the fallback that is sent
    by SMS when RCS delivery is not possible."""

    kind: Literal["rich"] = "rich"
    text: str | None = Field(default=None, max_length=3072)
    file_url: str | None = None
    #: Stored files instead of the URL of the same name.
    file_id: str | None = None
    cards: list[Card] = Field(default_factory=list, max_length=10)
    orientation: Literal["VERTICAL", "HORIZONTAL"] = "VERTICAL"
    width: Literal["SMALL", "MEDIUM"] = "MEDIUM"
    suggestions: list[Suggestion] = Field(default_factory=list, max_length=11)
    fallback_text: str | None = Field(default=None, max_length=1600)
    fallback_media_url: str | None = None
    fallback_media_file_id: str | None = None


class Choosing(Part):
    """Inbound only: a button, list row or suggestion that the contact tapped."""

    kind: Literal["choice"] = "choice"
    id: str
    title: str
    data: dict[str, Any] = Field(default_factory=dict)


class Raw(Part):
    """Inbound only: content of an unknown kind, kept unchanged."""

    kind: Literal["raw"] = "raw"
    type: str
    raw: dict[str, Any]


Content = Annotated[
    Text | Media | Template | Location | Contacts | Reaction | Interactive | Email | Speech | Rich | Choosing | Raw,
    Field(discriminator="kind"),
]
