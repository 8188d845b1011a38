"""The only access for settings: the environment, read once and checked. Each field of a :class:`SettingsGroup` is the variable
``WECARE_<FIELD>``; its docstring is its documentation (docs/generated/settings.md).

AWS itself is known only by botocore's own variables (``AWS_REGION``, ``AWS_ENDPOINT_URL``, ``AWS_ENDPOINT_URL_<SERVICE>``).
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

PREFIX = "WECARE_"
#: Variables of this prefix that are no settings of a process: the command line's, the local stack's and the tests'.
NOT_SETTINGS = frozenset(
    {
        *("API_URL", "TOKEN", "PROCESS", "IMAGE_BASE", "BUILD_OPTIONS", "TEST_AWS_URL"),
        *("COGNITO_AUTHORITY", "COGNITO_HOSTED_UI", "COGNITO_USER_POOL_ID"),
    }
)

_groups: list[type[SettingsGroup]] = []


class SettingsGroup(BaseModel):
    """Settings that one part of the platform declares and reads (``ctx.settings.of(ThatGroup)``)."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for group in _groups:
            if twice := group.model_fields.keys() & cls.model_fields.keys():
                raise TypeError(f"{cls.__name__} and {group.__name__} both declare {', '.join(sorted(twice))}")
        _groups.append(cls)


G = TypeVar("G", bound=SettingsGroup)


class Settings(SettingsGroup):
    """The kit's own settings, and the values of all other groups."""

    model_config = ConfigDict(extra="allow")

    stage: str = Field(default="local", pattern=r"^[a-z][a-z0-9-]{0,20}$")
    """The name of the deployment, part of every resource's name."""
    services: str = ""
    """The services of this function or process, by commas; empty: all."""
    build: str = ""
    """Which build this is (a commit), for log lines and dead letters."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The lowest level that is logged."""
    metrics: Literal["off", "emf"] = "emf"
    """``emf``: counts are written to stdout in CloudWatch's embedded metric format; ``off``: they are not."""
    concurrency: int = Field(default=100, ge=1, le=2000)
    """Messages in flight in one worker process, over all its queues."""
    store_connections: int = Field(default=0, ge=0)
    """Requests to DynamoDB, and to SNS, at once; 0: as many as there are messages in flight. For an AWS that answers one request
    at a time (an emulator)."""
    poll_seconds: float = Field(default=10.0, ge=0, le=20)
    """Seconds a receive waits on an empty queue; an idle worker takes up to that long to stop."""
    drain_seconds: float = Field(default=15.0, ge=0)
    """Seconds a stopping worker gives to what is running; longer than a provider call."""
    max_attempts: int = Field(default=8, ge=1, le=40)
    """Failures of one event before it is dead-lettered."""
    copy_wait_seconds: float = Field(default=2.0, ge=0, le=10)
    """How long a request waits before a local copy of another service's facts may refuse it; only refusals wait."""
    cognito_issuer: str = ""
    """The user pool's issuer; without it nobody can sign in."""
    cognito_client_id: str = ""
    """The user pool's client for which access tokens are issued."""
    cognito_jwks_url: str = ""
    """Where the user pool's keys are; empty: below the issuer."""

    _read: dict[type[SettingsGroup], SettingsGroup] = PrivateAttr(default_factory=dict)

    def of(self, group: type[G]) -> G:
        """The settings of a group. Raises ValidationError for a value that it cannot use; none is left after :func:`read`."""
        found = self._read.get(group)
        if found is None:
            found = self._read[group] = group.model_validate(self.model_extra)
        assert isinstance(found, group)
        return found

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copy = super().model_copy(update=update, deep=deep)
        copy._read = {}
        return copy

    @property
    def user_pool_id(self) -> str:
        """The last part of ``cognito_issuer``; empty where nobody can sign in."""
        return self.cognito_issuer.rstrip("/").rpartition("/")[2]

    @property
    def prefix(self) -> str:
        return f"wecare-{self.stage}"


def from_json(value: Any) -> Any:
    """For a field whose variable holds JSON. Raises ValueError."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None


def by_commas(value: Any) -> Any:
    """For a field whose variable lists values by commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def groups() -> list[type[SettingsGroup]]:
    """All that are declared in what has been imported, the kit's first."""
    return list(_groups)


def variable(field: str) -> str:
    return f"{PREFIX}{field.upper()}"


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from variables. Raises SystemExit with every wrong one named."""
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    if wrong := _faults(values):
        raise SystemExit("These settings cannot be used:\n" + "\n".join(f"  {each}" for each in wrong))
    return Settings.model_validate(values)


def faults(settings: Settings) -> list[str]:
    """What is wrong with the values of all groups that are known by now, each by its variable."""
    return _faults(settings.model_extra or {})


def _faults(values: Mapping[str, Any]) -> list[str]:
    wrong: list[str] = []
    for group in _groups:
        try:
            group.model_validate(values)
        except ValidationError as error:
            wrong += [
                f"{variable(str(e['loc'][0]))}: {'.'.join(map(str, e['loc'][1:]))} {e['msg']}" for e in error.errors()
            ]
    return wrong


def unknown(settings: Settings) -> dict[str, str]:
    """Variables that no group declares -> the most similar one that there is. Ask once all services are imported."""
    known = {variable(field) for group in _groups for field in group.model_fields}
    given = {variable(field) for field in settings.model_extra or {}} - known
    return {
        name: difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
        for name in sorted(given)
        if name.removeprefix(PREFIX) not in NOT_SETTINGS
    }


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
