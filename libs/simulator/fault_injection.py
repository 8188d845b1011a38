"""Executes a request or injects a fault: applies fault rules, throttles and magic numbers between client and service."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from aiohttp import web

from libs.simulator import magic_recipients
from libs.simulator.core import Addressee, Core
from libs.simulator.errors import ProviderError
from libs.simulator.faults import ACCEPTING, Fault

log = structlog.get_logger("simulator.server")

SEND_BURST = 1.1
"""Throttled services allow a burst of a tenth more than the rate per second."""


class Refusing(Protocol):
    """A service with errors for `throttled`, `internal` and `invalid_number`."""

    @property
    def name(self) -> str: ...

    def refusal(self, kind: str) -> ProviderError: ...


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed request: its recipient, how to execute it, and how its protocol encodes the result."""

    service: Refusing
    operation: str
    addressee: Addressee | None
    run: Callable[[], Awaitable[Any]]
    success: Callable[[Any], web.Response]
    refusal: Callable[[ProviderError], web.Response]
    headers: dict[str, str] = field(default_factory=dict)
    """Of an answer without a body."""


class FaultInjector:
    """Rules of the control API first, then the throttle, then magic numbers."""

    def __init__(self, core: Core) -> None:
        self.core = core

    async def carry_out(self, request: web.Request, call: Call) -> web.StreamResponse:
        self.core.requests[f"{call.service.name}.{call.operation}"] += 1
        try:
            fault = self._fault(call)
            if fault is not None:
                return await self._faulty(request, fault, call)
            answer = await call.run()
        except ProviderError as error:
            return call.refusal(error)
        await self._latency()
        return call.success(answer)

    def _fault(self, call: Call) -> Fault | None:
        service, addressee = call.service.name, call.addressee
        rule = self.core.faults.draw(service, call.operation, addressee.to if addressee else None)
        if rule is not None:
            return rule
        rate = self.core.behaviour.throttle.get(service) or self.core.behaviour.throttle.get("*")
        if rate and not self.core.buckets.take(f"api:{service}", rate, max(1.0, rate * SEND_BURST)):
            return Fault("throttle", "throttle_429")
        special = magic_recipients.of(addressee.to) if addressee else None
        if addressee is None or special is None or special.fault is None:
            return None
        key = (addressee.to, addressee.message_id or "")
        self.core.magic_hits[key] += 1
        if special.times is not None and self.core.magic_hits[key] > special.times:
            return None
        return Fault("magic", special.fault)

    async def _latency(self) -> None:
        low, high = self.core.behaviour.latency_ms
        if high > 0:
            await asyncio.sleep(self.core.noise.between(low, high) / 1000)

    async def _faulty(self, request: web.Request, fault: Fault, call: Call) -> web.StreamResponse:
        log.info("fault", id=fault.id, kind=fault.fault, service=call.service.name, operation=call.operation)
        kind, answer = fault.fault, None
        if kind in ACCEPTING:
            # A refusal of the operation itself is returned unchanged: nothing was accepted.
            answer = await call.run()
        hang = self.core.behaviour.hang_s if fault.seconds is None else fault.seconds
        if kind == "slow":
            await self._hold(request, 1.0 if fault.seconds is None else fault.seconds)
            return call.success(answer)
        if kind in ("hang", "accept_then_hang"):
            await self._hold(request, hang)
            return cut(request)
        if kind in ("reset_before", "accept_then_reset"):
            return cut(request)
        if kind == "half_body":
            return await half(request, call.success(answer))
        if kind == "bad_json":
            return web.Response(body=b'{"messageId": "', content_type="application/json")
        if kind in ("outage_503", "accept_then_503"):
            return web.Response(status=503, body=b"", headers=call.headers)
        return call.refusal(_error_of(fault, call.service))

    async def _hold(self, request: web.Request, seconds: float) -> None:
        """Wait until the time is over, the client disconnects or the simulator stops."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until and not self.core.stopping.is_set():
            if request.transport is None or request.transport.is_closing():
                return
            try:
                await asyncio.wait_for(self.core.stopping.wait(), min(0.1, max(0.0, until - loop.time())))
            except TimeoutError:
                continue


def _error_of(fault: Fault, service: Refusing) -> ProviderError:
    if fault.fault == "error":
        members = {"Reason": fault.reason} if fault.reason else {}
        return ProviderError(str(fault.code), fault.message or "Simulated error", members=members)
    kinds = {"throttle_429": "throttled", "invalid_number": "invalid_number"}
    return service.refusal(kinds.get(fault.fault, "internal"))


def cut(request: web.Request) -> web.Response:
    """Reset the connection (RST, not FIN), so that the client sees a broken connection and not an end of the answer."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


async def half(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it, and close."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
