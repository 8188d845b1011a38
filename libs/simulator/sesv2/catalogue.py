"""Email identities and templates."""

from __future__ import annotations

import json
from typing import Any

from libs.simulator.core import Core
from libs.simulator.sesv2 import compose
from libs.simulator.sesv2.account import Account, identity_record, is_reserved
from libs.simulator.sesv2.compose import bad
from libs.simulator.sesv2.resources import exists, missing, page


class Catalogue:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    async def create_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["EmailIdentity"].lower()
        if name in self.account.identities:
            raise exists("Email identity", name)
        record = identity_record(name, verified=is_reserved(name))
        self.account.identities[name] = record
        return {k: record[k] for k in ("IdentityType", "VerifiedForSendingStatus", "DkimAttributes")}

    async def get_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        return self._identity(params)

    async def delete_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        self._identity(params)
        del self.account.identities[params["EmailIdentity"].lower()]
        return {}

    def _identity(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.identities.get(params["EmailIdentity"].lower())
        if found is None:
            raise missing("Email identity", params["EmailIdentity"])
        return found

    async def list_identities(self, params: dict[str, Any]) -> dict[str, Any]:
        listed = [
            {
                "IdentityName": name, "IdentityType": record["IdentityType"],
                "SendingEnabled": record["VerifiedForSendingStatus"], "VerificationStatus": record["VerificationStatus"],
            }
            for name, record in sorted(self.account.identities.items())
        ]  # fmt: skip
        return page("EmailIdentities", listed, params)

    async def create_template(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["TemplateName"]
        if name in self.account.templates:
            raise exists("Template", name)
        compose.check_template(params["TemplateContent"])
        self.account.templates[name] = {
            "TemplateContent": params["TemplateContent"], "CreatedTimestamp": self.core.clock.now(),
        }  # fmt: skip
        return {}

    def _template(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.templates.get(params["TemplateName"])
        if found is None:
            raise missing("Template", params["TemplateName"])
        return found

    async def get_template(self, params: dict[str, Any]) -> dict[str, Any]:
        content = self._template(params)["TemplateContent"]
        return {"TemplateName": params["TemplateName"], "TemplateContent": content}

    async def update_template(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self._template(params)
        compose.check_template(params["TemplateContent"])
        found["TemplateContent"] = params["TemplateContent"]
        return {}

    async def delete_template(self, params: dict[str, Any]) -> dict[str, Any]:
        self._template(params)
        del self.account.templates[params["TemplateName"]]
        return {}

    async def list_templates(self, params: dict[str, Any]) -> dict[str, Any]:
        listed = [
            {"TemplateName": name, "CreatedTimestamp": t["CreatedTimestamp"]}
            for name, t in sorted(self.account.templates.items())
        ]
        return page("TemplatesMetadata", listed, params)

    async def test_render(self, params: dict[str, Any]) -> dict[str, Any]:
        content, data = self._template(params)["TemplateContent"], compose.template_data(params["TemplateData"])
        parts = []
        for name in ("Subject", "Text", "Html"):
            text, lacking = compose.render(content.get(name) or "", data)
            if lacking is not None:
                raise bad(f"Attribute '{lacking}' is not present in the rendering data.")
            parts.append(text)
        return {"RenderedTemplate": json.dumps(dict(zip(("Subject", "Text", "Html"), parts, strict=True)))}
