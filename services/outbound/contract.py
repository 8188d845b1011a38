"""The contract of a channel: it translates one message for one provider and returns one of four outcomes.

A channel decides nothing else. The pipeline decides whether, when, how fast and how often a message is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from libs.common.handle.context import Context
from libs.messaging.channels import Channel as Name
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import MessageClass, Purpose

#: The arguments of the provider's operation, exactly as its AWS client takes them.
Request = dict[str, Any]


@dataclass(frozen=True)
class Outgoing:
    """One message as a channel sees it: allowed, addressed, ready to be translated."""

    message_id: str
    #: E.164, an e-mail address, or the provider's own id of the user.
    to: str
    content: Content
    message_class: MessageClass
    purpose: Purpose = Purpose.SERVICE
    #: The provider's id of the message it answers.
    in_reply_to: str | None = None
    #: Until when a delivery is wanted, as whole seconds from now.
    seconds_to_live: int | None = None
    contact_id: str = ""
    job_id: str | None = None


@dataclass(frozen=True)
class Account:
    """Our account at the provider: the identity that sends, the channel's own options by name, and the content of the message's
    files by URL if the channel sends it."""

    sender: str
    options: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The provider accepted it under ``provider_id``. Only a parsed answer with an id gives this outcome."""

    provider_id: str


@dataclass(frozen=True)
class Rejected:
    """The provider refused it for good. ``provider_code`` and ``detail`` are the provider's."""

    code: ErrorCode
    provider_code: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class NotSent:
    """It was certainly not sent, and may be retried. ``retry_after`` in seconds if the provider named a time; otherwise the
    backoff grows by ``growth`` with every attempt."""

    cause: str
    retry_after: float | None = None
    code: ErrorCode = ErrorCode.UNAVAILABLE
    growth: float = 2.0
    provider_code: str | None = None


@dataclass(frozen=True)
class Unknown:
    """It may have been sent: part of the request was sent, and no readable answer came back."""

    cause: str


Outcome = Accepted | Rejected | NotSent | Unknown


class Invalid(Exception):
    """The provider would refuse this message; raised before anything is sent."""

    def __init__(self, code: ErrorCode, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Channel(Protocol):
    """One provider's translator, without state."""

    name: Name
    #: The AWS service whose client ``send`` is given (but see :class:`HasOwnClient`); that client sends a request at most once.
    provider: str

    def render(self, message: Outgoing, account: Account) -> Request:
        """The request, with our message id in the field that the provider echoes. Pure. Raises :class:`Invalid`."""

    async def send(self, request: Request, client: Any) -> Outcome:
        """Sends it once and returns the outcome; see :mod:`services.outbound.sending.outcomes`. Raises nothing."""

    def units(self, request: Request) -> int:
        """How many units of the sender's rate it uses: 1, or the parts of a text message."""


@runtime_checkable
class HasOwnClient(Protocol):
    """A channel with senders that are not reached through the AWS service ``provider``."""

    async def own_client(self, sender: str, ctx: Context) -> Any | None:
        """The client for this sender, with the operations that ``send`` uses; None: AWS's own. It sends a request at most once."""


@runtime_checkable
class Probes(Protocol):
    """A channel with a harmless read that shows whether the provider answers."""

    async def probe(self, client: Any) -> None:
        """One harmless read through the client that ``send`` is given. Raises what the client raises."""


async def client_of(channel: Channel, sender: str, ctx: Context) -> Any:
    """The client for ``send`` (and for handing in files) from ``sender``."""
    other = await channel.own_client(sender, ctx) if isinstance(channel, HasOwnClient) else None
    return await ctx.client(channel.provider) if other is None else other
