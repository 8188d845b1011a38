"""Control routes of email."""

from __future__ import annotations

from aiohttp import web

from libs.simulator.control.api import Answer, body_of, route
from libs.simulator.errors import ControlError
from libs.simulator.request_body import RequestBody
from libs.simulator.sesv2.account import identity_record
from libs.simulator.sesv2.inbound import Inbound
from libs.simulator.sesv2.service import Ses


class EmailControl:
    def __init__(self, service: Ses) -> None:
        self.service = service
        self.inbound = Inbound(service.core, service.account)

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_put("/control/receipt", route(self.receipt))
        router.add_post("/control/inbound/email", route(self.email))
        router.add_post("/control/email/account", route(self.account))
        router.add_post("/control/email/verify", route(self.verify))

    async def receipt(self, request: web.Request) -> Answer:
        return self.inbound.receipt(RequestBody(await body_of(request)))

    async def email(self, request: web.Request) -> Answer:
        return await self.inbound.email(RequestBody(await body_of(request)))

    async def account(self, request: web.Request) -> Answer:
        """Change quota (`max_rate` per second, `max_24_hours`) or suspend the account."""
        intent, account = RequestBody(await body_of(request)), self.service.account
        if intent.get("max_rate") is not None:
            account.max_rate = intent.number("max_rate", 0.01, 1_000_000)
        if intent.get("max_24_hours") is not None:
            account.max_24_hours = intent.number("max_24_hours", 0, 1_000_000_000)
        account.suspended = intent.flag("suspended", account.suspended)
        intent.done()
        return {"max_rate": account.max_rate, "max_24_hours": account.max_24_hours, "suspended": account.suspended}

    async def verify(self, request: web.Request) -> Answer:
        """Complete the verification of an identity."""
        intent = RequestBody(await body_of(request))
        name = (intent.text("identity", required=True) or "").lower()
        intent.done()
        if name not in self.service.account.identities:
            raise ControlError("identity", "was not created", 404)
        self.service.account.identities[name] = identity_record(name, verified=True)
        return {"identity": name, "verified": True}
