"""Files and how each came to be taken or not. Pure."""

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

#: As long as messages; the bucket's own rule removes bytes no earlier.
RETENTION = timedelta(days=30)
#: An upload that was asked for and never came.
UPLOAD_DEADLINE = timedelta(days=1)
#: WhatsApp's ids of files that customers sent live seven days (Meta, "Media").
WHATSAPP_RETENTION = timedelta(days=7)
BUCKET = "files"

State = Literal["pending", "ready", "rejected"]


class MediaFile(Item):
    """One file. ``declared_type`` is what somebody said, ``content_type`` what its bytes say. ``channel`` is the one that it
    came by, or that it was uploaded for; ``fits`` are the channels that carry it."""

    TABLE: ClassVar[Table] = Table(
        "media-file", key="fileId", indexes=(Index("by-message", hash="messageId", sort="fileId"),), ttl="expiresAt"
    )

    file_id: str
    message_id: str | None = None
    part: int = 0
    channel: Channel | None = None
    state: State = "pending"
    #: A word of :class:`~libs.messaging.events.media.MediaRejected`, and in words for people.
    reason: str | None = None
    detail: str | None = None
    s3_key: str | None = None
    filename: str | None = None
    declared_type: str | None = None
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    fits: tuple[Channel, ...] = ()
    #: What the provider calls a file that came in, and until when.
    provider_id: str | None = None
    provider_id_expires_at: Timestamp | None = None
    created_by: str | None = None
    uploaded_at: Timestamp
    expires_at: int

    @property
    def raw_key(self) -> str:
        """Where an upload is put; nothing reads it but the check, for who has its URL can change it."""
        return f"uploads/{self.file_id}"

    @property
    def inbound_prefix(self) -> str:
        """Under which the provider puts what a customer sent."""
        return f"inbound/{self.message_id}/{self.part}/"

    def final_key(self, content_type: str) -> str:
        """Where it is kept; with an ending, by which carriers go."""
        return f"files/{self.file_id}{ENDINGS.get(content_type, '')}"

    def rejected(self, reason: str, detail: str) -> MediaFile:
        return self.model_copy(update={"state": "rejected", "reason": reason, "detail": detail})

    def ready(self, now: datetime, **facts: Any) -> MediaFile:
        change = {"state": "ready", "uploaded_at": now, "expires_at": until(now + RETENTION)}
        return self.model_copy(update={**change, **facts})

    def said(self, bucket: str) -> list[Event]:
        """What is said of it once it is decided; the same row always says the same."""
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
    """The same file of the same message is the same id, however often it is brought."""
    return derived_id("media", message_id, str(part))


def safe_name(name: str | None) -> str | None:
    """A name to show and to save under: no path, no control or direction-changing characters, not hidden."""
    last = re.split(r"[/\\]", name or "")[-1]
    plain = "".join(c for c in last if c.isprintable()).strip(". ")
    return plain[:255] or None
