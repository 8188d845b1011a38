"""The settings that several services of messaging share. A channel's senders are one setting for all channels."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from libs.common.settings import SettingsGroup, by_commas, from_json

#: The portfolio of the numbers that none names.
DEFAULT_PORTFOLIO = "default"
#: The ``kind`` of a WhatsApp number that is connected at Meta itself (Cloud API) and not through AWS.
AT_META = "META"

ByCommas = Annotated[tuple[str, ...], BeforeValidator(by_commas)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Identity(_Given):
    """One of our addresses at a provider, by the id that its send operation takes. ``kind`` is the provider's word for what
    it is, ``per_second`` its rate where that is not the usual one, ``parameters`` what its requests carry besides."""

    id: str = Field(min_length=1)
    kind: str = ""
    per_second: float | None = Field(default=None, gt=0)
    parameters: dict[str, str] = Field(default_factory=dict)


class Senders(_Given):
    """What may send on one channel, the first by default, and what every request of the channel carries besides."""

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
    """Messaging: who sends, what people are told, and when marketing may reach them."""

    senders: Annotated[dict[str, Senders], BeforeValidator(from_json)] = Field(default_factory=dict)
    """Who may send, as JSON: channel -> `{"identities": [{"id", "kind", "perSecond", "parameters"}], "parameters": {}}`, the
    first identity by default."""
    whatsapp_phone_number_ids: ByCommas = ()
    """Short for identities of `senders` on WhatsApp: phone-number ids, by commas, before those named there."""
    meta_numbers: ByCommas = ()
    """Short for identities of `senders` on WhatsApp with the kind `META`, after those named there: phone-number ids, by commas, that
    are connected at Meta itself (Cloud API) and not through AWS."""
    meta_graph_url: str = Field(default="https://graph.facebook.com", pattern=r"^https?://[^\s/?#@]+$")
    """Where Meta's Graph API is."""
    public_url: str = "http://localhost:8080"
    """The address of the API as people and providers see it; unsubscribe links begin with it."""
    window_scale: float = Field(default=1.0, gt=0, le=1)
    """Scales the waiting times of the class policies, for demonstrations and tests; 1 in earnest."""

    business_name: str = Field(default="", max_length=60)
    """Who we are, in the answers to STOP, START and HELP."""
    help_contact: str = Field(default="", max_length=100)
    """How to reach us, in the answer to HELP."""
    opt_out_words: ByCommas = ()
    """Opting out. More words that ask for it, beside the platform's own, on every channel; each counts as a whole message."""
    opt_in_words: ByCommas = ()
    """Coming back. More words that ask for it, beside the platform's own, on every channel; each counts as a whole message."""
    help_words: ByCommas = ()
    """Asking for help. More words that ask for it, beside the platform's own, on every channel; each counts as a whole message."""
    # Not SMS: AWS answers there itself, unless the numbers have ``SelfManagedOptOutsEnabled``; nor RCS agents without it.
    answers_on: str = "whatsapp,rcs"
    """Channels, by commas, on which we answer STOP, START and HELP, and not the provider."""
    marketing_hours: str = Field(default="08:00-21:00", pattern=r"^[0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$")
    """When marketing may reach people, by their own clocks."""
    marketing_daily_cap: int = Field(default=4, ge=0, le=100)
    """How often marketing may reach one person on one channel; 0: no limit."""
    default_zone: str = "UTC"
    """Where somebody is taken to be of whom neither contact nor number tells it."""
    whatsapp_daily_recipients: int = Field(default=250, ge=0)
    """The messaging limit of the WhatsApp portfolio, as Meta tells it; 0: no limit, and nobody is counted. Portfolios that the
    environment names keep theirs."""
    whatsapp_portfolios: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")], Portfolio],
        BeforeValidator(from_json),
        AfterValidator(_apart),
    ] = Field(default_factory=dict)
    """Where there are several: name -> `{"limit", "numbers"}`, as JSON. The limit above is then that of all other numbers
    together."""

    @cached_property
    def all_senders(self) -> dict[str, Senders]:
        """``senders`` and what is named the short ways."""
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
        """Our identities that may send on a channel, the default one first; none: any."""
        return [identity.id for identity in self.senders_of(channel).identities]

    def is_at_meta(self, number: str) -> bool:
        return self.senders_of("whatsapp").identity(number).kind == AT_META

    @property
    def whatsapp_limits(self) -> dict[str, int]:
        """Portfolio -> its messaging limit (0: none), the default one first."""
        named = {name: portfolio.limit for name, portfolio in self.whatsapp_portfolios.items()}
        return {DEFAULT_PORTFOLIO: self.whatsapp_daily_recipients, **named}

    def whatsapp_portfolio_of(self, number: str | None) -> str:
        """The portfolio that a number (by its phone-number id) belongs to."""
        named = (name for name, portfolio in self.whatsapp_portfolios.items() if number in portfolio.numbers)
        return next(named, DEFAULT_PORTFOLIO)
