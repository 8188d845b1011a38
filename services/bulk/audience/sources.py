"""Sources of an audience other than a filter: an uploaded file, a saved list."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from libs.common.clock import Timestamp
from libs.common.store.item import Index, Item, Table
from services.bulk.model import LISTED, Columns


class Upload(Item):
    """A file of recipients. ``parts`` is set after splitting: the number of objects with rows under ``rows/<upload
    id>/``."""

    TABLE: ClassVar[Table] = Table("upload", key="uploadId", ttl="expiresAt")

    upload_id: str
    filename: str
    created_by: str
    created_at: Timestamp
    size: int | None = None
    columns: tuple[str, ...] = ()
    rows: int | None = None
    parts: int | None = None
    expires_at: int

    @property
    def object_key(self) -> str:
        return f"uploads/{self.upload_id}"

    @property
    def prefix(self) -> str:
        return f"rows/{self.upload_id}/"


class SavedList(Item):
    """A saved audience with a name."""

    TABLE: ClassVar[Table] = Table("list", key="listId", indexes=(Index("by-name", hash="listed", sort="name"),))

    list_id: str
    name: str
    audience: dict[str, Any]
    mapping: Columns = Field(default_factory=Columns)
    created_by: str
    created_at: Timestamp
    listed: str = LISTED
