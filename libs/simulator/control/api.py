"""Routes of the control API. Bodies are JSON objects; errors are `{"field", "error"}` that names the invalid member.

Not part of any provider API: tests and demos use it to inspect and configure the simulator.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from libs.simulator import magic_recipients
from libs.simulator.behaviour import SERVICES, Behaviour
from libs.simulator.core import Core, Service
from libs.simulator.errors import ControlError
from libs.simulator.request_body import RequestBody

Answer = dict[str, Any]
LIST_LIMIT = 10_000


def route(action: Callable[[web.Request], Awaitable[Answer]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        try:
            return web.json_response(await action(request))
        except ControlError as error:
            return web.json_response({"field": error.field, "error": str(error)}, status=error.status)

    return serve


async def body_of(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        value = json.loads(raw) if raw else {}
    except ValueError as error:
        raise ControlError("body", "must be JSON") from error
    if not isinstance(value, dict):
        raise ControlError("body", "must be a JSON object")
    return value


async def no_such_route(request: web.Request) -> Answer:
    raise ControlError("path", f"{request.method} {request.path} is not a control route; see the README", 404)


def whole(request: web.Request, name: str, default: int) -> int:
    value = request.query.get(name)
    if value is None:
        return default
    if not value.isdigit():
        raise ControlError(name, "must be a whole number")
    return int(value)


class Control:
    """The routes that concern every service."""

    def __init__(self, core: Core, services: dict[str, Service]) -> None:
        self.core = core
        self.services = services

    def add_to(self, router: web.UrlDispatcher) -> None:
        for method, path, action in (
            ("GET", "/control/health", self.health),
            ("GET", "/control/ledger", self.ledger),
            ("GET", "/control/ledger/summary", self.summary),
            ("DELETE", "/control/ledger", self.clear_ledger),
            ("GET", "/control/behaviour", self.behaviour),
            ("PUT", "/control/behaviour", self.put_behaviour),
            ("PATCH", "/control/behaviour", self.patch_behaviour),
            ("GET", "/control/faults", self.faults),
            ("POST", "/control/faults", self.add_fault),
            ("DELETE", "/control/faults", self.remove_faults),
            ("DELETE", "/control/faults/{id}", self.remove_faults),
            ("GET", "/control/outcomes", self.outcomes),
            ("PUT", "/control/outcomes", self.put_outcome),
            ("DELETE", "/control/outcomes", self.clear_outcomes),
            ("GET", "/control/events", self.events),
            ("GET", "/control/events/pending", self.pending),
            ("POST", "/control/emit", self.emit),
            ("POST", "/control/clock/advance", self.advance),
            ("GET", "/control/magic", self.magic),
            ("POST", "/control/reset", self.reset),
        ):
            router.add_route(method, path, route(action))

    async def health(self, request: web.Request) -> Answer:
        core = self.core
        return {
            "status": "ok",
            "seed": core.seed,
            "region": core.settings.region,
            "services": sorted(self.services),
            "clockOffset": core.clock.offset,
            "accepted": len(core.ledger.entries),
            "events": {
                "pending": len(core.emitter.heap),
                "emitted": core.emitter.emitted,
                "waiting": core.publisher.waiting,
                "published": core.publisher.published,
                "dropped": core.publisher.dropped,
            },
            "requests": dict(core.requests),
        }

    async def ledger(self, request: web.Request) -> Answer:
        limit = min(whole(request, "limit", 1000), LIST_LIMIT)
        found = self.core.ledger.find(
            request.query.get("message_id"), request.query.get("to"), whole(request, "after", 0), limit
        )
        return {"entries": [asdict(e) for e in found], "next": found[-1].seq if len(found) == limit and found else None}

    async def summary(self, request: web.Request) -> Answer:
        return self.core.ledger.summary()

    async def clear_ledger(self, request: web.Request) -> Answer:
        cleared = len(self.core.ledger.entries)
        self.core.ledger.clear()
        return {"cleared": cleared}

    async def behaviour(self, request: web.Request) -> Answer:
        return self.core.behaviour.to_dict()

    async def put_behaviour(self, request: web.Request) -> Answer:
        """Replace all settings; a setting that is not named is reset to its default."""
        fresh = Behaviour()
        fresh.patch(await body_of(request))
        self.core.behaviour = fresh
        return fresh.to_dict()

    async def patch_behaviour(self, request: web.Request) -> Answer:
        self.core.behaviour.patch(await body_of(request))
        return self.core.behaviour.to_dict()

    async def faults(self, request: web.Request) -> Answer:
        return {"faults": [rule.to_dict() for rule in self.core.faults.rules]}

    async def add_fault(self, request: web.Request) -> Answer:
        return self.core.faults.add(await body_of(request)).to_dict()

    async def remove_faults(self, request: web.Request) -> Answer:
        fault_id = request.match_info.get("id")
        removed = self.core.faults.remove(fault_id)
        if fault_id is not None and not removed:
            raise ControlError("id", f"there is no fault {fault_id}", 404)
        return {"removed": removed}

    async def outcomes(self, request: web.Request) -> Answer:
        listed = sorted(self.core.outcomes.items())
        return {"outcomes": [{"service": s, "to": to, "events": events} for (s, to), events in listed]}

    async def put_outcome(self, request: web.Request) -> Answer:
        """Fix the events of all later messages of a service to a recipient, in this order."""
        intent = RequestBody(await body_of(request))
        service, to = intent.choice("service", SERVICES), intent.text("to", required=True) or ""
        events = intent.texts("events")
        intent.done()
        check = self.services[service].known_event
        for name in events:
            if not check(name):
                raise ControlError("events", f"{name} is not an event of {service}")
        self.core.outcomes[(service, to)] = events
        return {"service": service, "to": to, "events": events}

    async def clear_outcomes(self, request: web.Request) -> Answer:
        self.core.outcomes.clear()
        return {"outcomes": []}

    async def events(self, request: web.Request) -> Answer:
        """The last published events, oldest first (at most 1,000), whether or not SNS is connected."""
        after, limit = whole(request, "after", 0), min(whole(request, "limit", 100), LIST_LIMIT)
        found = [e for e in self.core.emitter.recent if int(str(e["seq"])) > after][:limit]
        return {"events": found}

    async def pending(self, request: web.Request) -> Answer:
        """Wait until no event is due within `within_s` and all are published, at most `wait_s` (default 0)."""
        wait_s = min(whole(request, "wait_s", 0), 60)
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        # It depends on two queues and the clock, so there is no single event to wait for.
        while (self.core.emitter.heap or self.core.publisher.waiting) and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return {"pending": len(self.core.emitter.heap), "waiting": self.core.publisher.waiting}

    async def emit(self, request: web.Request) -> Answer:
        """Publish `message` (a string, or JSON to be made a string) to `topic`, verbatim and unchecked."""
        intent = RequestBody(await body_of(request))
        topic, times = intent.text("topic", required=True) or "", intent.count("times", 1, 10_000)
        message = intent.get("message")
        intent.done()
        if message is None:
            raise ControlError("message", "is required")
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        for _ in range(times):
            self.core.emitter.now([topic], text)
        return {"published": times}

    async def advance(self, request: web.Request) -> Answer:
        intent = RequestBody(await body_of(request))
        seconds = intent.number("seconds", 0, 400 * 86400)
        intent.done()
        self.core.clock.advance(seconds)
        self.core.emitter.wake.set()
        return {"clockOffset": self.core.clock.offset, "now": self.core.clock.now()}

    async def magic(self, request: web.Request) -> Answer:
        tables = {
            "numbers": magic_recipients.NUMBERS,
            "emails": magic_recipients.EMAILS,
            "mailboxSimulator": magic_recipients.MAILBOX_SIMULATOR,
        }
        return {name: {to: asdict(m) for to, m in table.items()} for name, table in tables.items()}

    async def reset(self, request: web.Request) -> Answer:
        intent = RequestBody(await body_of(request))
        everything = intent.flag("everything", False)
        intent.done()
        self.core.reset(everything)
        for service in self.services.values():
            service.reset(everything)
        return {"status": "ok"}
