"""The item of a file and its states. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from libs.common.clock import Timestamp, derived_id
from libs.common.declare.event import Event
from libs.common.store.item import Index, Item, Table
from libs.messaging.channels import Channel
from libs.messaging.events.media import MediaRejected, MediaStored
from libs.messaging.file_types import ENDINGS

#: As for messages; the bucket's lifecycle rule deletes no earlier.
RETENTION = timedelta(days=30)
#: Maximum age of a requested upload that was not completed.
UPLOAD_DEADLINE = timedelta(days=1)
#: WhatsApp's ids of customers' files are valid for seven days (Meta, "Media").
WHATSAPP_RETENTION = timedelta(days=7)
BUCKET = "files"

State = Literal["pending", "ready", "rejected"]


class MediaFile(Item):
    """One file. ``declared_type`` is the type that was declared, ``content_type`` the one detected from its bytes.
    ``channel`` is the one that it was received on, or uploaded for; ``fits`` are the channels that carry it."""

    TABLE: ClassVar[Table] = Table(
        "media-file", key="fileId", indexes=(Index("by-message", hash="messageId", sort="fileId"),), ttl="expiresAt"
    )

    file_id: str
    message_id: str | None = None
    part: int = 0
    channel: Channel | None = None
    state: State = "pending"
    #: A value of :class:`~libs.messaging.events.media.MediaRejected`; ``detail`` is text for people.
    reason: str | None = None
    detail: str | None = None
    s3_key: str | None = None
    filename: str | None = None
    declared_type: str | None = None
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    fits: tuple[Channel, ...] = ()
    #: The provider's id of an inbound file, and its expiry.
    provider_id: str | None = None
    provider_id_expires_at: Timestamp | None = None
    created_by: str | None = None
    uploaded_at: Timestamp
    expires_at: int

    @property
    def raw_key(self) -> str:
        """The key of an upload. Only the check reads it, because whoever has its URL can change the object."""
        return f"uploads/{self.file_id}"

    @property
    def inbound_prefix(self) -> str:
        """The prefix under which the provider stores a customer's file."""
        return f"inbound/{self.message_id}/{self.part}/"

    def final_key(self, content_type: str) -> str:
        """The key of an accepted file, with an extension, because carriers use it."""
        return f"files/{self.file_id}{ENDINGS.get(content_type, '')}"

    def rejected(self, reason: str, detail: str) -> MediaFile:
        return self.model_copy(update={"state": "rejected", "reason": reason, "detail": detail})

    def ready(self, now: datetime, **facts: Any) -> MediaFile:
        change = {"state": "ready", "uploaded_at": now, "expires_at": until(now + RETENTION)}
        return self.model_copy(update={**change, **facts})

    def said(self, bucket: str) -> list[Event]:
        """Returns the event of the decision; the same row always gives the same event."""
        about: dict[str, Any] = {"file_id": self.file_id, "message_id": self.message_id, "part": self.part}
        if self.state == "rejected":
            return [MediaRejected(**about, reason=self.reason or "refused", detail=self.detail)]
        if self.state == "pending" or self.s3_key is None:
            return []
        facts = {name: getattr(self, name) for name in ("content_type", "size", "sha256", "filename")}
        expires_at = datetime.fromtimestamp(self.expires_at, self.uploaded_at.tzinfo)
        return [
            MediaStored(
                **about, **facts, bucket=bucket, key=self.s3_key, stored_at=self.uploaded_at, expires_at=expires_at
            )
        ]


def until(moment: datetime) -> int:
    return int(moment.timestamp())


def inbound_id(message_id: str, part: int) -> str:
    """Returns the id of a message's file: the same on each redelivery."""
    return derived_id("media", message_id, str(part))


def safe_name(name: str | None) -> str | None:
    """Returns a name for display and saving: no path, no control or direction-changing characters, not hidden."""
    last = re.split(r"[/\\]", name or "")[-1]
    plain = "".join(c for c in last if c.isprintable()).strip(". ")
    return plain[:255] or None
