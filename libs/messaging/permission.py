"""What we may do with one contact on one channel. ``contacts`` owns the truth and says it whole whenever it changes;
every service that sends or accepts keeps its own copy of the newest revision."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from libs.common.clock import Timestamp
from libs.messaging.channels import Channel

#: WhatsApp's customer service window (Meta, messaging policy): free-form messages until then.
SERVICE_WINDOW = timedelta(hours=24)
#: What a killed worker had taken comes again after its visibility time (30 s); twice that, and time to be handled. So long may a
#: service's copy of something be behind what a message was accepted on.
MAX_COPY_LAG = timedelta(seconds=75)
#: The same where nothing says that there is news on the way.
SHORT_COPY_LAG = timedelta(seconds=10)
#: How often what waits for such news is looked at again.
RECHECK_INTERVAL = timedelta(seconds=2)


class Permission(BaseModel):
    """The facts. ``revision`` only grows; the newer one wins."""

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
    #: Why nothing may be sent to the address (hard bounce, complaint, provider's list), while that is so.
    suppressed: str | None = None
    last_inbound_at: Timestamp | None = None
    zone: str | None = None
    locale: str | None = None
    deleted: bool = False

    def window_open(self, now: datetime) -> bool:
        """Whether WhatsApp takes free-form messages now."""
        return self.last_inbound_at is not None and now < self.last_inbound_at + SERVICE_WINDOW
