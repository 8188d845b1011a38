"""The types and sizes of files that WhatsApp accepts (facts 2.11)."""

from __future__ import annotations

import mimetypes
from urllib.parse import urlsplit

MB = 1024 * 1024

ALLOWED: dict[str, tuple[frozenset[str], int]] = {
    "audio": (frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}), 16 * MB),
    "document": (
        frozenset(
            {
                "text/plain",
                "application/pdf",
                "application/msword",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/vnd.ms-excel",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "application/vnd.ms-powerpoint",
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            }
        ),
        100 * MB,
    ),
    "image": (frozenset({"image/jpeg", "image/png"}), 5 * MB),
    "sticker": (frozenset({"image/webp"}), 500 * 1024),
    "video": (frozenset({"video/mp4", "video/3gpp"}), 16 * MB),
}
UNREACHABLE_HOST = "unreachable.example.com"
"""Links on this host, and links whose file name starts with `missing`, cannot be downloaded."""


def bare(mime_type: str) -> str:
    """`audio/ogg; codecs=opus` -> `audio/ogg`."""
    return mime_type.split(";")[0].strip().lower()


def kind_of(mime_type: str) -> str | None:
    """The kind of media a type can be sent as; None if WhatsApp does not accept it."""
    return next((kind for kind, (types, _) in ALLOWED.items() if bare(mime_type) in types), None)


def file_problem(mime_type: str, size: int) -> str | None:
    """Why a file cannot be uploaded."""
    kind = kind_of(mime_type)
    if kind is None:
        return f"Param file must be a file with one of the supported types, received {bare(mime_type) or 'none'}"
    if size > ALLOWED[kind][1]:
        return f"File of {size} bytes exceeds the limit of {ALLOWED[kind][1]} bytes for {kind}"
    return "File is empty" if size == 0 else None


def use_problem(kind: str, mime_type: str) -> str | None:
    """Why a stored file cannot be sent as `kind` (any supported file can be sent as a document)."""
    if kind == "document" or bare(mime_type) in ALLOWED[kind][0]:
        return None
    return f"Unsupported {kind} mime type {bare(mime_type)}"


def link_problem(kind: str, link: str) -> str | None:
    """Why Meta could not use a link. The simulator downloads nothing; host and file name determine the result."""
    try:
        parts = urlsplit(link)
    except ValueError:  # such as an unfinished IPv6 address
        return "Downloading media from the link failed."
    name = parts.path.rpartition("/")[2]
    if parts.hostname == UNREACHABLE_HOST or name.startswith("missing"):
        return "Downloading media from the link failed with http code 404."
    guessed = mimetypes.guess_type(parts.path)[0]
    return use_problem(kind, guessed) if guessed else None


def extension(mime_type: str) -> str:
    """`.jpeg` for image/jpeg, as AWS names inbound files."""
    known = {"image/jpeg": ".jpeg", "audio/ogg": ".ogg", "image/webp": ".webp", "video/3gpp": ".3gp"}
    return known.get(bare(mime_type)) or mimetypes.guess_extension(bare(mime_type)) or ".bin"
