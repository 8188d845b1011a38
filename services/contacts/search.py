"""Searches contacts by the beginning of a name, number or address. The cost of a page does not depend on its
position."""

from __future__ import annotations

import asyncio

from libs.common.errors import Problem
from libs.common.handle.context import Context, Page
from services.contacts.model import LISTED, Contact, SearchTerm
from services.contacts.search_terms import MIN_TERM_LENGTH, SearchQuery, parse_query

#: Maximum number of queries per page: a query of several words reads past rows that do not match, and the page is then
#: short.
MAX_QUERIES = 5


async def search_contacts(q: str, limit: int, cursor: str | None, ctx: Context) -> Page[Contact]:
    """Returns one page in the order of the matched word; it may be short and still have a cursor. Raises Problem,
    BadCursor."""
    wanted = parse_query(q)
    if wanted is None:
        detail = f"Give at least {MIN_TERM_LENGTH} characters of a name, number or address."
        raise Problem(422, "QUERY_TOO_SHORT", "There is too little to look for", "", [{"field": "q", "detail": detail}])
    found: list[SearchTerm] = []
    for _ in range(MAX_QUERIES):
        page = await ctx.query(
            SearchTerm,
            SearchTerm.bucket_of(wanted.kind, wanted.term),
            prefix=wanted.term,
            limit=limit - len(found),
            cursor=cursor,
        )
        found += [row for row in page.items if _fits(row, wanted)]
        cursor = page.cursor
        if cursor is None or len(found) == limit:
            break
    contacts = await asyncio.gather(*(ctx.get(Contact, row.contact_id) for row in found))
    return Page([contact for contact in contacts if contact and contact.deleted_at is None], cursor)


async def list_contacts(limit: int, cursor: str | None, ctx: Context) -> Page[Contact]:
    """Lists all contacts that are not deleted, newest first."""
    return await ctx.query(Contact, LISTED, index="by-creation", limit=limit, cursor=cursor, newest_first=True)


def _fits(row: SearchTerm, wanted: SearchQuery) -> bool:
    """Whether the other words match and this is the first matching term of the contact: a contact with two is returned
    once."""
    first = min((term for term in row.siblings if term.startswith(wanted.term)), default=None)
    return row.term == first and all(any(term.startswith(prefix) for term in row.siblings) for prefix in wanted.rest)
