"""Bulk jobs: planned before anything is sent, run without losing or duplicating a recipient, with exact counts at any
time."""

from __future__ import annotations

from libs.common.declare.service import Bucket, Service, every, on
from libs.messaging.events.bulk import (
    ChunkCalledBack,
    ChunkReleased,
    DriftFound,
    JobChanged,
    PlanAsked,
    ReportAsked,
    ReportWritten,
)
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.inbound import AccountNoticed
from libs.messaging.events.messages import MessageChanged
from libs.messaging.events.outbound import ChunkEnded
from libs.messaging.setting_copy import SettingsCopy, configured
from libs.messaging.template_copy import TemplateCopy, templates
from libs.messaging.vocabulary import MessageClass
from services.bulk import handlers, http, ticks
from services.bulk.audience.contact_copy import Address, Person
from services.bulk.audience.sources import SavedList, Upload
from services.bulk.audience.storage import BUCKET
from services.bulk.model import BulkJob
from services.bulk.planning import send_limits
from services.bulk.planning import steps as planning
from services.bulk.planning.send_limits import BudgetCopy, CapCopy
from services.bulk.running.chunks import BulkChunk, BulkRecipient, BulkTally, Frontier, OptOut

service = Service(
    "bulk",
    owns=[
        *(BulkJob, BulkRecipient, BulkChunk, BulkTally, Frontier, OptOut),
        *(Upload, SavedList, Person, Address, TemplateCopy, SettingsCopy, BudgetCopy, CapCopy),
    ],
    hears=[
        on(ChunkEnded, handlers.chunk_ended),
        *send_limits.budgets.hears(),
        on(AccountNoticed, handlers.account_noticed, ledger=True),
        *templates.hears(),
        *configured.hears(),
        # High-volume and slow events have a lane of their own, so that a pause is not delayed by them.
        on(MessageChanged, handlers.message_changed, message_class=MessageClass.BULK, lane="counts"),
        on(PermissionChanged, handlers.keep_permission, lane=planning.PEOPLE),
        *send_limits.caps.hears(lane=planning.PEOPLE),
        on(PlanAsked, planning.plan_next, lane="plan", ledger=True),
        on(ReportAsked, handlers.report_asked, lane="plan"),
        # A job starts in the lane where it was planned, not behind the chunks of running jobs.
        on(JobChanged, handlers.job_changed, lane="plan"),
    ],
    says=[JobChanged, ChunkReleased, ChunkCalledBack, PlanAsked, ReportAsked, ReportWritten, DriftFound],
    serves=http.router,
    every=[every(ticks.TICK_SECONDS, ticks.look_after), every(ticks.AUDIT_SECONDS, ticks.audit)],
    needs=[Bucket(BUCKET, days=90)],
)
