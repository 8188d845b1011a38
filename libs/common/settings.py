"""The one door for settings: the environment, read once, checked, by name ``WECARE_…``.

AWS itself is known only by botocore's own variables (``AWS_REGION``, ``AWS_ENDPOINT_URL``, ``AWS_ENDPOINT_URL_<SERVICE>``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Settings(BaseModel):
    """One process's settings. Each field is the variable ``WECARE_<FIELD>``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stage: str = Field(default="local", pattern=r"^[a-z][a-z0-9-]{0,20}$")
    #: The services of this function or process, by commas; empty: all.
    services: str = ""
    #: Which build this is (a commit); told in logs and dead letters.
    build: str = ""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: Messages in flight in one worker process, over all its queues.
    concurrency: int = Field(default=100, ge=1, le=2000)
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
    cognito_issuer: str = ""
    cognito_client_id: str = ""
    cognito_jwks_url: str = ""
    public_url: str = "http://localhost:8080"
    whatsapp_phone_number_ids: str = ""

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
        wrong = [f"  WECARE_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise SystemExit("These settings cannot be used:\n" + "\n".join(wrong)) from None


@cache
def settings() -> Settings:
    """This process's settings."""
    return read(os.environ)
