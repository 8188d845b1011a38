"""The declaration of ``templates``: one registry for all channels, with the content and the provider's status of
each."""

from __future__ import annotations

from libs.common.declare.service import Grant, Service, every, on
from libs.messaging.events.inbound import AccountNoticed
from libs.messaging.events.templates import SubmissionAsked, TemplateChanged, TemplatesListed
from services.templates import handlers, http, sync
from services.templates.model import Catalogue, Template, TemplateVersion
from services.templates.provider import CHANNEL

service = Service(
    "templates",
    owns=[Template, TemplateVersion, Catalogue],
    hears=[
        on(AccountNoticed, handlers.note_account, channel=CHANNEL, ledger=True),
        on(SubmissionAsked, handlers.submit, ledger=True),
    ],
    says=[TemplateChanged, TemplatesListed, SubmissionAsked],
    serves=http.router,
    every=[every(sync.CHECK_SECONDS, sync.sync)],
    needs=[
        Grant(
            (
                "social-messaging:ListLinkedWhatsAppBusinessAccounts",
                "social-messaging:ListWhatsAppMessageTemplates",
                "social-messaging:GetWhatsAppMessageTemplate",
                "social-messaging:CreateWhatsAppMessageTemplate",
                "social-messaging:UpdateWhatsAppMessageTemplate",
            )
        )
    ],
)
