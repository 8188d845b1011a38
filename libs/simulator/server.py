"""HTTP in front of the services: find the operation, check the request, apply faults, answer as AWS does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from libs.simulator.core import Core, Service
from libs.simulator.errors import ProviderError
from libs.simulator.fault_injection import Call, FaultInjector
from libs.simulator.model import Invalid, Operation, ServiceModel, service_model
from libs.simulator.shapes import Problem

JSON_10 = "application/x-amz-json-1.0"
MAX_BODY_BYTES = 64 * 1024 * 1024
"""SES takes 40 MB of MIME, which is 54 MB in base64."""


class Front:
    """Serves every path that is neither the control API nor Meta's."""

    def __init__(self, core: Core, services: Mapping[str, Service], fault_injector: FaultInjector) -> None:
        self.core = core
        self.services = services
        self.fault_injector = fault_injector
        self.models = {name: service_model(name) for name in services}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        request_id = str(uuid.uuid4())
        model, service = self._service(request)
        try:
            operation, params = self._parse(request, model, service, body)
            addressee = service.prepare(operation.name, params)
        except ProviderError as error:
            return refusal(model, request_id, error)
        call = Call(
            service, operation.name, addressee,
            run=partial(self._run, model, service, operation, params),
            success=partial(success, model, request_id),
            refusal=partial(refusal, model, request_id),
            headers={"x-amzn-RequestId": request_id},
        )  # fmt: skip
        return await self.fault_injector.carry_out(request, call)

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


def success(model: ServiceModel, request_id: str, answer: Mapping[str, Any]) -> web.Response:
    kind = JSON_10 if model.protocol == "json" else "application/json"
    body = json.dumps(answer, separators=(",", ":")).encode()
    return web.Response(body=body, headers={"Content-Type": kind, "x-amzn-RequestId": request_id})


def refusal(model: ServiceModel, request_id: str, error: ProviderError) -> web.Response:
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
