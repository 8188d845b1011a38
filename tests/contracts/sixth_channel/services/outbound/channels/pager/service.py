"""The sender of pager messages."""

from __future__ import annotations

from services.outbound.channels.pager.channel import TOKEN, Pager

from libs.common.declare.service import Secret
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service

service = channel_service(Pager(), Limits(per_second=10), needs=[Secret(TOKEN)])
