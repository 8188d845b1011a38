"""The contract of a channel: it translates one message for one provider and says which of four things became of it.

A channel decides nothing else. Whether, when, how fast and how often a message is sent is the pipeline's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from libs.common.handle.context import Context
from libs.messaging.content import Content
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import Channel as Name
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
    """Our side at the provider: the identity that sends, the channel's own options by name, and the files of the message by
    their URL, where the channel sends them along."""

    sender: str
    options: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The provider took it and calls it ``provider_id``. Only a parsed answer with an id says so."""

    provider_id: str


@dataclass(frozen=True)
class Rejected:
    """The provider took a look and refused for good. ``provider_code`` and ``detail`` are its own words."""

    code: ErrorCode
    provider_code: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class NotSent:
    """It certainly did not go out, and may later. ``retry_after`` in seconds if the provider named a time; otherwise the
    wait grows by ``growth`` with every attempt."""

    cause: str
    retry_after: float | None = None
    code: ErrorCode = ErrorCode.UNAVAILABLE
    growth: float = 2.0
    provider_code: str | None = None


@dataclass(frozen=True)
class Unknown:
    """It may have gone out: something of the request left, and no answer that can be read came back."""

    cause: str


Outcome = Accepted | Rejected | NotSent | Unknown


class Invalid(Exception):
    """The provider would not take this message; said before anything is sent."""

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
        """Send it once and say what became of it; see :mod:`services.outbound.sending.outcomes`. Raises nothing."""

    def units(self, request: Request) -> int:
        """How much of the sender's rate it takes: 1, or the parts of a text message."""


@runtime_checkable
class HasOwnClient(Protocol):
    """A channel some of whose senders are reached otherwise than through the AWS service ``provider``."""

    async def own_client(self, sender: str, ctx: Context) -> Any | None:
        """The client that this sender's requests go by, with the operations of AWS's that ``send`` uses; None: AWS's own. It too
        sends a request at most once."""


@runtime_checkable
class Probes(Protocol):
    """A channel whose provider can be asked whether it answers without sending anything."""

    async def probe(self, client: Any) -> None:
        """One harmless read through the client that ``send`` is given. Raises what the client raises."""


async def client_of(channel: Channel, sender: str, ctx: Context) -> Any:
    """The client for ``send`` (and for handing in files) from ``sender``."""
    other = await channel.own_client(sender, ctx) if isinstance(channel, HasOwnClient) else None
    return await ctx.client(channel.provider) if other is None else other
