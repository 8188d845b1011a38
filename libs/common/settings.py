"""The only access for settings: the environment, read once, checked, by name ``WECARE_…``.

AWS itself is known only by botocore's own variables (``AWS_REGION``, ``AWS_ENDPOINT_URL``, ``AWS_ENDPOINT_URL_<SERVICE>``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel


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


#: The portfolio of the numbers that none names.
DEFAULT_PORTFOLIO = "default"


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


def _from_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None


def _by_commas(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Settings(BaseModel):
    """One process's settings. Each field is the variable ``WECARE_<FIELD>``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stage: str = Field(default="local", pattern=r"^[a-z][a-z0-9-]{0,20}$")
    #: The services of this function or process, by commas; empty: all.
    services: str = ""
    #: Which build this is (a commit); told in logs and dead letters.
    build: str = ""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: ``emf``: what is counted is written to stdout in CloudWatch's embedded metric format; ``off``: it is not.
    metrics: Literal["off", "emf"] = "emf"
    #: Messages in flight in one worker process, over all its queues.
    concurrency: int = Field(default=100, ge=1, le=2000)
    #: Requests to DynamoDB, and to SNS, at once; 0: as many as there are messages in flight. An AWS that answers one at a time
    #: (an emulator) is shared fairly only if nobody stands in its line with more.
    store_connections: int = Field(default=0, ge=0)
    #: Seconds a receive waits on an empty queue; an idle worker takes up to that long to stop.
    poll_seconds: float = Field(default=10.0, ge=0, le=20)
    #: Seconds a stopping worker gives to what is running; longer than a provider call.
    drain_seconds: float = Field(default=15.0, ge=0)
    #: Failures of one event before it is dead-lettered.
    max_attempts: int = Field(default=8, ge=1, le=40)
    #: ``LIVE`` calls the provider; ``DRY_RUN`` records what would have been sent.
    send_mode: Literal["LIVE", "DRY_RUN"] = "DRY_RUN"
    #: A lease on a send: the provider's call must be over by then, or its outcome is uncertain.
    claim_seconds: float = Field(default=30.0, gt=0)
    #: Scales the waiting times of the class policies (for demonstrations and tests; 1 in earnest).
    window_scale: float = Field(default=1.0, gt=0, le=1)
    #: How long a request waits before a local copy of another service's facts may refuse it; only refusals wait.
    copy_wait_seconds: float = Field(default=2.0, ge=0, le=10)
    cognito_issuer: str = ""
    cognito_client_id: str = ""
    cognito_jwks_url: str = ""
    #: How often the people of the user pool are read, to find those who came or went by other ways than ours.
    user_sync_seconds: int = Field(default=300, ge=10)
    public_url: str = "http://localhost:8080"
    whatsapp_phone_number_ids: str = ""
    #: WhatsApp phone-number ids, by commas, that are connected at Meta itself (Cloud API) and not through AWS; they may send too.
    meta_numbers: Annotated[tuple[str, ...], BeforeValidator(_by_commas)] = ()
    #: Where Meta's Graph API is.
    meta_graph_url: str = Field(default="https://graph.facebook.com", pattern=r"^https?://[^\s/?#@]+$")
    #: Channel -> :class:`Senders`, as JSON.
    senders: Annotated[dict[str, Senders], BeforeValidator(_from_json)] = Field(default_factory=dict)

    #: How often the list of WhatsApp's templates is read when no notice asks for it.
    template_sync_seconds: int = Field(default=300, ge=10)
    #: Who we are, and how to reach us, in the answers to STOP, START and HELP.
    business_name: str = Field(default="", max_length=60)
    help_contact: str = Field(default="", max_length=100)
    #: More words, by commas, that ask for what STOP, START and HELP ask for, on every channel where people write to us; each
    #: counts as a whole message, however it is spelled. What the platform knows by itself stays. AWS does not know them:
    #: where it answers STOP itself (SMS), give it the keywords, too.
    opt_out_words: Annotated[tuple[str, ...], BeforeValidator(_by_commas)] = ()
    opt_in_words: Annotated[tuple[str, ...], BeforeValidator(_by_commas)] = ()
    help_words: Annotated[tuple[str, ...], BeforeValidator(_by_commas)] = ()
    #: Channels, by commas, on which we answer STOP, START and HELP. Not SMS: AWS answers there itself, unless the numbers
    #: have ``SelfManagedOptOutsEnabled``; nor RCS agents that do not have it.
    answers_on: str = "whatsapp,rcs"
    #: When marketing may reach people, by their own clocks, and how often in 24 hours on one channel (0: no limit).
    marketing_hours: str = Field(default="08:00-21:00", pattern=r"^[0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$")
    marketing_daily_cap: int = Field(default=4, ge=0, le=100)
    #: The zone (IANA) of recipients of whom neither contact nor number tells one.
    default_zone: str = "UTC"
    #: The WhatsApp portfolio's messaging limit: people outside their 24-hour window per moving 24 hours (0: no limit).
    whatsapp_daily_recipients: int = Field(default=250, ge=0)
    #: Where there are several: name -> :class:`Portfolio`, as JSON. The limit above is then that of all other numbers together.
    whatsapp_portfolios: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")], Portfolio],
        BeforeValidator(_from_json),
        AfterValidator(_apart),
    ] = Field(default_factory=dict)

    #: Feed -> ARNs of the SNS topics that may come to ``/webhooks/sns/<feed>``, as JSON; none: nothing may.
    sns_webhook_topics: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_from_json)] = Field(default_factory=dict)

    def senders_of(self, channel: str) -> Senders:
        return self.senders.get(channel, Senders())

    def may_send(self, channel: str) -> list[str]:
        """Our identities that may send on a channel, the default one first; none: any."""
        if channel == "whatsapp":
            return self.whatsapp_numbers
        return [identity.id for identity in self.senders_of(channel).identities]

    @property
    def whatsapp_numbers(self) -> list[str]:
        """``whatsapp_phone_number_ids`` one by one, the default first, and behind them ``meta_numbers``."""
        return list(dict.fromkeys([*_by_commas(self.whatsapp_phone_number_ids), *self.meta_numbers]))

    @property
    def whatsapp_limits(self) -> dict[str, int]:
        """Portfolio -> its messaging limit (0: none), the default one first."""
        named = {name: portfolio.limit for name, portfolio in self.whatsapp_portfolios.items()}
        return {DEFAULT_PORTFOLIO: self.whatsapp_daily_recipients, **named}

    def whatsapp_portfolio_of(self, number: str | None) -> str:
        """The portfolio that a number (by its phone-number id) belongs to."""
        named = (name for name, portfolio in self.whatsapp_portfolios.items() if number in portfolio.numbers)
        return next(named, DEFAULT_PORTFOLIO)

    @property
    def user_pool_id(self) -> str:
        """The last part of ``cognito_issuer``; empty where nobody can sign in."""
        return self.cognito_issuer.rstrip("/").rpartition("/")[2]

    @property
    def prefix(self) -> str:
        return f"wecare-{self.stage}"


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from variables. Raises SystemExit with every wrong one named."""
    values = {
        name: environment[f"WECARE_{name.upper()}"]
        for name in Settings.model_fields
        if environment.get(f"WECARE_{name.upper()}")
    }
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = [
            f"  WECARE_{str(e['loc'][0]).upper()}: {'.'.join(map(str, e['loc'][1:]))} {e['msg']}"
            for e in error.errors()
        ]
        raise SystemExit("These settings cannot be used:\n" + "\n".join(wrong)) from None


def aws_region() -> str | None:
    """The region of this process. ECS and Lambda set ``AWS_REGION``; botocore by itself reads only the other name."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


@cache
def settings() -> Settings:
    """This process's settings."""
    return read(os.environ)


def child_environment() -> dict[str, str]:
    """What a child process needs of our environment to find its interpreter and libraries: no settings and no credentials."""
    names = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
    return {name: os.environ[name] for name in names if name in os.environ}
