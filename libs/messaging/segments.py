"""Splits a text into the segments of an SMS: encoding, length in that encoding, and number of billed segments.

Sources: 3GPP TS 23.038 (the 7-bit default alphabet and its extension table, whose characters take two septets), TS
23.040 (each segment of several loses 6 bytes to its header); AWS End User Messaging, "SMS character limits". Other
implementations of a counter are tested against ``segments.vectors.json`` in this folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")

#: (units in a single segment, units in each of several, AWS's maximum in total).
_SIZES: dict[str, tuple[int, int, int]] = {"GSM": (160, 153, 1530), "UCS-2": (70, 67, 630)}


@dataclass(frozen=True)
class Segments:
    """The segments of a text. ``units``: septets in GSM (an extended character is two), 16-bit units in UCS-2 (an emoji
    is two). ``left``: units that still fit into the last segment. ``offending``: the distinct characters that are not
    in the GSM alphabet, in order of appearance."""

    encoding: Literal["GSM", "UCS-2"]
    units: int
    parts: int
    left: int
    longest: int
    offending: tuple[str, ...] = ()

    @property
    def too_long(self) -> bool:
        return self.units > self.longest


def segments(text: str) -> Segments:
    """Counts the segments of ``text``. Half a surrogate pair counts as one unit."""
    offending = tuple(dict.fromkeys(c for c in text if c not in BASIC and c not in EXTENDED))
    encoding: Literal["GSM", "UCS-2"] = "UCS-2" if offending else "GSM"
    widths = [2 if (ord(c) > 0xFFFF if offending else c in EXTENDED) else 1 for c in text]
    lone, several, longest = _SIZES[encoding]
    units = sum(widths)
    if units <= lone:
        return Segments(encoding, units, 1, lone - units, longest, offending)
    parts, used = 1, 0
    for width in widths:
        # An escape sequence or a surrogate pair is never split; the unit before it stays empty.
        if used + width > several:
            parts, used = parts + 1, 0
        used += width
    return Segments(encoding, units, parts, several - used, longest, offending)
