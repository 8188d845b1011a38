"""Encoding and parts of an SMS (3GPP TS 23.038; facts 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")
"""Need an escape and therefore two units."""

GSM_MAX, UCS2_MAX = 1530, 630


@dataclass(frozen=True, slots=True)
class Segments:
    """`encoding` GSM or Unicode, `units` in that encoding, `parts` that are sent and billed."""

    encoding: str
    units: int
    parts: int

    @property
    def too_long(self) -> bool:
        return self.units > (GSM_MAX if self.encoding == "GSM" else UCS2_MAX)


def segment(text: str) -> Segments:
    """160 (153 when split) GSM characters or 70 (67) UCS-2 units per part."""
    if all(c in BASIC or c in EXTENDED for c in text):
        widths = [2 if c in EXTENDED else 1 for c in text]
        return Segments("GSM", sum(widths), _parts(widths, 160, 153))
    widths = [2 if ord(c) > 0xFFFF else 1 for c in text]
    return Segments("Unicode", sum(widths), _parts(widths, 70, 67))


def _parts(widths: list[int], single: int, split: int) -> int:
    if sum(widths) <= single:
        return 1
    parts, used = 1, 0
    for width in widths:
        # An escape sequence or a surrogate pair is never split.
        if used + width > split:
            parts, used = parts + 1, 0
        used += width
    return parts
