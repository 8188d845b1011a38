"""Synthetic people for bulk jobs: synthetic numbers and addresses.

Phone numbers come from ranges that are reserved for fiction: 555-0100 to 555-0199 of each North American area code (80,000
over all that could exist), then the French ones for films (60,000). They pass for possible numbers, which is what an import
checks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from libs.common.bus.encoding import pack
from libs.common.declare.event import following, root_cause
from libs.messaging.channels import Channel
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.permission import Permission

_NANP = 80_000
#: Arcep's numbers for audiovisual works: 10,000 behind each.
_FICTION_RANGES = ("19900", "26191", "35301", "46571", "53649", "63998")
MAX_RECIPIENTS = _NANP + 10_000 * len(_FICTION_RANGES) - 100
#: 202-555-01xx are left out: the simulator's own numbers and those with fates of their own.
_LEFT_OUT = range((202 - 200) * 100, (203 - 200) * 100)


def phone(n: int) -> str:
    """The ``n``-th number, from 0; there are :data:`MAX_RECIPIENTS`."""
    if n >= _LEFT_OUT.start:
        n += len(_LEFT_OUT)
    if n < _NANP:
        return f"+1{200 + n // 100}555{100 + n % 100:04d}"
    area, rest = divmod(n - _NANP, 10_000)
    return f"+33{_FICTION_RANGES[area]}{rest:04d}"


def contact_id(n: int) -> str:
    return f"person-{n:07d}"


def csv(count: int) -> Iterator[str]:
    """The lines of a file of these people."""
    yield "Phone,First name,Order"
    for n in range(count):
        yield f"{phone(n)},Person {n},A-{n}"


def permissions(count: int, per_body: int = 100) -> Iterator[tuple[dict[str, str], str]]:
    """The events of ``contacts`` for people with consent on WhatsApp: ``(attributes, body)``, many to a body."""
    now = datetime.now(UTC)
    for at in range(0, count, per_body):
        said = []
        for n in range(at, min(at + per_body, count)):
            standing = Permission(
                contact_id=contact_id(n), channel=Channel.WHATSAPP, revision=1, address=phone(n), name=f"Person {n}",
                opted_in=True, consent_id=f"demo-{n}",
            )  # fmt: skip
            event = PermissionChanged(contact_id=contact_id(n), channel=Channel.WHATSAPP, standing=standing)
            said += following(root_cause("demo", str(n)), [event], source="contacts", now=now)
        for message in pack(said)[0]:
            yield message.attributes, message.body


def publish(sns: Any, topic_arn: str, count: int) -> None:
    """Publish the permissions of these people, as ``contacts`` does."""
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
