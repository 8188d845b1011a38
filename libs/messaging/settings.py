"""Settings that several messaging services share. The senders of all channels are one setting."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from libs.common.settings import SettingsGroup, by_commas, from_json

#: The portfolio of numbers that are listed in no other.
DEFAULT_PORTFOLIO = "default"
#: The ``kind`` of a WhatsApp number that is connected at Meta directly (Cloud API) and not through AWS.
AT_META = "META"

ByCommas = Annotated[tuple[str, ...], BeforeValidator(by_commas)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Identity(_Given):
    """A sender at a provider, by the id that the provider's send operation takes. ``kind`` is the provider's type of
    it, ``per_second`` its rate if it differs from the channel's, ``parameters`` additional parameters of its
    requests."""

    id: str = Field(min_length=1)
    kind: str = ""
    per_second: float | None = Field(default=None, gt=0)
    parameters: dict[str, str] = Field(default_factory=dict)


class Senders(_Given):
    """The senders of one channel, the first by default, and the parameters of every request of the channel."""

    identities: tuple[Identity, ...] = ()
    parameters: dict[str, str] = Field(default_factory=dict)

    def identity(self, id: str) -> Identity:
        return next((each for each in self.identities if each.id == id), Identity(id=id))

    def parameters_of(self, id: str) -> dict[str, str]:
        return {**self.parameters, **self.identity(id).parameters}


class Portfolio(_Given):
    """A WhatsApp business portfolio: its messaging limit at Meta, and the phone-number ids that share it."""

    limit: int = Field(gt=0)
    numbers: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)


def _apart(portfolios: dict[str, Portfolio]) -> dict[str, Portfolio]:
    if DEFAULT_PORTFOLIO in portfolios:
        raise ValueError(f"{DEFAULT_PORTFOLIO} is what numbers share that no portfolio names; call it otherwise")
    seen: dict[str, str] = {}
    for name, portfolio in portfolios.items():
        for number in set(portfolio.numbers):
            if seen.setdefault(number, name) != name:
                raise ValueError(f"{number} is in {seen[number]} and in {name}; a number is in one portfolio")
    return portfolios


class MessagingSettings(SettingsGroup):
    """Messaging: senders, automatic replies, and limits of marketing."""

    senders: Annotated[dict[str, Senders], BeforeValidator(from_json)] = Field(default_factory=dict)
    """The senders, as JSON: channel -> `{"identities": [{"id", "kind", "perSecond", "parameters"}], "parameters": {}}`,
    the first identity by default."""
    whatsapp_phone_number_ids: ByCommas = ()
    """Short form of `senders` for WhatsApp: phone-number ids, separated by commas, before those in `senders`."""
    meta_numbers: ByCommas = ()
    """Short form for identities of `senders` on WhatsApp with the kind `META`, after those named there: phone-number ids, separated
    by commas, that are connected at Meta directly (Cloud API) and not through AWS."""
    meta_graph_url: str = Field(default="https://graph.facebook.com", pattern=r"^https?://[^\s/?#@]+$")
    """The base URL of Meta's Graph API."""
    public_url: str = "http://localhost:8080"
    """The public base URL of the API; unsubscribe links begin with it."""
    window_scale: float = Field(default=1.0, gt=0, le=1)
    """Scales the waiting times of the class policies, for demonstrations and tests; 1 in production."""

    business_name: str = Field(default="", max_length=60)
    """The name of the business in the replies to STOP, START and HELP."""
    help_contact: str = Field(default="", max_length=100)
    """The contact details in the reply to HELP."""
    opt_out_words: ByCommas = ()
    """Additional opt-out keywords, on every channel; a keyword must be the whole message."""
    opt_in_words: ByCommas = ()
    """Additional opt-in keywords, on every channel; a keyword must be the whole message."""
    help_words: ByCommas = ()
    """Additional help keywords, on every channel; a keyword must be the whole message."""
    # Not SMS: AWS replies itself, unless the numbers have ``SelfManagedOptOutsEnabled``; nor RCS agents without it.
    answers_on: str = "whatsapp,rcs"
    """Channels, separated by commas, on which the platform replies to STOP, START and HELP, instead of the provider."""
    marketing_hours: str = Field(default="08:00-21:00", pattern=r"^[0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$")
    """The hours in which marketing may be sent, in the recipient's local time."""
    marketing_daily_cap: int = Field(default=4, ge=0, le=100)
    """Maximum marketing messages to one contact on one channel in 24 hours; 0: no limit."""
    default_zone: str = "UTC"
    """The time zone of a recipient if neither the contact nor the number determines it."""
    whatsapp_daily_recipients: int = Field(default=250, ge=0)
    """The messaging limit of the default WhatsApp portfolio, as reported by Meta; 0: no limit, and recipients are not
    counted. Does not apply to the portfolios that the environment defines."""
    whatsapp_portfolios: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")], Portfolio],
        BeforeValidator(from_json),
        AfterValidator(_apart),
    ] = Field(default_factory=dict)
    """Several portfolios: name -> `{"limit", "numbers"}`, as JSON. The limit above then applies to all other numbers
    together."""

    @cached_property
    def all_senders(self) -> dict[str, Senders]:
        """``senders`` merged with the short forms."""
        known = self.senders.get("whatsapp", Senders())
        # The default is the first: a number at Meta only if there is no other.
        ids = [*self.whatsapp_phone_number_ids, *(each.id for each in known.identities), *self.meta_numbers]
        named = {id: known.identity(id) for id in ids}
        at_meta = {id: named[id].model_copy(update={"kind": AT_META}) for id in self.meta_numbers}
        whatsapp = known.model_copy(update={"identities": tuple({**named, **at_meta}.values())})
        return {**self.senders, "whatsapp": whatsapp}

    def senders_of(self, channel: str) -> Senders:
        return self.all_senders.get(channel, Senders())

    def may_send(self, channel: str) -> list[str]:
        """Returns the ids of the senders of a channel, the default one first; empty: any sender."""
        return [identity.id for identity in self.senders_of(channel).identities]

    def is_at_meta(self, number: str) -> bool:
        return any(each.id == number and each.kind == AT_META for each in self.senders_of("whatsapp").identities)

    @property
    def whatsapp_limits(self) -> dict[str, int]:
        """Portfolio -> its messaging limit (0: none), the default one first."""
        named = {name: portfolio.limit for name, portfolio in self.whatsapp_portfolios.items()}
        return {DEFAULT_PORTFOLIO: self.whatsapp_daily_recipients, **named}

    def whatsapp_portfolio_of(self, number: str | None) -> str:
        """Returns the portfolio of a number (by its phone-number id)."""
        named = (name for name, portfolio in self.whatsapp_portfolios.items() if number in portfolio.numbers)
        return next(named, DEFAULT_PORTFOLIO)
