"""Control routes of SMS, voice and RCS."""

from __future__ import annotations

from aiohttp import web

from libs.simulator.control.api import Answer, body_of, route
from libs.simulator.errors import ControlError
from libs.simulator.request_body import RequestBody
from libs.simulator.sms_voice.account import CHANNELS, e164
from libs.simulator.sms_voice.inbound import Inbound
from libs.simulator.sms_voice.service import SmsVoice


class SmsControl:
    def __init__(self, service: SmsVoice) -> None:
        self.service = service
        self.inbound = Inbound(service.core, service.account, service.optouts)

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/control/inbound/sms", route(self.sms))
        router.add_post("/control/inbound/rcs", route(self.rcs))
        router.add_post("/control/spend", route(self.spend))
        router.add_post("/control/verified", route(self.verified))

    async def sms(self, request: web.Request) -> Answer:
        return self.inbound.sms(RequestBody(await body_of(request)))

    async def rcs(self, request: web.Request) -> Answer:
        return self.inbound.rcs(RequestBody(await body_of(request)))

    async def spend(self, request: web.Request) -> Answer:
        """Set what was spent this month on a channel (USD), to reach the limit without sending."""
        intent = RequestBody(await body_of(request))
        channel, spent = intent.choice("channel", CHANNELS), intent.number("spent", 0, 10_000_000)
        intent.done()
        self.service.account.spent[channel] = spent
        return {"channel": channel, "spent": spent, "limit": self.service.account.limit(channel)}

    async def verified(self, request: web.Request) -> Answer:
        """Verify a destination number, for the sandbox."""
        intent = RequestBody(await body_of(request))
        number = e164(intent.text("number", required=True) or "")
        intent.done()
        if not number[1:].isdigit():
            raise ControlError("number", "must be a phone number")
        self.service.account.verified[number] = {"DestinationPhoneNumber": number}
        return {"verified": sorted(self.service.account.verified)}
