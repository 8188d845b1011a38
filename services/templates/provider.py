"""Reads and submits WhatsApp templates through AWS End User Messaging Social (2024-01-01)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from libs.common.handle.context import Context
from libs.messaging.channels import Channel
from libs.messaging.templates import TemplateStatus
from services.templates.definitions import definition
from services.templates.model import AccountState, Json, Template, TemplateVersion

#: The one channel whose provider approves templates.
CHANNEL = Channel.WHATSAPP
_SERVICE = "socialmessaging"
#: Meta's statuses, in lists and in webhooks (``event`` of ``message_template_status_update``). Other values do not
#: affect sending.
STATUSES = {
    "APPROVED": TemplateStatus.APPROVED,
    "REINSTATED": TemplateStatus.APPROVED,
    "UNARCHIVED": TemplateStatus.APPROVED,
    "PENDING": TemplateStatus.PENDING,
    "IN_APPEAL": TemplateStatus.PENDING,
    "PAUSED": TemplateStatus.PAUSED,
    "REJECTED": TemplateStatus.REJECTED,
    "DISABLED": TemplateStatus.DISABLED,
    "ARCHIVED": TemplateStatus.DISABLED,
    "LIMIT_EXCEEDED": TemplateStatus.REJECTED,
    "DELETED": TemplateStatus.DELETED,
    "PENDING_DELETION": TemplateStatus.DELETED,
}
#: Transient errors.
_PASSING = frozenset({"ThrottledRequestException", "DependencyException", "InternalServiceException"})


@dataclass(frozen=True)
class Account:
    """A linked WhatsApp business account: AWS's id (``waba-…``) and Meta's."""

    id: str
    meta_id: str


class Refused(Exception):
    """A refusal by the provider. ``code`` is its exception."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


async def accounts(ctx: Context) -> list[Account]:
    client = await ctx.aws.client(_SERVICE)
    found = await _pages(client.list_linked_whatsapp_business_accounts, "linkedAccounts")
    return [Account(each["id"], each["wabaId"]) for each in found]


async def listed(ctx: Context, account: Account) -> list[Json]:
    """Returns summaries: ``templateName, metaTemplateId, templateStatus, templateQualityScore, templateLanguage …``."""
    client = await ctx.aws.client(_SERVICE)
    return await _pages(client.list_whatsapp_message_templates, "templates", id=account.id)


async def read(ctx: Context, account: Account, name: str, language: str) -> Json:
    """Returns Meta's definition: ``components``, ``parameter_format``, ``status``, ``id`` …"""
    client = await ctx.aws.client(_SERVICE)
    answer = await client.get_whatsapp_message_template(id=account.id, templateName=name, templateLanguageCode=language)
    whole: Json = json.loads(answer["template"])
    return whole


async def submitted(ctx: Context, account: Account, template: Template, version: TemplateVersion) -> AccountState:
    """Creates the template at the provider, or updates an existing one. Idempotent: a template is identified by its
    name. Raises Refused; any other error may be transient."""
    client = await ctx.client(_SERVICE)
    try:
        if account.meta_id not in template.accounts:
            return await _created(client, account, template, version)
    except Refused as refused:
        # It may exist since an attempt whose answer was lost.
        if refused.code != "ConflictException":
            raise
    return await _changed(client, account, template, version)


async def _created(client: Any, account: Account, template: Template, version: TemplateVersion) -> AccountState:
    answer = await _asked(
        client.create_whatsapp_message_template(id=account.id, templateDefinition=definition(template, version))
    )
    return AccountState(
        status=STATUSES.get(answer["templateStatus"], TemplateStatus.PENDING),
        meta_id=answer["metaTemplateId"],
        category=answer.get("category"),
    )


async def _changed(client: Any, account: Account, template: Template, version: TemplateVersion) -> AccountState:
    components = json.dumps(version.components, ensure_ascii=False, separators=(",", ":")).encode()
    await _asked(
        client.update_whatsapp_message_template(
            id=account.id,
            templateName=template.name,
            templateLanguageCode=template.language,
            parameterFormat=version.parameter_format,
            templateComponents=components,
        )
    )
    # An edited template is reviewed again.
    known = template.accounts.get(account.meta_id)
    return AccountState(status=TemplateStatus.PENDING, meta_id=known and known.meta_id, category=template.category)


async def _asked(call: Any) -> Json:
    try:
        answer: Json = await call
        return answer
    except Exception as error:
        reported = getattr(error, "response", None)
        if not isinstance(reported, dict):
            raise
        code = str(reported.get("Error", {}).get("Code"))
        status = int(reported.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        if not 400 <= status < 500 or code in _PASSING:
            raise
        raise Refused(code, str(reported.get("Error", {}).get("Message", ""))) from None


async def _pages(call: Any, name: str, **given: str) -> list[Json]:
    found: list[Json] = []
    token: str | None = None
    while True:
        answer = await call(**given, **({"nextToken": token} if token else {}))
        found += answer[name]
        token = answer.get("nextToken")
        if token is None:
            return found
