"""The records of a WhatsApp account: numbers, templates, media, business accounts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Number:
    """A business phone number. `id` is AWS's, `meta_id` Meta's."""

    id: str
    meta_id: str
    e164: str
    display: str
    name: str = "Example Store"
    quality: str = "GREEN"

    @property
    def digits(self) -> str:
        return self.e164.removeprefix("+")


@dataclass(slots=True)
class Template:
    """A message template of one language. `components` are Meta's, as in its definition."""

    name: str
    language: str
    category: str
    meta_id: str
    components: list[dict[str, Any]]
    status: str = "APPROVED"
    parameter_format: str = "POSITIONAL"
    quality: str = "UNKNOWN"

    def component(self, kind: str) -> dict[str, Any] | None:
        return next((c for c in self.components if str(c.get("type", "")).upper() == kind), None)


@dataclass(slots=True)
class Media:
    """A stored file. `origin` tells uploads (30 days at Meta) from received ones (7 days)."""

    id: str
    mime_type: str
    data: bytes
    origin: str = "upload"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(slots=True)
class Waba:
    """A linked WhatsApp business account. `state` OK, RESTRICTED, LOCKED or UNPAID determines the outcome of sends."""

    id: str
    meta_id: str
    name: str
    numbers: list[Number]
    templates: dict[tuple[str, str], Template] = field(default_factory=dict)
    destinations: list[dict[str, str]] = field(default_factory=list)
    state: str = "OK"
    webhook: str | None = None
    """The webhook for events of numbers that are connected at Meta."""

    @property
    def topics(self) -> list[str]:
        """The SNS topics for events (the API allows at most one)."""
        arns = [d["eventDestinationArn"] for d in self.destinations]
        return [arn for arn in arns if ":sns:" in arn]
