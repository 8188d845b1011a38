"""Physical names."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.store.item import Item


@dataclass(frozen=True)
class Names:
    """Builds all physical names. ``prefix`` is ``wecare-<stage>``."""

    prefix: str

    def table(self, service: str, item: type[Item] | str) -> str:
        return f"{self.prefix}-{service}-{item if isinstance(item, str) else item.TABLE.name}"

    def topic(self, topic: str) -> str:
        return f"{self.prefix}-{topic}"

    def feed_topic(self, feed: str) -> str:
        return f"{self.prefix}-feed-{feed}"

    def queue(self, service: str, lane: str = "") -> str:
        return f"{self.prefix}-{service}-{lane}" if lane else f"{self.prefix}-{service}"

    def feed_queue(self, service: str, feed: str) -> str:
        return f"{self.prefix}-{service}-feed-{feed}"

    def dlq(self, queue: str) -> str:
        return f"{queue}-dlq"

    def source_queue(self, dlq: str) -> str:
        """The source queue of ``dlq``."""
        return dlq.removesuffix("-dlq")

    def schedule(self, service: str, label: str) -> str:
        return f"{self.prefix}-{service}-{label}"

    def bucket(self, service: str, name: str) -> str:
        return f"{self.prefix}-{service}-{name}"

    def secret(self, service: str, name: str) -> str:
        return f"{self.prefix}/{service}/{name}"

    @property
    def user_pool(self) -> str:
        return self.prefix
