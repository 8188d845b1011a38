"""Extracts the new text of a reply by e-mail, without the quoted text. Pure."""

from __future__ import annotations

import re

#: Lines with which mail programs introduce quoted text: "On … wrote:" in several languages, Outlook's rule and heading.
_INTRODUCES = re.compile(
    r"^\s*(?:>"
    r"|-{2,}\s*(?:original message|forwarded message|ursprüngliche nachricht|message d'origine|mensaje original)"
    r"|_{8,}\s*$"
    r"|(?:on|am|le|el|il|op|em)\b.{0,200}\b(?:wrote|schrieb|écrit|escribió|ha scritto|schreef|escreveu)\b.{0,80}:\s*$"
    r"|(?:from|von|de|da|van)\s*:\s.{0,200}@)",
    re.IGNORECASE,
)
#: "-- " begins a signature (RFC 3676).
_SIGNATURE = re.compile(r"^--\s?$|^sent from my \w+|^von meinem \w+ gesendet", re.IGNORECASE)
_MAX_LINE_LENGTH = 500


def reply_text(text: str) -> str:
    """Returns the lines before the quoted text and before the signature."""
    lines = text.splitlines()
    for n, line in enumerate(lines):
        short = line[:_MAX_LINE_LENGTH]
        # The introducing line may be wrapped into two.
        both = f"{short} {lines[n + 1][:_MAX_LINE_LENGTH]}" if n + 1 < len(lines) and short.strip() else short
        if _INTRODUCES.match(short) or _SIGNATURE.match(short.strip()) or _INTRODUCES.match(both):
            return "\n".join(lines[:n]).strip()
    return text.strip()
