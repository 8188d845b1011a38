"""The contract of a translator: it converts a provider's messages to our events. It decides nothing about contacts or
messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.common.declare.event import Event
from libs.common.declare.service import Bucket, Feed, Grant, On, Secret
from libs.common.hosts.http.routes import Api

#: The result of ``parse``: ``key`` is derived from the content, so that the same report always becomes the same event.
Keyed = list[tuple[str, Event]]


@dataclass(frozen=True)
class Translator:
    """A module or package under ``services/inbound/channels/`` declares one as ``translator``. A feed may report on
    several channels. ``hears``, ``serves`` and ``needs`` are its declarations besides the feeds. ``webhooks`` maps a
    name to the parser of the bodies that arrive by ``serves``. The recorded cases of a feed or webhook are in
    ``channels/cases/<its name>/``."""

    feeds: Sequence[Feed] = ()
    hears: Sequence[On] = ()
    serves: Api = field(default_factory=Api)
    needs: Sequence[Bucket | Secret | Grant] = ()
    webhooks: Mapping[str, Callable[[bytes], Keyed]] = field(default_factory=dict)
