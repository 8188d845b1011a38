"""What is put on record: one entry for each mutation and each role breach, and the few facts of the platform's own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from libs.common.declare.ledger import LedgerEntry
from libs.common.declare.request_events import RequestHandled
from libs.common.store.ops import Delete
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.bulk import JobChanged
from libs.messaging.events.contacts import ConsentChanged
from libs.messaging.events.dlq import LetterDecided
from libs.messaging.events.identity import UserChanged, UserRemoved, UserStatus
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.events.templates import TemplateChanged
from libs.messaging.templates import TemplateState, TemplateStatus
from services.contacts.service import service as contacts
from tests.services.audit.kit import Record

PHONE, EMAIL, NAME = "+12025550177", "marked.person@example.com", "Marked Person"


async def test_a_request_is_one_entry_however_often_it_is_repeated_and_delivered(record: Record) -> None:
    http = record.world.http()
    for _ in range(3):
        await http.post("/api/toys", json={"name": "gil"}, headers={"Idempotency-Key": "k1"})
        await record.world.settle()
    (entry,) = await record.entries()
    assert (entry["kind"], entry["actor"], entry["role"]) == ("request", "user:test-operator", "OPERATOR")
    assert (entry["action"], entry["method"], entry["route"]) == ("toy.say_hello", "POST", "/api/toys")
    assert entry["facts"] == [{"type": "toy.counted.v1", "subject": "gil"}]
    assert await record.get(f"/{entry['logId']}") == entry


async def test_facts_that_come_in_any_order_are_kept_in_the_order_of_their_times(record: Record) -> None:
    await record.greets(*"abc")
    reported = record.world.said(RequestHandled)
    fresh = Record()
    async with fresh.world:
        for event in reversed(reported):
            await fresh.world.hear(event)
        assert [entry["facts"] for entry in await fresh.entries()] == [e["facts"] for e in await record.entries()]


async def test_a_key_that_is_used_again_after_its_ledger_row_has_gone_is_another_entry(record: Record) -> None:
    http = record.world.http()
    for _ in range(2):
        await http.post("/api/toys", json={"name": "gil"}, headers={"Idempotency-Key": "k1"})
        await record.world.settle()
        record.world.clock.advance(31 * 24 * 3600)
        gone = LedgerEntry.key("http#user:test-operator#say_hello#k1")
        await record.world.runtime.store.write(Delete("wecare-test-toy-ledger", gone))
    assert len(await record.entries()) == 2


async def test_a_role_breach_is_one_entry_and_other_refusals_are_none(record: Record) -> None:
    await record.greets("ann", role="VIEWER")
    http = record.world.http()
    assert (await http.post("/api/toys", json={})).status_code == 422
    assert (await http.post("/api/toys", json={"name": "nobody"})).status_code == 422
    assert (await record.world.http(None).post("/api/toys", json={"name": "ann"})).status_code == 401
    assert (await http.delete("/api/toys")).status_code == 405
    await record.world.settle()
    (entry,) = await record.entries()
    assert (entry["kind"], entry["role"], entry["needs"]) == ("refusal", "VIEWER", "OPERATOR")


async def test_who_may_not_read_the_record_is_on_record(record: Record) -> None:
    for role in ("VIEWER", "OPERATOR"):
        for path in ("", "/verify", "/some-entry"):
            assert (await record.world.http(role).get(f"/api/audit{path}")).status_code == 403
    assert (await record.world.http(None).get("/api/audit")).status_code == 401
    await record.world.settle()
    entries = await record.entries(kind="refusal")
    assert len(entries) == 6
    assert {entry["needs"] for entry in entries} == {"ADMIN"}


async def test_a_stop_is_one_entry_and_a_consent_by_request_is_the_requests_own() -> None:
    record = Record(contacts)
    async with record.world:
        api = record.world.http()
        made = await api.post("/api/contacts", json={"phone": PHONE, "name": NAME})
        contact = made.json()["contactId"]
        record.world.clock.advance(1)
        yes = {"optedIn": True, "how": "keyword", "words": "yes please"}
        assert (await api.put(f"/api/contacts/{contact}/consents/whatsapp", json=yes)).status_code == 200
        record.world.clock.advance(60)
        await record.world.hear(message(record.world, "STOP"))
        stop, consent, create = await record.entries(resource=contact)
        assert (create["action"], consent["action"]) == ("contacts.create_contact", "contacts.set_consent")
        assert (consent["before"]["optedIn"], consent["after"]["optedIn"]) == (False, True)
        assert consent["parameters"] == {"contact_id": contact, "channel": "whatsapp"}
        assert (stop["kind"], stop["action"], stop["after"]["optedIn"]) == ("fact", "contacts.consent_changed", False)
        assert not stop["actor"].startswith("user:")


def message(world: World, text: str) -> MessageReceived:
    return MessageReceived(
        message_id="m1", channel=Channel.WHATSAPP, provider_message_id="wamid.1", sender=PHONE, sender_name=NAME,
        to="+12025550199", content=Text(body=text), received_at=world.clock.now(),
    )  # fmt: skip


def job(record: Record, state: str) -> JobChanged:
    now = record.world.clock.now()
    return JobChanged(job_id="j1", channel=Channel.SMS, revision=4, state=state, name="x", at=now, why="brake: blocks")  # type: ignore[arg-type]


def template(status: TemplateStatus) -> TemplateChanged:
    state = TemplateState(
        template_id="whatsapp:promo:en_US", channel=Channel.WHATSAPP, name="promo", language="en_US", revision=3,
        status=status, reason="LOW_QUALITY", body="never on record",
    )  # fmt: skip
    return TemplateChanged(template_id=state.template_id, channel=state.channel, state=state)


async def test_what_stops_a_job_or_a_template_or_a_letter_by_itself_is_one_entry_each(record: Record) -> None:
    now = record.world.clock.now()
    letter = {"dlq_message_id": "d1", "by": "system:dlq-replay", "why": "died 5 times", "at": now, "queue": "q"}
    events: list[Any] = [
        job(record, "paused"),
        template(TemplateStatus.PAUSED),
        LetterDecided(decision="quarantined", **letter),
    ]
    for n, event in enumerate(events):
        for _ in range(2):
            await record.world.hear(event, key=f"same{n}")
    entries = await record.entries()
    assert {entry["action"]: (entry["resource"], entry["kind"], entry["actor"]) for entry in entries} == {
        "bulk.job_paused": ("j1", "fact", "test"),
        "templates.template_paused": ("whatsapp:promo:en_US", "fact", "test"),
        "dlq-replay.letter_quarantined": ("d1", "fact", "test"),
    }
    assert len(entries) == 3


async def test_a_role_given_by_another_way_than_ours_is_one_entry_and_ours_is_the_requests_own(record: Record) -> None:
    given = UserChanged(
        user_id="u1", email=EMAIL, revision=2, role="ADMIN", status=UserStatus.ACTIVE, role_before="VIEWER",
        status_before=UserStatus.ACTIVE,
    )  # fmt: skip
    gone = UserRemoved(user_id="u2", email=EMAIL, role_before="OPERATOR")
    for fact in (given, gone):
        await record.world.bus.publish([record.world.envelope(fact, actor="user:ann")])
        for _ in range(2):
            await record.world.hear(fact, key=fact.TYPE)
    removed, changed = sorted(await record.entries(), key=lambda entry: entry["action"], reverse=True)
    assert (changed["resource"], changed["after"]["role"], changed["after"]["roleBefore"]) == ("u1", "ADMIN", "VIEWER")
    assert (removed["action"], removed["resource"]) == ("identity.user_removed", "u2")
    assert EMAIL not in json.dumps([changed, removed])


async def test_what_a_request_led_to_later_is_not_laid_at_its_door(record: Record) -> None:
    said = record.world.envelope(job(record, "paused"), actor="user:ann")
    later = replace(said, causation_id="an event that followed from the request")
    await record.world.bus.publish([later])
    await record.world.settle()
    (entry,) = await record.entries()
    assert (entry["actor"], entry["correlationId"]) == ("system:bulk", said.correlation_id)


async def test_what_goes_its_way_or_was_asked_for_is_no_entry_of_its_own(record: Record) -> None:
    now = record.world.clock.now()
    letter = {"dlq_message_id": "d1", "by": "user:x", "at": now}
    await record.world.hear(
        job(record, "running"), job(record, "finished"), template(TemplateStatus.APPROVED),
        LetterDecided(decision="replayed", **letter), LetterDecided(decision="discarded", **letter),
    )  # fmt: skip
    consent = ConsentChanged(contact_id="c1", channel=Channel.SMS, opted_in=True, at=now, how="api", evidence_id="e")
    for said in (job(record, "paused"), template(TemplateStatus.REJECTED), consent):
        await record.world.bus.publish([record.world.envelope(said, actor="user:ann")])
    await record.world.settle()
    assert await record.entries() == []


async def test_nothing_personal_is_kept() -> None:
    record = Record(contacts)
    async with record.world:
        api, viewer = record.world.http(), record.world.http("VIEWER")
        key = {"Idempotency-Key": f"for {EMAIL}"}
        made = await api.post("/api/contacts", json={"phone": PHONE, "name": NAME, "email": EMAIL}, headers=key)
        path = f"/api/contacts/{made.json()['contactId']}"
        await api.put(path, json={"name": f"{NAME} Junior", "email": f"x.{EMAIL}"})
        await viewer.put(f"/api/contacts/{PHONE}", json={"name": NAME})
        await viewer.put(f"/api/contacts/{EMAIL}", json={"name": NAME})
        await api.put(f"{path}/consents/email", json={"optedIn": True, "how": f"{EMAIL} wrote", "words": f"I, {NAME}"})
        await api.delete(path)
        await record.world.settle()
        await record.links()
        await record.admin.post("/api/audit/exports", json={})
        await record.world.settle()
        entries = await record.entries()
        assert len([entry for entry in entries if entry["kind"] == "request"]) == 5
        assert next(
            each for each in entries if each["action"] == "contacts.update_contact" and each["kind"] == "request"
        )["after"] == {"changed": ["email", "name"]}
        kept = json.dumps([entries, [str(data) for data, _ in record.world.files.objects.values()]])
        kept += json.dumps(
            [list(rows.values()) for name, rows in record.world.store._rows.items() if "-audit-" in name]
        )
        for marked in (PHONE, PHONE[1:], EMAIL, NAME, "I, Marked"):
            assert marked not in kept
