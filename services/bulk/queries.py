"""Lists the recipients of a job, in pages."""

from __future__ import annotations

import re

from libs.common.errors import invalid
from libs.common.handle.context import Context
from libs.common.store.ops import BadCursor
from services.bulk.model import BulkJob
from services.bulk.running.counts import totals
from services.bulk.running.report import members, names
from services.bulk.running.status_string import STATUS_NAMES
from services.bulk.views import RecipientList, RecipientView, recipient_view

#: Maximum chunks read for one page of recipients.
MAX_CHUNKS = 20


async def list_recipients(
    job: BulkJob, status: str | None, limit: int, cursor: str | None, ctx: Context
) -> RecipientList:
    """Returns recipients in the order of the audience, optionally of one status only. Raises Problem, BadCursor."""
    if status is not None and status not in STATUS_NAMES:
        raise invalid("status", f"Use one of: {', '.join(STATUS_NAMES)}.")
    place, offset = _read_cursor(cursor)
    every = names(job)
    if status is not None:
        lines = (await totals(job, ctx)).lines
        wanted = {name for name in every if name in lines and lines[name][2].get(status)}
    found: list[RecipientView] = []
    looked = 0
    while place < len(every) and len(found) < limit and looked < MAX_CHUNKS:
        name = every[place]
        if status is not None and name not in wanted:
            place, offset = place + 1, 0
            continue
        looked += 1
        both = await members(job, name, ctx)
        chunk, rows = both if both else (None, [])
        for n in range(offset, len(rows)):
            if len(found) == limit:
                break
            assert chunk is not None
            view = recipient_view(job, chunk, rows[n], n)
            if status is None or view.status == status:
                found.append(view)
            offset = n + 1
        if offset >= len(rows):
            place, offset = place + 1, 0
    more = place < len(every)
    return RecipientList(items=found, cursor=f"{place}.{offset}" if more else None)


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    if not re.fullmatch(r"\d{1,8}\.\d{1,3}", cursor):
        raise BadCursor(cursor)
    place, _, offset = cursor.partition(".")
    return int(place), int(offset)
