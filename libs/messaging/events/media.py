"""Events that ``media`` publishes."""

from __future__ import annotations

from libs.common.clock import Timestamp
from libs.common.declare.event import Event


class MediaStored(Event):
    """A file was stored in the platform's bucket, complete and of a known type; services that send files keep a copy of
    this.

    ``message_id`` is the inbound message it was part of, and ``part`` its file number there (0, 1 …); an upload has no
    message.
    """

    TYPE = "media.stored.v1"
    ABOUT = "file_id"

    file_id: str
    message_id: str | None = None
    part: int = 0
    bucket: str
    key: str
    #: Detected from its bytes.
    content_type: str
    #: Bytes.
    size: int
    sha256: str
    filename: str | None = None
    stored_at: Timestamp
    #: Until when the bytes are kept.
    expires_at: Timestamp


class MediaRejected(Event):
    """A file was rejected, with the reason: ``missing``, ``empty``, ``too_big``, ``type``, ``type_differs``,
    ``limits``, ``expired``, ``refused``, ``no_sender``, ``not_ours``, ``unreadable``, ``deleted``. The message it was
    part of is not affected."""

    TYPE = "media.rejected.v1"
    ABOUT = "file_id"

    file_id: str
    message_id: str | None = None
    part: int = 0
    reason: str
    detail: str | None = None


class MediaDeleted(Event):
    """The bytes of a file were permanently deleted."""

    TYPE = "media.deleted.v1"
    ABOUT = "file_id"

    file_id: str
    message_id: str | None = None
