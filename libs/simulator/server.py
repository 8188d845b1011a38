"""HTTP in front of the services: find the operation, check the request, apply faults, answer as AWS does."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web

from libs.simulator import magic
from libs.simulator.core import Addressee, Core, Service
from libs.simulator.errors import ProviderError
from libs.simulator.faults import ACCEPTING, Fault
from libs.simulator.model import Invalid, Operation, ServiceModel, service_model
from libs.simulator.shapes import Problem

log = structlog.get_logger("simulator.server")

JSON_10 = "application/x-amz-json-1.0"
MAX_BODY = 64 * 1024 * 1024
"""SES takes 40 MB of MIME, which is 54 MB in base64."""
SEND_BURST = 1.1
"""Throttled services allow a tenth more than a second's worth at once."""


class Front:
    """Serves every path that is not the control API."""

    def __init__(self, core: Core, services: Mapping[str, Service]) -> None:
        self.core = core
        self.services = services
        self.models = {name: service_model(name) for name in services}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        request_id = str(uuid.uuid4())
        model, service = self._service(request)
        try:
            operation, params = self._parse(request, model, service, body)
            addressee = service.prepare(operation.name, params)
            self.core.requests[f"{service.name}.{operation.name}"] += 1
            fault = self._fault(service, operation.name, addressee)
            if fault is not None:
                return await self._faulty(request, fault, model, service, operation, params, request_id)
            answer = await self._run(model, service, operation, params)
        except ProviderError as error:
            return refusal(model, error, request_id)
        await self._latency()
        return success(model, answer, request_id)

    def _service(self, request: web.Request) -> tuple[ServiceModel, Service]:
        """JSON 1.0 is known by its target header, SES by its path; the rest is WhatsApp."""
        if "X-Amz-Target" in request.headers:
            name = "pinpoint-sms-voice-v2"
        else:
            name = "sesv2" if request.path.startswith("/v2/") else "socialmessaging"
        if name not in self.services:
            name = next(iter(self.services))
        return self.models[name], self.services[name]

    def _parse(
        self, request: web.Request, model: ServiceModel, service: Service, body: bytes
    ) -> tuple[Operation, dict[str, Any]]:
        path, _, query = request.raw_path.partition("?")
        operation, labels = None, {}
        if model.protocol == "json":
            prefix, _, name = request.headers.get("X-Amz-Target", "").rpartition(".")
            operation = model.operations.get(name) if prefix == model.target_prefix else None
        else:
            found = model.match(request.method, path)
            operation, labels = found if found else (None, {})
        if operation is None:
            status = 400 if model.protocol == "json" else 404
            raise ProviderError("UnknownOperationException", "The operation is not known", status=status)
        if operation.name not in service.operations:
            raise ProviderError("NotImplementedException", f"{operation.name} is not simulated", status=501)
        try:
            return operation, model.read(operation, body, query, labels)
        except Invalid as error:
            raise service.invalid(error) from error

    def _fault(self, service: Service, operation: str, addressee: Addressee | None) -> Fault | None:
        """Rules of the control API first, then the throttle, then magic numbers."""
        rule = self.core.faults.draw(service.name, operation, addressee.to if addressee else None)
        if rule is not None:
            return rule
        rate = self.core.behaviour.throttle.get(service.name) or self.core.behaviour.throttle.get("*")
        if rate and not self.core.buckets.take(f"api:{service.name}", rate, max(1.0, rate * SEND_BURST)):
            return Fault("throttle", "throttle_429")
        special = magic.of(addressee.to) if addressee else None
        if addressee is None or special is None or special.fault is None:
            return None
        key = (addressee.to, addressee.message_id or "")
        self.core.magic_hits[key] += 1
        if special.times is not None and self.core.magic_hits[key] > special.times:
            return None
        return Fault("magic", special.fault)

    async def _run(
        self, model: ServiceModel, service: Service, operation: Operation, params: dict[str, Any]
    ) -> dict[str, Any]:
        answer = await service.operations[operation.name](params)
        if self.core.settings.check_responses and operation.output is not None:
            problems: list[Problem] = []
            operation.output(answer, "", problems)
            unknown = set(answer) - set(model.service.operation_model(operation.name).output_shape.members)
            if problems or unknown:
                detail = f"{operation.name} answered against its model: {problems} {unknown}"
                raise ProviderError("SimulatorDefect", detail, status=500)
        return answer

    async def _latency(self) -> None:
        low, high = self.core.behaviour.latency_ms
        if high > 0:
            await asyncio.sleep(self.core.noise.between(low, high) / 1000)

    async def _faulty(
        self,
        request: web.Request,
        fault: Fault,
        model: ServiceModel,
        service: Service,
        operation: Operation,
        params: dict[str, Any],
        request_id: str,
    ) -> web.StreamResponse:
        log.info("fault", id=fault.id, kind=fault.fault, service=service.name, operation=operation.name)
        kind, answer = fault.fault, {}
        if kind in ACCEPTING:
            # A refusal of the operation itself goes out as it is: nothing was accepted, so nothing can be lost.
            answer = await self._run(model, service, operation, params)
        hang = self.core.behaviour.hang_s if fault.seconds is None else fault.seconds
        if kind == "slow":
            await self._hold(request, 1.0 if fault.seconds is None else fault.seconds)
            return success(model, answer, request_id)
        if kind in ("hang", "accept_then_hang"):
            await self._hold(request, hang)
            return cut(request)
        if kind in ("reset_before", "accept_then_reset"):
            return cut(request)
        if kind == "half_body":
            return await half(request, success(model, answer, request_id))
        if kind == "bad_json":
            return web.Response(body=b'{"messageId": "', content_type="application/json")
        if kind in ("outage_503", "accept_then_503"):
            return web.Response(status=503, body=b"", headers={"x-amzn-RequestId": request_id})
        return refusal(model, _error_of(fault, service), request_id)

    async def _hold(self, request: web.Request, seconds: float) -> None:
        """Wait, but not longer than the client or the simulator lives."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until and not self.core.stopping.is_set():
            if request.transport is None or request.transport.is_closing():
                return
            try:
                await asyncio.wait_for(self.core.stopping.wait(), min(0.1, max(0.0, until - loop.time())))
            except TimeoutError:
                continue


def _error_of(fault: Fault, service: Service) -> ProviderError:
    if fault.fault == "error":
        members = {"Reason": fault.reason} if fault.reason else {}
        return ProviderError(str(fault.code), fault.message or "Simulated error", members=members)
    kinds = {"throttle_429": "throttled", "invalid_number": "invalid_number"}
    return service.refusal(kinds.get(fault.fault, "internal"))


def success(model: ServiceModel, answer: Mapping[str, Any], request_id: str) -> web.Response:
    kind = JSON_10 if model.protocol == "json" else "application/json"
    body = json.dumps(answer, separators=(",", ":")).encode()
    return web.Response(body=body, headers={"Content-Type": kind, "x-amzn-RequestId": request_id})


def refusal(model: ServiceModel, error: ProviderError, request_id: str) -> web.Response:
    """An error as the protocol spells it (facts 1.3): header and `message`, or `__type` and `Message`."""
    status = error.status or model.status_of(error.code)
    headers = {"x-amzn-RequestId": request_id}
    if model.protocol == "json":
        body = {"__type": error.code, "Message": error.message, **error.members}
        if error.code == "InternalServerException":
            body["RequestId"] = request_id
        headers["Content-Type"] = JSON_10
    else:
        body = {"message": error.message, **error.members}
        headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)


def cut(request: web.Request) -> web.Response:
    """Reset the connection (RST, not FIN), so that the client sees a broken line rather than an end."""
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
