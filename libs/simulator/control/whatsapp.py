"""Control routes of WhatsApp: inbound messages, reviews of templates and accounts by Meta."""

from __future__ import annotations

from aiohttp import web

from libs.simulator.control.api import Answer, body_of, route
from libs.simulator.request_body import RequestBody
from libs.simulator.socialmessaging.inbound import Inbound


class WhatsAppControl:
    def __init__(self, inbound: Inbound) -> None:
        self.inbound = inbound

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_post("/control/inbound/whatsapp", route(self.message))
        router.add_put("/control/meta/webhook", route(self.webhook))
        router.add_post("/control/preferences", route(self.preference))
        router.add_post("/control/templates/{name}/status", route(self.template_status))
        router.add_post("/control/templates/{name}/category", route(self.template_category))
        router.add_post("/control/quality", route(self.quality))
        router.add_post("/control/account", route(self.account))

    async def message(self, request: web.Request) -> Answer:
        return self.inbound.message(RequestBody(await body_of(request)))

    async def webhook(self, request: web.Request) -> Answer:
        return self.inbound.webhook(RequestBody(await body_of(request)))

    async def preference(self, request: web.Request) -> Answer:
        return self.inbound.preference(RequestBody(await body_of(request)))

    async def template_status(self, request: web.Request) -> Answer:
        return self.inbound.template_status(request.match_info["name"], RequestBody(await body_of(request)))

    async def template_category(self, request: web.Request) -> Answer:
        return self.inbound.template_category(request.match_info["name"], RequestBody(await body_of(request)))

    async def quality(self, request: web.Request) -> Answer:
        return self.inbound.quality(RequestBody(await body_of(request)))

    async def account(self, request: web.Request) -> Answer:
        return self.inbound.account_state(RequestBody(await body_of(request)))
