"""Synthetic people for bulk jobs: numbers and addresses that belong to nobody.

Phone numbers come from ranges that are reserved for fiction: 555-0100 to 555-0199 of each North American area code (80,000
over all that could exist), then Ofcom's numbers for drama (1,000 in each of the areas named below). They pass for possible
numbers, which is what an import checks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from libs.common.event import following, pack, root_cause
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Standing
from libs.messaging.words import Channel

_NANP = 80_000
#: Ofcom, "Numbers for use in TV and radio drama programmes".
_DRAMA = ("113496", "114496", "115496", "116496", "117496", "118496", "121496", "131496", "141496", "151496",
          "161496", "207946", "191498", "289649", "292018", "163296", "770090", "808157", "909879", "306999")  # fmt: skip
MOST = _NANP + 1000 * len(_DRAMA)
#: Numbers that the simulator treats in ways of their own (202-555-0180 to -0199) are left out.
_MAGIC = range((202 - 200) * 100 + 80, (202 - 200) * 100 + 100)


def phone(n: int) -> str:
    """The ``n``-th number, from 0; at most :data:`MOST` less the magic ones."""
    if n >= _MAGIC.start:
        n += len(_MAGIC)
    if n < _NANP:
        return f"+1{200 + n // 100}555{100 + n % 100:04d}"
    area, rest = divmod(n - _NANP, 1000)
    return f"+44{_DRAMA[area]}0{rest:03d}"[:13]


def contact_id(n: int) -> str:
    return f"person-{n:07d}"


def csv(count: int) -> Iterator[str]:
    """The lines of a file of these people."""
    yield "Phone,First name,Order"
    for n in range(count):
        yield f"{phone(n)},Person {n},A-{n}"


def permissions(count: int, per_body: int = 100) -> Iterator[tuple[dict[str, str], str]]:
    """What ``contacts`` would say of people who said yes on WhatsApp: ``(attributes, body)``, many to a body."""
    now = datetime.now(UTC)
    for at in range(0, count, per_body):
        said = []
        for n in range(at, min(at + per_body, count)):
            standing = Standing(
                contact_id=contact_id(n), channel=Channel.WHATSAPP, revision=1, address=phone(n), name=f"Person {n}",
                opted_in=True, consent_id=f"demo-{n}",
            )  # fmt: skip
            event = PermissionChanged(contact_id=contact_id(n), channel=Channel.WHATSAPP, standing=standing)
            said += following(root_cause("demo", str(n)), [event], source="contacts", now=now)
        for attributes, body, _ in pack(said):
            yield attributes, body


def publish(sns: Any, topic_arn: str, count: int) -> None:
    """Tell every service of these people, as ``contacts`` does."""
    entries: list[dict[str, Any]] = []
    for n, (attributes, body) in enumerate(permissions(count)):
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        entries.append({"Id": str(n), "Message": body, "MessageAttributes": typed})
        if sum(len(entry["Message"]) for entry in entries) > 150_000:
            _send(sns, topic_arn, entries)
            entries = []
    if entries:
        _send(sns, topic_arn, entries)


def _send(sns: Any, topic_arn: str, entries: list[dict[str, Any]]) -> None:
    answer = sns.publish_batch(TopicArn=topic_arn, PublishBatchRequestEntries=entries)
    if answer.get("Failed"):
        raise RuntimeError(json.dumps(answer["Failed"]))
