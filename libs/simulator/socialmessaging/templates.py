"""The template operations, and simulated reviews by Meta, which publish events."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from libs.simulator.core import Core
from libs.simulator.errors import ProviderError
from libs.simulator.socialmessaging import events, template_rules
from libs.simulator.socialmessaging.account import Account
from libs.simulator.socialmessaging.body import decode
from libs.simulator.socialmessaging.records import Template, Waba

PAGE = 100


class Templates:
    """Create, get, list, update and delete message templates."""

    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    async def create(self, params: dict[str, Any]) -> dict[str, Any]:
        waba = self.account.waba(params["id"])
        definition = decode(params["templateDefinition"])
        template_rules.check_definition(definition)
        key = (definition["name"], definition["language"])
        if key in waba.templates:
            raise ProviderError("ConflictException", f"Template {key[0]} exists already in {key[1]}")
        template = Template(
            name=key[0], language=key[1], category=definition["category"], meta_id=str(next(self.account.meta_ids)),
            components=definition["components"], status="PENDING",
            parameter_format=definition.get("parameter_format", "POSITIONAL"),
        )  # fmt: skip
        waba.templates[key] = template
        self._review(waba, template)
        return {"metaTemplateId": template.meta_id, "templateStatus": template.status, "category": template.category}

    def _review(self, waba: Waba, template: Template) -> None:
        verdict = self.core.behaviour.template_review
        if verdict == "hold":
            return
        low, high = self.core.behaviour.delay_ms
        due = self.core.clock.now() + self.core.noise.between(low, high) / 1000
        status, reason = ("APPROVED", "NONE") if verdict == "approve" else ("REJECTED", "INVALID_FORMAT")
        self.core.emitter.at(due, waba.topics, partial(self.decide, waba, template, status, reason, {}))

    def decide(self, waba: Waba, template: Template, status: str, reason: str, extra: dict[str, Any]) -> str:
        """Set a template's status; returns the event about it."""
        template.status = {"REINSTATED": "APPROVED", "UNARCHIVED": "APPROVED"}.get(status, status)
        value = events.template_status_value(template, status, reason, extra)
        now = self.core.clock.now()
        return events.envelope(
            self.account, waba, None, value, "message_template_status_update", now, self.core.noise.uuid()
        )

    async def get(self, params: dict[str, Any]) -> dict[str, Any]:
        template = self._find(self.account.waba(params["id"]), params)
        return {"template": json.dumps(_document(template), separators=(",", ":"))}

    async def list(self, params: dict[str, Any]) -> dict[str, Any]:
        waba = self.account.waba(params["id"])
        everything = sorted(waba.templates.values(), key=lambda t: (t.name, t.language))
        return {**page("templates", [_summary(t) for t in everything], params)}

    async def update(self, params: dict[str, Any]) -> dict[str, Any]:
        waba = self.account.waba(params["id"])
        template = self._find(waba, params)
        if "templateComponents" in params:
            components = decode(b'{"components":' + params["templateComponents"] + b"}")["components"]
            template_rules.check_components(components, template.parameter_format)
            template.components = components
        if "templateCategory" in params:
            if params["templateCategory"] not in template_rules.CATEGORIES:
                raise ProviderError("InvalidParametersException", "(#100) Invalid parameter: templateCategory")
            template.category = params["templateCategory"]
        # An edited template is reviewed again.
        template.status = "PENDING"
        self._review(waba, template)
        return {}

    async def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        waba = self.account.waba(params["id"])
        name, meta_id = params["templateName"], params.get("metaTemplateId")
        doomed = [
            key for key, t in waba.templates.items()
            if t.name == name and (meta_id is None or params.get("deleteAllLanguages") or t.meta_id == meta_id)
        ]  # fmt: skip
        if not doomed:
            raise ProviderError("ResourceNotFoundException", f"Template {name} was not found")
        for key in doomed:
            del waba.templates[key]
        return {}

    def _find(self, waba: Waba, params: dict[str, Any]) -> Template:
        meta_id, name, language = (params.get(k) for k in ("metaTemplateId", "templateName", "templateLanguageCode"))
        if meta_id is None and name is None:
            raise ProviderError("InvalidParametersException", "metaTemplateId or templateName is required")
        for template in waba.templates.values():
            wanted = template.meta_id == meta_id if meta_id is not None else template.name == name
            if wanted and language in (None, template.language):
                return template
        raise ProviderError("ResourceNotFoundException", f"Template {name or meta_id} was not found")


def _summary(template: Template) -> dict[str, Any]:
    return {
        "templateName": template.name,
        "metaTemplateId": template.meta_id,
        "templateStatus": template.status,
        "templateQualityScore": template.quality,
        "templateLanguage": template.language,
        "templateCategory": template.category,
    }


def _document(template: Template) -> dict[str, Any]:
    """A template in the format of Meta's API."""
    return {
        "id": template.meta_id,
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "status": template.status,
        "parameter_format": template.parameter_format,
        "components": template.components,
    }


def page(name: str, items: list[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
    """One page of a list; the token is the offset, which is sufficient for a list in memory."""
    token = params.get("nextToken", "0")
    if not token.isdigit():
        raise ProviderError("InvalidParametersException", "nextToken is not valid")
    start, size = int(token), int(params.get("maxResults", PAGE))
    answer: dict[str, Any] = {name: items[start : start + size]}
    if start + size < len(items):
        answer["nextToken"] = str(start + size)
    return answer
