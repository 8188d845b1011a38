"""The simulator: builds, starts and stops all services."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from libs.simulator.control.api import Control, no_such_route, route
from libs.simulator.control.email import EmailControl
from libs.simulator.control.sms import SmsControl
from libs.simulator.control.whatsapp import WhatsAppControl
from libs.simulator.core import Core, Service, Settings
from libs.simulator.fault_injection import FaultInjector
from libs.simulator.server import MAX_BODY_BYTES, Front
from libs.simulator.sesv2.service import Ses
from libs.simulator.sms_voice.service import SmsVoice
from libs.simulator.socialmessaging.graph import Graph
from libs.simulator.socialmessaging.inbound import Inbound
from libs.simulator.socialmessaging.service import SocialMessaging

log = structlog.get_logger("simulator")


class Simulator:
    """`await start(port)` serves until `await stop()`; port 0 takes a free one. Use as an async context manager in tests."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.core = Core(settings or Settings())
        self.whatsapp = SocialMessaging(self.core)
        self.sms = SmsVoice(self.core)
        self.ses = Ses(self.core)
        everyone: tuple[Service, ...] = (self.whatsapp, self.sms, self.ses)
        self.services = {service.name: service for service in everyone}
        self.email_control = EmailControl(self.ses)
        self.runner: web.AppRunner | None = None
        self.emitting: asyncio.Task[None] | None = None
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        Control(self.core, self.services).add_to(app.router)
        WhatsAppControl(Inbound(self.core, self.whatsapp.account, self.whatsapp.templates)).add_to(app.router)
        SmsControl(self.sms).add_to(app.router)
        self.email_control.add_to(app.router)
        app.router.add_route("*", "/control{path:.*}", route(no_such_route))
        fault_injector = FaultInjector(self.core)
        Graph(self.core, self.whatsapp.account, self.whatsapp.sender, fault_injector).add_to(app.router)
        app.router.add_route("*", "/{path:.*}", Front(self.core, self.services, fault_injector).handle)
        return app

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Returns the base URL."""
        # Hanging requests must not delay the shutdown.
        self.runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=self.core.settings.grace_s)
        await self.runner.setup()
        site = web.TCPSite(self.runner, host, port, backlog=1024)
        await site.start()
        taken = self.runner.addresses[0][1]
        self.url = f"http://{host}:{taken}"
        self.emitting = asyncio.create_task(self.core.emitter.run())
        return self.url

    async def stop(self) -> None:
        """Finish open requests, publish pending events (a carrier keeps its receipts), close."""
        self.core.stopping.set()
        if self.runner is not None:
            await self.runner.cleanup()
        if self.emitting is not None:
            self.emitting.cancel()
            await asyncio.gather(self.emitting, return_exceptions=True)
        if self.core.settings.grace_s > 0:
            await self.core.emitter.flush()
        await self.core.publisher.drain(self.core.settings.grace_s)
        await self.core.publisher.close()
        await self.whatsapp.media.close()
        await self.email_control.inbound.close()
        self.core.ledger.close()

    def reset(self, everything: bool = False) -> None:
        """As POST /control/reset."""
        self.core.reset(everything)
        for service in self.services.values():
            service.reset(everything)

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
