"""One Describe for all resources: by name, by filter, in pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libs.simulator.sms_voice.errors import invalid, not_found

PAGE = 100


def member_of(filter_name: str, record: dict[str, Any]) -> Any:
    """`opt-out-list-name` -> record["OptOutListName"], also in the plural."""
    name = "".join(word.title() for word in filter_name.split("-"))
    for candidate in (name, name + "s", name.removesuffix("y") + "ies"):
        if candidate in record:
            return record[candidate]
    return None


def matches(record: dict[str, Any], filters: Iterable[dict[str, Any]]) -> bool:
    for wanted in filters:
        value = member_of(wanted["Name"], record)
        values = value if isinstance(value, list) else [value]
        # Booleans are filtered as the texts true and false.
        found = {str(v).lower() if isinstance(v, bool) else v for v in values}
        if found.isdisjoint(wanted["Values"]):
            return False
    return True


def describe(
    name: str,
    records: Iterable[dict[str, Any]],
    params: dict[str, Any],
    *,
    ids: list[str] | None = None,
    id_member: str = "",
    kind: str = "",
) -> dict[str, Any]:
    """`{name: [...], NextToken?}`; ids may be ARNs, an unknown one is a ResourceNotFoundException."""
    pool = list(records)
    if ids:
        by_id = {record[id_member]: record for record in pool}
        bare = [i.rpartition("/")[2] if i.startswith("arn:") else i for i in ids]
        for wanted in bare:
            if wanted not in by_id:
                raise not_found(kind, wanted)
        pool = [by_id[i] for i in bare]
    pool = [record for record in pool if matches(record, params.get("Filters", ()))]
    token = params.get("NextToken", "0")
    if not token.isdigit():
        raise invalid("INVALID_PARAMETER", "NextToken", "is not valid")
    start, size = int(token), int(params.get("MaxResults", PAGE))
    answer: dict[str, Any] = {name: pool[start : start + size]}
    if start + size < len(pool):
        answer["NextToken"] = str(start + size)
    return answer
