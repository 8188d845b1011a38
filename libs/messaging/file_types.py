"""The file types that messages may have, detected from the first bytes, never from a name or a header. Pure.

A type that is not listed here is rejected.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

KB = 1024
MB = 1024 * KB
#: The largest file of any channel.
MAX_FILE_BYTES = 100 * MB
#: Number of first bytes that identify the type: a document's parts are named near the start of its container.
SNIFFED_BYTES = 8 * KB

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_OLD_OFFICE = ("application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint")
#: Types with identical first bytes: within a family the declared type applies if it is a member, else the first
#: (``""``: none).
FAMILIES: dict[str, tuple[str, ...]] = {
    "mp4": ("video/mp4", "audio/mp4"),
    "text": ("text/plain", "text/csv", "text/vcard", "text/calendar"),
    "office": ("", _WORD, _SHEET, _SLIDES),
    "old-office": ("", *_OLD_OFFICE),
}
#: Other names in use -> the name used here.
ALIASES = {
    "image/jpg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/opus": "audio/ogg",
    "video/3gp": "video/3gpp",
    "text/x-vcard": "text/vcard",
}
_SIGNS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old-office"),
)
_OFFICE_PARTS = ((b"word/", _WORD), (b"xl/", _SHEET), (b"ppt/", _SLIDES))
#: Text that a browser would execute or a mail client would render.
_ACTIVE = re.compile(r"\s*<(!doctype|\?xml|!--|html|head|body|script|svg|iframe|style|meta|a\b)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def bare(content_type: str | None) -> str:
    """Returns the type without parameters (``audio/ogg; codecs=opus`` -> ``audio/ogg``) and with aliases replaced."""
    plain = (content_type or "").partition(";")[0].strip().lower()
    return ALIASES.get(plain, plain)


def settle(declared: str | None, head: bytes) -> str | None:
    """Returns the type of a file that begins with ``head``. ``declared`` only decides within a family; None: unknown
    type."""
    found = _detect_type(head)
    if found not in FAMILIES:
        return found
    family = FAMILIES[found]
    return (bare(declared) if bare(declared) in family else family[0]) or None


def _detect_type(head: bytes) -> str | None:
    for at, sign, found in _SIGNS:
        if head.startswith(sign, at) and (found != "image/webp" or head.startswith(b"RIFF")):
            return found
    if head[4:8] == b"ftyp":
        return "video/3gpp" if head[8:10] == b"3g" else "audio/mp4" if head[8:12] == b"M4A " else "mp4"
    if head.startswith(b"PK\x03\x04"):
        return _zipped(head)
    if len(head) > 1 and head[0] == 0xFF:
        # ADTS has layer 0; MP3 frames layer III.
        return "audio/aac" if head[1] & 0xF6 == 0xF0 else "audio/mpeg" if head[1] & 0xE6 == 0xE2 else None
    return "text" if _is_text(head) else None


def _zipped(head: bytes) -> str | None:
    """Returns the type of an office document, by the names of its parts; None for any other archive."""
    if b"[Content_Types].xml" not in head and b"_rels/" not in head:
        return None
    return next((found for part, found in _OFFICE_PARTS if part in head), "office")


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not _CONTROL.search(text) and not _ACTIVE.match(text)


@dataclass(frozen=True)
class FileLimit:
    """A channel's limit for one kind: these types, each up to ``maximum`` bytes."""

    kind: str
    types: frozenset[str]
    maximum: int


def file_limit(kind: str, maximum: int, *types: str) -> FileLimit:
    return FileLimit(kind, frozenset(types), maximum)


AUDIO = ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg")
VIDEO = ("video/mp4", "video/3gpp")
PICTURES = ("image/jpeg", "image/png", "image/gif")
DOCUMENTS = ("application/pdf", *_OLD_OFFICE, _WORD, _SHEET, _SLIDES)
TEXTS = FAMILIES["text"]
EVERY_TYPE = (*PICTURES, "image/webp", *AUDIO, *VIDEO, *DOCUMENTS, *TEXTS)
TYPES = frozenset(EVERY_TYPE)

#: File name extensions: carriers and users rely on them.
ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "video/mp4": ".mp4",
    "video/3gpp": ".3gp",
    "application/pdf": ".pdf",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    _WORD: ".docx",
    _SHEET: ".xlsx",
    _SLIDES: ".pptx",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/vcard": ".vcf",
    "text/calendar": ".ics",
}
