"""Lists and replaces the files of a content, whatever its kind. Pure; used to accept, fetch and send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.messaging.channels import Channel
from libs.messaging.content import Content, Email, File, Media, Rich, Template


@dataclass(frozen=True)
class Slot:
    """One file of a content. ``path`` is its path in the API; ``kind`` is the media type it is sent as (None: not
    specified); ``fallback`` is set if it is sent on the fallback channel of the message's channel."""

    path: str
    file: File
    kind: str | None = None
    fallback: bool = False

    def channel(self, of_message: Channel) -> Channel:
        """Returns the channel on which the file is sent."""
        other = of_message.traits.fallback
        return Channel(other) if self.fallback and other else of_message


def slots(content: Content) -> list[Slot]:
    """Returns every file, in order."""
    match content:
        case Media():
            return [Slot("file", content.file, content.media_type)]
        case Template(header=File() as header):
            return [Slot("header", header)]
        case Email():
            return [Slot(f"attachments.{n}", file) for n, file in enumerate(content.attachments)]
        case Rich():
            return _of_rich(content)
    return []


def private_addresses(content: Content) -> list[str]:
    """Returns the paths of files with an ``s3://`` URL. Such URLs are for internal use only; a client of the API names
    a stored file by its id, so that the file was checked, or gives a public URL."""
    return [slot.path for slot in slots(content) if not slot.file.file_id and (slot.file.url or "").startswith("s3://")]


def _of_rich(content: Rich) -> list[Slot]:
    found = [_slot("fileUrl", content.file_id, content.file_url)]
    found += [_slot(f"cards.{n}.mediaUrl", card.media_file_id, card.media_url) for n, card in enumerate(content.cards)]
    found.append(_slot("fallbackMediaUrl", content.fallback_media_file_id, content.fallback_media_url, fallback=True))
    return [slot for slot in found if slot is not None]


def _slot(path: str, file_id: str | None, url: str | None, *, fallback: bool = False) -> Slot | None:
    if not file_id and not url:
        return None
    # The channel validates these URLs, with its own error texts.
    return Slot(path, File.model_construct(file_id=file_id, url=url), fallback=fallback)


def with_files(content: Content, files: Mapping[str, File]) -> Content:
    """Returns the content with the files at these paths replaced."""
    if not files:
        return content
    match content:
        case Media():
            return content.model_copy(update={"file": files.get("file", content.file)})
        case Template():
            return content.model_copy(update={"header": files.get("header", content.header)})
        case Email():
            attachments = [files.get(f"attachments.{n}", file) for n, file in enumerate(content.attachments)]
            return content.model_copy(update={"attachments": attachments})
        case Rich():
            return _with_urls(content, {path: file.url for path, file in files.items()})
    return content


def _with_urls(content: Rich, urls: Mapping[str, str | None]) -> Rich:
    change: dict[str, Any] = {}
    if "fileUrl" in urls:
        change |= {"file_url": urls["fileUrl"], "file_id": None}
    if "fallbackMediaUrl" in urls:
        change |= {"fallback_media_url": urls["fallbackMediaUrl"], "fallback_media_file_id": None}
    cards = [
        card.model_copy(update={"media_url": urls[path], "media_file_id": None}) if path in urls else card
        for card, path in ((card, f"cards.{n}.mediaUrl") for n, card in enumerate(content.cards))
    ]
    return content.model_copy(update={**change, "cards": cards})
