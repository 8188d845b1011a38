"""The facts that permit or forbid a send to one contact on one channel. ``contacts`` owns them and publishes all of
them with every change; every service that sends or accepts messages keeps its own copy of the newest revision."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from libs.common.clock import Timestamp
from libs.messaging.channels import Channel

#: WhatsApp's customer service window (Meta, messaging policy): free-form messages are allowed this long after an
#: inbound one.
SERVICE_WINDOW = timedelta(hours=24)
#: Maximum lag of a service's copy behind the permission that a message was accepted on: the events of a killed worker
#: are redelivered after the visibility timeout (30 s); this is twice that, plus time to handle them.
MAX_COPY_LAG = timedelta(seconds=75)
#: The same where no newer revision is known to be on its way.
SHORT_COPY_LAG = timedelta(seconds=10)
#: How often a send that waits for a newer copy checks again.
RECHECK_INTERVAL = timedelta(seconds=2)


class Permission(BaseModel):
    """The facts. ``revision`` only increases; the highest applies."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)

    contact_id: str
    channel: Channel
    revision: int
    #: E.164, e-mail address, or a provider's own user id; None if the contact has none for this channel.
    address: str | None = None
    name: str | None = None
    opted_in: bool = False
    #: Set while the contact has opted out; only a new opt-in clears it.
    opted_out_at: Timestamp | None = None
    #: Purposes the opt-in covers; empty: every purpose.
    purposes: tuple[str, ...] = ()
    consent_id: str | None = None
    #: Why the address is suppressed (hard bounce, complaint, provider's list); None if it is not.
    suppressed: str | None = None
    last_inbound_at: Timestamp | None = None
    zone: str | None = None
    locale: str | None = None
    deleted: bool = False

    def window_open(self, now: datetime) -> bool:
        """Whether WhatsApp accepts free-form messages now."""
        return self.last_inbound_at is not None and now < self.last_inbound_at + SERVICE_WINDOW
