"""The WhatsApp side of the simulated account: business accounts, numbers, templates, media, people."""

from __future__ import annotations

import hashlib
import itertools

from libs.simulator import demo
from libs.simulator.errors import ProviderError
from libs.simulator.socialmessaging.records import Media, Number, Waba
from libs.simulator.socialmessaging.seeds import demo_media, demo_templates

SERVICE_WINDOW_SECONDS = 24 * 3600.0


class Account:
    """The WhatsApp state of one AWS account, initially the demo account."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.reset()

    def reset(self) -> None:
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
        """By E.164 number, AWS id or Meta id; by default the first number of the account."""
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
        """An inbound message: restarts the customer service window of this pair."""
        self.windows[(number.id, digits)] = at

    def window_open(self, number: Number, digits: str, now: float) -> bool:
        last = self.windows.get((number.id, digits))
        return last is not None and now - last < SERVICE_WINDOW_SECONDS
