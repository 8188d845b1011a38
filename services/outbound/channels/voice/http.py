"""HTTP routes of ``/api/voice-calls``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from libs.common.aws.auth import Role
from libs.common.clock import Timestamp
from libs.common.declare.wire import PageView, View
from libs.common.errors import Problem
from libs.common.handle.context import Context
from libs.common.hosts.http.routes import Api, Cursor, Limit
from libs.messaging.vocabulary import Direction
from services.outbound.channels.voice.model import CallStatus, VoiceCall

router = Api()


class CallView(View):
    """One call. ``events``: the time of each event, by the provider's name for it."""

    call_id: str
    contact_id: str
    number: str | None = None
    caller: str | None = None
    provider: str
    provider_id: str
    type: str
    direction: Direction
    status: CallStatus
    duration_seconds: int | None = None
    minutes: int | None = None
    price: float | None = None
    started_at: Timestamp
    answered_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    events: dict[str, Timestamp]


class CallList(PageView[CallView]):
    pass


@router.read("GET", "/api/voice-calls", role=Role.VIEWER)
async def list_calls(
    ctx: Context,
    contact_id: Annotated[str | None, Query(alias="contactId", min_length=1, max_length=100)] = None,
    status: CallStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> CallList:
    """Lists calls, newest first: of a contact, with a status, or all. With both, ``status`` filters within the
    contact's page: it may be short or empty and still have a cursor."""
    if contact_id is not None:
        index, key = "by-contact", contact_id
    elif status is not None:
        index, key = "by-status", status.value
    else:
        index, key = "by-time", "all"
    page = await ctx.query(VoiceCall, key, index=index, limit=limit, cursor=cursor, newest_first=True)
    found = [call for call in page.items if status is None or call.status is status]
    return CallList(items=[CallView.model_validate(call) for call in found], cursor=page.cursor)


@router.read("GET", "/api/voice-calls/{call_id}", role=Role.VIEWER)
async def read_call(call_id: str, ctx: Context) -> CallView:
    """Returns one call, by the id of its message."""
    found = await ctx.get(VoiceCall, call_id)
    if found is None:
        raise Problem(404, "CALL_NOT_FOUND", "There is no such call", "It may be more than 90 days old.")
    return CallView.model_validate(found)
