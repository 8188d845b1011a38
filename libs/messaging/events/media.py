"""What ``media`` says."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event


class MediaStored(Event):
    """A file is in our bucket, whole and of a type that we know; what sends files keeps a copy of this.

    ``message_id`` is the inbound message that it came with, as its file number ``part`` (0, 1 …); neither for an upload."""

    TYPE = "media.stored.v1"
    ABOUT = "file_id"

    file_id: str
    message_id: str | None = None
    part: int = 0
    bucket: str
    key: str
    #: As told from its bytes.
    content_type: str
    #: Bytes.
    size: int
    sha256: str
    filename: str | None = None
    stored_at: Timestamp
    #: Until when the bytes are kept.
    expires_at: Timestamp


class MediaRejected(Event):
    """A file was not taken, and why: ``missing``, ``empty``, ``too_big``, ``type``, ``type_differs``, ``limits``, ``expired``,
    ``refused``, ``no_sender``, ``not_ours``, ``unreadable``, ``deleted``. The message that it came with is not affected."""

    TYPE = "media.rejected.v1"
    ABOUT = "file_id"

    file_id: str
    message_id: str | None = None
    part: int = 0
    reason: str
    detail: str | None = None


class MediaDeleted(Event):
    """The bytes of a file were removed for good."""

    TYPE = "media.deleted.v1"
    ABOUT = "file_id"

    file_id: str
    message_id: str | None = None
