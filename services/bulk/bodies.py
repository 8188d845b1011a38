"""Request bodies of bulk jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from libs.common.declare.wire import Body
from libs.messaging.channels import Channel
from libs.messaging.content import Email, Media, Rich, Speech, Template, Text
from libs.messaging.vocabulary import Purpose

MAX_CONTACTS = 10_000
Id = Annotated[str, Field(min_length=1, max_length=100)]


class CreateUpload(Body):
    """A new upload. ``size`` in bytes, if known: the upload must then have exactly that size."""

    filename: str = Field(min_length=1, max_length=255)
    size: int | None = Field(default=None, ge=1, le=500_000_000)


class ContactFilter(Body):
    """Contacts of the channel that have an address. Contacts without consent are listed as skipped."""

    zones: list[str] = Field(default_factory=list, max_length=100)
    locales: list[str] = Field(default_factory=list, max_length=100)
    opted_in: bool = False
    wrote_after: AwareDatetime | None = None
    wrote_before: AwareDatetime | None = None


class Audience(Body):
    """The audience: exactly one of the fields."""

    upload_id: str | None = Field(default=None, max_length=100)
    contact_ids: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_CONTACTS)
    list_id: str | None = Field(default=None, max_length=100)
    filter: ContactFilter | None = None

    @model_validator(mode="after")
    def _one(self) -> Audience:
        if sum(each is not None for each in (self.upload_id, self.contact_ids, self.list_id, self.filter)) != 1:
            raise ValueError("give exactly one of uploadId, contactIds, listId and filter")
        return self


class Mapping(Body):
    """The column mapping; see :class:`services.bulk.model.Columns`."""

    address: str | None = Field(default=None, max_length=100)
    variables: dict[str, str] = Field(default_factory=dict, max_length=100)
    fallbacks: dict[str, str] = Field(default_factory=dict, max_length=100)
    region: str | None = Field(default=None, pattern=r"^[A-Za-z]{2}$")


class CreateList(Body):
    name: str = Field(min_length=1, max_length=200)
    audience: Audience
    mapping: Mapping = Field(default_factory=Mapping)


Sendable = Annotated[Template | Text | Media | Email | Speech | Rich, Field(discriminator="kind")]


class CreateJob(Body):
    """A new job. ``hold`` requires an approval even for 20 recipients or fewer. Times include their zone."""

    name: str = Field(min_length=1, max_length=200)
    channel: Channel
    content: Sendable
    purpose: Literal[Purpose.SERVICE, Purpose.MARKETING] = Purpose.MARKETING
    sender: str | None = Field(default=None, min_length=1, max_length=256)
    audience: Audience
    mapping: Mapping = Field(default_factory=Mapping)
    throttle_per_second: float | None = Field(default=None, gt=0, le=10_000)
    start_at: AwareDatetime | None = None
    end_at: AwareDatetime | None = None
    hold: bool = False


class TestSend(Body):
    """A test send: one message of the job to one contact, with these values."""

    contact_id: Id
    variables: dict[str, str] = Field(default_factory=dict, max_length=100)


class Approve(Body):
    """The hash of the plan to approve."""

    hash: str = Field(min_length=1, max_length=100)


class UpdateJob(Body):
    """Changes of a job. ``state`` runs, pauses or cancels it; the other fields change the plan while the job has not
    started, which changes its hash. Fields not given stay unchanged; null clears."""

    state: Literal["running", "paused", "cancelled"] | None = None
    name: str | None = Field(default=None, min_length=1, max_length=200)
    throttle_per_second: float | None = Field(default=None, gt=0, le=10_000)
    start_at: AwareDatetime | None = None
    end_at: AwareDatetime | None = None


class Why(Body):
    """The reason, for the record."""

    why: str | None = Field(default=None, max_length=200)
