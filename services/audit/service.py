"""The audit log: who or what changed what, kept for 180 days, with a hash chain that detects later changes."""

from __future__ import annotations

from libs.common.declare.request_events import RequestHandled, RequestRefused
from libs.common.declare.service import Service, every, on
from libs.messaging.events.bulk import JobChanged
from libs.messaging.events.contacts import ConsentChanged
from libs.messaging.events.dlq import LetterDecided
from libs.messaging.events.identity import UserChanged, UserRemoved
from libs.messaging.events.templates import TemplateChanged
from libs.messaging.exports import EXPORTS
from services.audit import chains, handlers, http
from services.audit.model import AuditBlock, AuditExport, AuditHead, AuditLog

service = Service(
    "audit",
    owns=[AuditLog, AuditBlock, AuditHead, AuditExport],
    hears=[
        on(RequestHandled, handlers.request_handled),
        on(RequestRefused, handlers.request_refused),
        on(ConsentChanged, handlers.consent_changed),
        on(JobChanged, handlers.job_changed),
        on(LetterDecided, handlers.letter_decided),
        on(TemplateChanged, handlers.template_changed),
        on(UserChanged, handlers.user_changed),
        on(UserRemoved, handlers.user_removed),
    ],
    serves=http.router,
    every=[every(chains.LINK_SECONDS, chains.link_entries), every(chains.ANCHOR_SECONDS, chains.anchor_heads)],
    needs=[chains.ANCHORS, EXPORTS],
)
