"""From a request to the message that recipients would get: headers, recipients, parts, rendered templates."""

from __future__ import annotations

import email
import email.policy
import html
import json
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from typing import Any

from libs.simulator.errors import ProviderError

VARIABLE = re.compile(r"\{\{\{?\s*([#/^!>]?)\s*([\w.@-]*)[^}]*\}?\}\}")
ADDRESS = re.compile(r"[^@\s<>\",;:\\()\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+")
BUILT_IN = frozenset({"amazonSESUnsubscribeUrl"})
TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
MAX_BYTES = 40 * 1024 * 1024


def bad(message: str) -> ProviderError:
    return ProviderError("BadRequestException", message)


@dataclass(frozen=True, slots=True)
class Mail:
    """What events repeat of a message. `missing` is the template variable without data, `link` the first link."""

    source: str
    to: list[str]
    recipients: list[str]
    headers: list[tuple[str, str]]
    subject: str
    has_html: bool
    link: str | None
    template: str | None = None
    missing: str | None = None


def bare(address: str) -> str:
    """`Alex <alex@example.com>` -> `alex@example.com`."""
    return parseaddr(address)[1]


def check_address(address: str) -> str:
    found = bare(address)
    if not ADDRESS.fullmatch(found) or "\n" in address or "\r" in address:
        raise bad(f"Missing or invalid address: {address!r}")
    return found


def render(text: str, data: dict[str, Any]) -> tuple[str, str | None]:
    """Fill in `{{name}}` and `{{a.b}}`; returns the text and the first variable that has no data."""
    missing: list[str] = []

    def fill(found: re.Match[str]) -> str:
        name = found.group(2)
        if name in BUILT_IN:
            return "https://example.com/unsubscribe"
        value: Any = data
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            missing.append(name)
            return ""
        raw = value if isinstance(value, str) else json.dumps(value)
        return raw if found.group(0).startswith("{{{") else html.escape(raw, quote=False)

    return VARIABLE.sub(fill, text), missing[0] if missing else None


def check_template(content: dict[str, Any]) -> None:
    """Only variables are simulated: blocks, partials and helpers are refused rather than rendered wrongly."""
    if not content.get("Subject") or not (content.get("Text") or content.get("Html")):
        raise bad("A template needs a subject, and text or HTML.")
    for part in content.values():
        for kind, name in VARIABLE.findall(part):
            if kind or not name:
                raise bad("The simulator renders variables only, no blocks, comments or partials.")


def template_data(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise bad("Template rendering data is invalid.") from error
    if not isinstance(value, dict):
        raise bad("Template rendering data must be a JSON object.")
    return value


def from_parts(
    source: str, destination: dict[str, Any], subject: str, text: str, body: str, more: list[dict[str, str]],
    reply_to: list[str], template: str | None = None, missing: str | None = None,
) -> Mail:  # fmt: skip
    """A mail from subject, text and HTML."""
    to = [*destination.get("ToAddresses", ())]
    headers = [("From", source), ("To", ", ".join(to)), ("Subject", subject)]
    if destination.get("CcAddresses"):
        headers.append(("Cc", ", ".join(destination["CcAddresses"])))
    if reply_to:
        headers.append(("Reply-To", ", ".join(reply_to)))
    headers += [(h["Name"], h["Value"]) for h in more]
    return Mail(
        source, to, all_recipients(destination), headers, subject, bool(body), first_link(body or text),
        template, missing,
    )  # fmt: skip


def from_raw(data: bytes, source: str | None, destination: dict[str, Any]) -> Mail:
    """A mail from a complete MIME message; recipients come from the headers unless given."""
    if len(data) > MAX_BYTES:
        raise bad("The message is larger than 40 MB.")
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    if not isinstance(parsed, EmailMessage) or parsed.defects or ("From" not in parsed and source is None):
        raise bad("The raw message is not a MIME message with a From header.")
    headers = [(name, str(value)) for name, value in parsed.items()]
    listed = [a for name in ("To", "Cc", "Bcc") for _, a in getaddresses(parsed.get_all(name, []))]
    recipients = all_recipients(destination) or [check_address(a) for a in listed]
    part = parsed.get_body(("html",))
    body = part.get_content() if part is not None else ""
    to = [str(a) for a in parsed.get_all("To", [])] or list(destination.get("ToAddresses", ()))
    return Mail(
        source or str(parsed["From"]), to, recipients, headers, str(parsed.get("Subject", "")), bool(body),
        first_link(body),
    )  # fmt: skip


def all_recipients(destination: dict[str, Any]) -> list[str]:
    kinds = ("ToAddresses", "CcAddresses", "BccAddresses")
    return [check_address(a) for kind in kinds for a in destination.get(kind, ())]


def first_link(body: str) -> str | None:
    found = re.search(r"https?://[^\s\"'<>]+", body)
    return found.group(0) if found else None
