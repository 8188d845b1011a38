"""Copies of the metadata of stored files: each service that accepts or sends files keeps its own, published by
``media``."""

from __future__ import annotations

from typing import ClassVar

from libs.common.handle.copy import Copy
from libs.common.store.item import Item, Table
from libs.messaging.events.media import MediaDeleted, MediaStored


class FileCopy(Item):
    """The location and type of a file. Immutable; deleted together with the file."""

    TABLE: ClassVar[Table] = Table("file-copy", key="fileId", ttl="expiresAt")

    file_id: str
    bucket: str
    s3_key: str
    content_type: str
    size: int
    filename: str | None = None
    expires_at: int

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.s3_key}"

    @classmethod
    def of(cls, event: MediaStored) -> FileCopy:
        return cls(
            file_id=event.file_id,
            bucket=event.bucket,
            s3_key=event.key,
            content_type=event.content_type,
            size=event.size,
            filename=event.filename,
            expires_at=int(event.expires_at.timestamp()),
        )


#: A MediaDeleted that arrives before the MediaStored has no effect here; the file itself is deleted anyway.
stored_files = Copy(
    FileCopy, {MediaStored: lambda event, now: FileCopy.of(event)}, gone={MediaDeleted: lambda event: event.file_id}
)
