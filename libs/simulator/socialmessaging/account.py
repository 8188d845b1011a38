"""The WhatsApp side of the simulated account: business accounts, numbers, templates, media, people."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any

from libs.simulator import demo
from libs.simulator.errors import ProviderError

WINDOW_S = 24 * 3600.0


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
    """A linked WhatsApp business account. `state` OK, RESTRICTED, LOCKED or UNPAID decides how sends end."""

    id: str
    meta_id: str
    name: str
    numbers: list[Number]
    templates: dict[tuple[str, str], Template] = field(default_factory=dict)
    destinations: list[dict[str, str]] = field(default_factory=list)
    state: str = "OK"

    @property
    def topics(self) -> list[str]:
        """The SNS topics that events go to (one at most, says the API)."""
        arns = [d["eventDestinationArn"] for d in self.destinations]
        return [arn for arn in arns if ":sns:" in arn]


class Account:
    """Everything one AWS account knows about WhatsApp, starting as the demo account."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.reset()

    def reset(self) -> None:
        # Imported here because the templates module needs the classes above.
        from libs.simulator.socialmessaging.seeds import demo_media, demo_templates

        numbers = [
            Number(demo.PHONE_NUMBER_ID, demo.META_PHONE_NUMBER_ID, demo.PHONE_NUMBER, "+1 202-555-0100"),
            Number(
                demo.SECOND_PHONE_NUMBER_ID, demo.SECOND_META_PHONE_NUMBER_ID, demo.SECOND_PHONE_NUMBER,
                "+1 202-555-0101",
            ),
        ]  # fmt: skip
        waba = Waba(demo.WABA_ID, demo.META_WABA_ID, "Example Store", numbers)
        waba.templates = {(t.name, t.language): t for t in demo_templates()}
        self.wabas = {waba.id: waba}
        self.media = {m.id: m for m in demo_media()}
        self.meta_ids = itertools.count(700000000000100)
        self.media_ids = itertools.count(900000000000100)
        self.windows: dict[tuple[str, str], float] = {}
        self.opted_out: set[str] = set()
        self.names: dict[str, str] = {}
        self.by_user_id: dict[str, str] = {}

    def waba(self, key: str) -> Waba:
        """By `waba-...` id or ARN."""
        found = self.wabas.get("waba-" + key.rpartition("/")[2] if key.startswith("arn:") else key)
        if found is None:
            raise ProviderError("ResourceNotFoundException", f"WhatsApp Business Account {key} was not found")
        return found

    def number(self, key: str) -> tuple[Waba, Number]:
        """By `phone-number-id-...` id or ARN."""
        wanted = "phone-number-id-" + key.rpartition("/")[2] if key.startswith("arn:") else key
        for waba in self.wabas.values():
            for number in waba.numbers:
                if number.id == wanted:
                    return waba, number
        raise ProviderError("ResourceNotFoundException", f"Phone number {key} was not found")

    def number_for(self, e164_or_id: str | None) -> tuple[Waba, Number] | None:
        """By E.164 number, AWS id or Meta id; the first number of the account when nothing is named."""
        for waba in self.wabas.values():
            for number in waba.numbers:
                if e164_or_id in (None, number.e164, number.digits, number.id, number.meta_id):
                    return waba, number
        return None

    def store(self, mime_type: str, data: bytes, origin: str) -> Media:
        media = Media(str(next(self.media_ids)), mime_type, data, origin)
        self.media[media.id] = media
        return media

    def user_id(self, digits: str) -> str:
        """The business-scoped id of a person: stable per number, as Meta's is per number and portfolio."""
        known = "US." + str(int.from_bytes(hashlib.blake2b(digits.encode(), digest_size=8).digest(), "big"))
        self.by_user_id.setdefault(known, digits)
        return known

    def name_of(self, digits: str) -> str:
        return self.names.get(digits, f"Customer {digits[-4:]}")

    def heard(self, number: Number, digits: str, at: float) -> None:
        """A person wrote in: the customer service window of this pair starts again."""
        self.windows[(number.id, digits)] = at

    def window_open(self, number: Number, digits: str, now: float) -> bool:
        last = self.windows.get((number.id, digits))
        return last is not None and now - last < WINDOW_S
