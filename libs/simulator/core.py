"""The parts that all simulated services share: clock, ledger, behaviour, faults, event publisher."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from libs.simulator import demo
from libs.simulator.behaviour import Behaviour
from libs.simulator.clock import Clock
from libs.simulator.emitter import Emitter
from libs.simulator.errors import ProviderError
from libs.simulator.event_timing import SeededRandom
from libs.simulator.faults import Faults
from libs.simulator.ledger import Ledger
from libs.simulator.model import Invalid
from libs.simulator.publisher import Publisher
from libs.simulator.rates import Buckets


@dataclass(frozen=True, slots=True)
class Settings:
    """The start options of a simulator. `sns_endpoint`, `s3_endpoint`: URL, "aws", or None for "not connected"."""

    seed: str | None = None
    region: str = demo.REGION
    ledger: Path | None = None
    sns_endpoint: str | None = None
    s3_endpoint: str | None = None
    grace_s: float = 5.0
    tick_s: float = 0.01
    """Events due within one tick are published together, so that batches fill."""
    check_responses: bool = False
    """Check our own responses against the service model too (a bug of the simulator then shows as a 500)."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """The recipient of a send, and the sender's message id if the request contains one."""

    to: str
    message_id: str | None


Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Checked parameters of an operation -> the response body. Refuses with ProviderError."""


class Service(Protocol):
    """One simulated AWS service. `name` is boto3's client name."""

    name: str
    operations: Mapping[str, Handler]

    def prepare(self, operation: str, params: dict[str, Any]) -> Addressee | None:
        """The recipient and message id of a send; None for other operations."""

    def invalid(self, error: Invalid) -> ProviderError: ...

    def refusal(self, kind: str) -> ProviderError:
        """The service's errors for `throttled`, `internal` and `invalid_number`."""

    def known_event(self, name: str) -> bool:
        """Whether `name` is valid in an outcome (PUT /control/outcomes)."""

    def reset(self, everything: bool) -> None:
        """Restore the demo account; event destinations are kept unless `everything` is true."""


class Core:
    """The shared state of one simulator; nothing is global."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Without a seed every start differs: provider ids must not repeat between runs.
        self.seed = settings.seed or secrets.token_hex(8)
        self.clock = Clock()
        self.behaviour = Behaviour()
        self.ledger = Ledger(settings.ledger)
        self.faults = Faults(self.seed)
        self.buckets = Buckets(self.clock)
        self.publisher = Publisher(settings.sns_endpoint)
        self.emitter = Emitter(self.clock, self.publisher, settings.tick_s)
        self.requests: Counter[str] = Counter()
        self.magic_hits: Counter[tuple[str, str]] = Counter()
        self.outcomes: dict[tuple[str, str], list[str]] = {}
        """(service, recipient) -> event names that replace the default events of an accepted message."""
        self.stopping = asyncio.Event()
        self.noise = SeededRandom(self.seed, "noise")

    def dice(self, service: str, message_id: str | None, to: str) -> SeededRandom:
        """The random numbers of the next acceptance of this message."""
        nth = self.ledger.accepted(message_id, to)
        return SeededRandom(self.seed, f"{service}|{message_id or to}|{nth}")

    def reset(self, everything: bool) -> None:
        """Delete messages, pending events, faults, rates and changed behaviour; with `everything` also reset the clock."""
        if everything:
            self.clock.offset = 0.0
            self.publisher.published = self.publisher.dropped = 0
        self.ledger.clear()
        self.emitter.clear()
        self.emitter.recent.clear()
        self.faults.remove(None)
        self.outcomes.clear()
        self.buckets.clear()
        self.magic_hits.clear()
        self.requests.clear()
        self.behaviour = Behaviour()
