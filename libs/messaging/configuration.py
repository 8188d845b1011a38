"""The closed catalogue of settings that can be changed at run time. Each is a field of
:class:`~libs.messaging.settings.MessagingSettings`, which gives its type and description; the value in the environment
is the default."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import structlog
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from libs.messaging.optout import Intent, clash
from libs.messaging.quiet_hours import Hours
from libs.messaging.settings import MessagingSettings

MAX_KEYWORDS, MAX_KEYWORD_LENGTH = 100, 40

log = structlog.get_logger()


class Unfit(ValueError):
    """An invalid value. ``errors``: ``[{"field": "value", "detail": "…"}]``."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{error['field']}: {error['detail']}" for error in errors))
        self.errors = errors


@dataclass(frozen=True)
class Setting:
    """A setting. ``check`` receives a value of the right type; ``beside`` also receives the other settings currently in
    force. Both raise ValueError with a sentence for users."""

    field: str
    unit: str = ""
    check: Callable[[Any], object] | None = None
    beside: Callable[[Any, MessagingSettings], object] | None = None

    @property
    def key(self) -> str:
        return self.field.replace("_", "-")

    @property
    def description(self) -> str:
        return " ".join((MessagingSettings.model_fields[self.field].description or "").split())

    @cached_property
    def _type(self) -> TypeAdapter[Any]:
        declared = MessagingSettings.model_fields[self.field]
        kind: Any = declared.annotation
        for each in declared.metadata:
            # A BeforeValidator parses the environment's notation and is not part of the type.
            if not isinstance(each, BeforeValidator):
                kind = Annotated[kind, each]
        return TypeAdapter(kind)

    def schema(self) -> dict[str, Any]:
        """Returns the JSON Schema of the values."""
        return self._type.json_schema()

    def parsed(self, value: Any) -> Any:
        """Validates a JSON value. Raises Unfit."""
        try:
            found = self._type.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            raise Unfit(
                [{"field": ".".join(["value", *map(str, e["loc"])]), "detail": f"{e['msg']}."} for e in error.errors()]
            ) from None
        self._passes(self.check, found)
        return found

    def accepted(self, value: Any, others: MessagingSettings) -> Any:
        """Validates a JSON value, also against the other settings. Raises Unfit."""
        found = self.parsed(value)
        self._passes(self.beside, found, others)
        return found

    def _passes(self, check: Callable[..., object] | None, *given: Any) -> None:
        try:
            if check is not None:
                check(*given)
        except ValueError as error:
            raise Unfit([{"field": "value", "detail": str(error)}]) from None

    def of(self, settings: MessagingSettings) -> Any:
        """Returns the setting's value in ``settings``, as JSON."""
        return self._type.dump_python(getattr(settings, self.field), mode="json")


def _words(words: tuple[str, ...]) -> None:
    if len(words) > MAX_KEYWORDS or any(len(word) > MAX_KEYWORD_LENGTH for word in words):
        raise ValueError(f"Up to {MAX_KEYWORDS} words of up to {MAX_KEYWORD_LENGTH} characters.")


def _apart(intent: Intent) -> Callable[[tuple[str, ...], MessagingSettings], None]:
    """Returns a check that no keyword has two intents."""

    def check(words: tuple[str, ...], others: MessagingSettings) -> None:
        if conflict := clash(intent, words, others):
            raise ValueError(f"{conflict}.")

    return check


def _hours(text: str) -> None:
    try:
        Hours.of(text)
    except ValueError as error:
        raise ValueError(f"Write hours of one day, such as 08:00-21:00 ({error}).") from None


def _zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("Write a zone of the IANA list, such as Europe/Berlin or UTC.") from None


CATALOGUE: Mapping[str, Setting] = {
    setting.key: setting
    for setting in (
        Setting("business_name"),
        Setting("help_contact"),
        Setting("opt_out_words", "words", _words, _apart(Intent.OPT_OUT)),
        Setting("opt_in_words", "words", _words, _apart(Intent.OPT_IN)),
        Setting("help_words", "words", _words, _apart(Intent.HELP)),
        Setting("marketing_hours", "HH:MM-HH:MM", _hours),
        Setting("marketing_daily_cap", "messages in 24 hours"),
        Setting("default_zone", "time zone (IANA)", _zone),
        Setting("whatsapp_daily_recipients", "people in 24 hours"),
    )
}


def applied(settings: MessagingSettings, values: Mapping[str, Any]) -> MessagingSettings:
    """Returns the settings with these values, by key. Ignores unknown keys and invalid values."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        setting = CATALOGUE.get(key)
        try:
            if setting is not None:
                found[setting.field] = setting.parsed(value)
        except Unfit as unfit:
            log.warning("a setting cannot be used", key=key, fields=[error["field"] for error in unfit.errors])
    return settings.model_copy(update=found)
