"""A provider's message as events, translated in this process or, where a stranger wrote much of it, in a child process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import orjson

from libs.common.declare.event import Event, known_events
from libs.common.declare.service import Feed
from libs.common.errors import Malformed, Unreadable
from libs.common.isolated import MIB, Isolated, OverLimit, ReaderFailed

#: An SNS message has 256 KiB; what is said of it has little more.
_TRANSLATORS = Isolated(cpu_seconds=5, wait_seconds=20, output_bytes=4 * MIB)


async def translated(feed: Feed, text: str, at: datetime) -> Sequence[tuple[str, Event]]:
    """As :meth:`Feed.translate`. Raises Malformed, also for a message that takes too long to read: no retry would fix that, and
    it says nothing of the consumer. Raises Busy."""
    if feed.max_inline_characters is None or len(text) <= feed.max_inline_characters:
        return feed.translate(text, at)
    try:
        found = orjson.loads(await _TRANSLATORS.call(_translate_apart, feed, text, at))
    except Unreadable as why:
        raise Malformed(str(why)) from None
    except (OverLimit, ReaderFailed) as error:
        raise Malformed(f"message: {error}") from None
    known = known_events()
    return [(key, known[kind].model_validate(data)) for key, kind, data in found]


def _translate_apart(feed: Feed, text: str, at: datetime) -> Iterator[bytes]:
    """Runs in the child."""
    try:
        pairs = feed.translate(text, at)
    except Malformed as error:
        raise Unreadable(str(error)) from None
    yield orjson.dumps([(key, event.TYPE, event.model_dump(mode="json")) for key, event in pairs])
