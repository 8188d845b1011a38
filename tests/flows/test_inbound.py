"""From the provider's event to the stored message, the conversation and the consent."""

from __future__ import annotations

import json
import time

from deploy.smoke.client import Failed, until
from deploy.smoke.platform import TEMPLATE, Platform

REPLY = {"kind": "text", "body": "On its way."}


def _contact_of(on: Platform, phone: str) -> str:
    def look() -> str | None:
        found = on.operator.get("/api/contacts/search", q=phone)["items"]
        return str(found[0]["contactId"]) if found else None

    return str(until("the contact", look))


def test_a_message_that_comes_three_times_is_one_message_of_one_contact(on: Platform, phone: str) -> None:
    on.writes_in(phone, "Hello?", times=3)
    contact = _contact_of(on, phone)
    until("the message", lambda: on.inbound_of(contact))
    on.writes_in(phone, "Anybody there?")
    until("the second message", lambda: len(on.inbound_of(contact)) == 2)
    found = on.operator.get("/api/contacts/search", q=phone)["items"]
    assert [c["contactId"] for c in found] == [contact]


def test_a_stranger_who_writes_can_be_answered_and_has_not_opted_in_to_marketing(on: Platform, phone: str) -> None:
    on.writes_in(phone, "Hello?")
    contact = _contact_of(on, phone)

    def reply() -> str | None:
        try:
            return str(on.send(contact, REPLY, messageClass="reply")["messageId"])
        except Failed:
            return None

    message = until("the window to be open", reply)
    on.reaches(message, "read")
    refused = on.send(contact, TEMPLATE, purpose="marketing", expect=422)
    assert refused["code"] == "NO_CONSENT"


def test_stop_wins_and_start_opens_again(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    on.writes_in(phone, "  stop! ")

    def effective() -> object:
        evidence = on.operator.get(f"/api/contacts/{contact}/consents")["evidence"]
        return next((e for e in evidence if not e["optedIn"] and e.get("effectiveAt")), None)

    until("the opt-out to be effective", effective)
    before = _templates(on, phone)

    def refused() -> bool:
        try:
            return bool(on.send(contact, TEMPLATE, expect=422)["code"] == "OPTED_OUT")
        except Failed:
            return False

    until("the refusal", refused)
    # WhatsApp's times are whole seconds, and within one second STOP wins.
    second = int(time.time())
    until("the next second", lambda: int(time.time()) > second)
    on.writes_in(phone, "START")
    message = until("consent to be back", lambda: _try(on, contact))
    on.reaches(message, "read")
    assert _templates(on, phone) == before + 1


def _templates(on: Platform, phone: str) -> int:
    """How many messages of ours were accepted, without the answers to STOP and START."""
    return sum(entry["kind"] == "template" for entry in on.accepted(to=phone))


def _try(on: Platform, contact: str) -> str | None:
    try:
        return str(on.send(contact, TEMPLATE)["messageId"])
    except Failed:
        return None


def test_what_cannot_be_read_is_dead_lettered_with_its_cause_and_its_neighbours_go_through(
    on: Platform, phone: str
) -> None:
    topic = _feed_topic(on)
    for bad in ("not json", json.dumps({"whatsAppWebhookEntry": "{"}), json.dumps({"something": "else"})):
        on.simulator.call("POST", "/control/emit", {"topic": topic, "message": bad})
    on.writes_in(phone, "I am fine")
    contact = _contact_of(on, phone)
    until("the neighbour", lambda: on.inbound_of(contact))

    def letters() -> list[dict[str, str]] | None:
        query = {"queue": "inbound-feed-whatsapp", "cause": "malformed"}
        found: list[dict[str, str]] = on.viewer.get("/api/dlq", **query)["items"]
        return found if len(found) >= 3 else None

    found = until("three dead letters", letters)
    assert all(letter["text"] for letter in found)


def _feed_topic(on: Platform) -> str:
    topics = on.stack.client("sns").list_topics()["Topics"]
    return next(t["TopicArn"] for t in topics if t["TopicArn"].endswith("feed-whatsapp"))


def test_receipts_shuffled_and_doubled_never_move_a_status_back(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.simulator.call("PATCH", "/control/behaviour", {"delay_ms": [10, 300], "duplicate": 3, "shuffle": True})
    messages = [on.send_when_known(contact, TEMPLATE) for _ in range(3)]
    for message in messages:
        on.reaches(message, "read")
    until("quiet carriers", lambda: not on.simulator.get("/control/events/pending")["pending"])
    assert {on.status(message) for message in messages} == {"read"}


def test_receipts_without_our_id_are_matched_by_the_providers(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.simulator.call("PATCH", "/control/behaviour", {"echo_callback_data": False})
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
