"""The contract of a translator: what a provider publishes, in our words. It decides nothing about contacts or messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.common.declare.event import Event
from libs.common.declare.service import Bucket, Feed, Grant, On, Secret
from libs.common.hosts.http.routes import Api

#: What ``parse`` returns: ``key`` is derived from the content, so that the same report always becomes the same event.
Keyed = list[tuple[str, Event]]


@dataclass(frozen=True)
class Translator:
    """What ``services/inbound/channels/<name>.py`` (or the folder of that name) declares as ``translator``. A feed may report on
    several channels. ``hears``, ``serves`` and ``needs`` are what it has besides its feeds. ``webhooks`` read the bodies that
    come by ``serves``, by name. The recorded cases of a feed or webhook are in ``channels/cases/<its name>/``."""

    feeds: Sequence[Feed] = ()
    hears: Sequence[On] = ()
    serves: Api = field(default_factory=Api)
    needs: Sequence[Bucket | Secret | Grant] = ()
    webhooks: Mapping[str, Callable[[bytes], Keyed]] = field(default_factory=dict)
