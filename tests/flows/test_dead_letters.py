"""What died comes back: from a real dead-letter queue, through the workbench, to success; on real processes."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.smoke.client import Http, until
from deploy.smoke.platform import TEMPLATE, Platform
from libs.common.declare.discover import ROOT, discover
from libs.common.declare.event import Envelope, Event, following, root_cause
from libs.common.declare.topology import QueueSpec, topology
from libs.common.settings import Settings
from libs.messaging.channels import Channel
from libs.messaging.content import Text
from libs.messaging.events.bulk import PlanAsked
from libs.messaging.events.contacts import PermissionChanged
from libs.messaging.events.inbound import AccountNoticed, EmailStored, PreferenceChanged
from libs.messaging.events.messages import MessageChanged, MessageDeleted, MessageQueued
from libs.messaging.events.templates import SubmissionAsked
from libs.messaging.permission import Permission
from libs.messaging.vocabulary import Direction, MessageClass, Purpose, Status

SERVICES = discover()
WHOLE = topology(SERVICES, Settings().prefix)
CASES = ROOT / "services/inbound/channels/cases"
#: A message as its provider tells it, for each feed.
FEEDS = {
    "whatsapp": "whatsapp/eum-social.event.template_status.approved.json",
    "email": "email/ses.event.Delivery.json",
    "sms-voice": "sms-voice/sms.event.TEXT_DELIVERED.json",
    "sms-voice-inbound": "sms-voice-inbound/sms.inbound.text.json",
}
#: Who writes in the cases, and numbers that no other test writes to or from.
IN_THE_CASES, STRANGER, OTHER = "+12025550143", "+12065550188", "+12065550187"
MAIL = b"From: ann@example.com\r\nTo: us@example.com\r\nSubject: Hi\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
#: Without what was deferred: a receipt of nobody's message waits for one for a quarter of an hour.
DEPTHS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


class Queue:
    """One queue of the stack and its dead-letter queue, as an operator of AWS sees them."""

    def __init__(self, on: Platform, spec: QueueSpec) -> None:
        self.name = spec.name
        self._sqs = on.stack.client("sqs")
        self._url, self._dlq = (self._sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in (spec.name, spec.dlq))

    def put(self, body: str, attributes: dict[str, str]) -> None:
        """As its topic brings it."""
        self._send(self._url, body, attributes)

    def dead_letter(self, body: str, attributes: dict[str, str]) -> None:
        """As SQS's own redrive does it: the message as it was."""
        self._send(self._dlq, body, attributes)

    def _send(self, url: str, body: str, attributes: dict[str, str]) -> None:
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self._sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=typed)

    def dead_letter_all(self, texts: list[str]) -> None:
        """Move the messages in which these texts stand to the dead letters; whatever else is waiting stays."""
        left = set(texts)

        def moved() -> bool:
            reported = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
            )
            for message in reported.get("Messages", []):
                handle = message["ReceiptHandle"]
                found = {text for text in left if text in message["Body"]}
                if not found:
                    self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=handle, VisibilityTimeout=1)
                    continue
                attributes = {n: v["StringValue"] for n, v in message.get("MessageAttributes", {}).items()}
                self.dead_letter(message["Body"], attributes)
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=handle)
                left.difference_update(found)
            return not left

        until(f"{len(texts)} messages on {self.name}", moved)

    def empty(self) -> bool:
        reported = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=DEPTHS)["Attributes"]
        return not any(int(reported.get(name, 0)) for name in DEPTHS)


def queue(on: Platform, name: str) -> Queue:
    return Queue(on, next(spec for spec in WHOLE.queues if spec.name == f"{WHOLE.prefix}-{name}"))


def kept(on: Platform, text: str, count: int = 1) -> list[dict[str, Any]]:
    """The waiting letters in which the text stands."""

    def look() -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = on.viewer.get("/api/dlq", text=text, limit=100)["items"]
        return items if len(items) >= count else None

    found: list[dict[str, Any]] = until(f"{count} letters about {text}", look)
    return found


def replay(on: Platform, letters: list[str], rate: float = 50, **more: Any) -> dict[str, Any]:
    job: dict[str, Any] = on.operator.call(
        "POST", "/api/dlq/replay", {"ids": letters, "limit": len(letters), "rate": rate, **more}, expect=202
    )
    return job


def done(on: Platform, job: dict[str, Any]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        reported: dict[str, Any] = on.viewer.get(f"/api/dlq/jobs/{job['jobId']}")
        return reported if reported["state"] == "done" else None

    reported: dict[str, Any] = until("the replay to be done", look)
    return reported


def test_a_message_that_died_on_its_way_is_replayed_and_arrives_once(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    on.stack.kill("workers", signal.SIGKILL)
    message = str(on.send(contact, TEMPLATE)["messageId"])
    queue(on, "outbound-whatsapp-tx").dead_letter_all([message])
    on.stack.start("workers")
    (letter,) = kept(on, message)
    assert (letter["cause"], letter["eventType"], letter["messageId"]) == ("unhandled", "messages.queued.v1", message)
    until("the letter to know where its message stands", lambda: _standing(on, letter) == "queued")
    reported = on.viewer.call("POST", "/api/dlq/simulate", {"ids": [letter["dlqMessageId"]]})
    assert reported["outcomes"] == {"ready": 1}
    job = done(on, replay(on, [letter["dlqMessageId"]], why="the sender is back"))
    assert (job["sent"], job["skipped"]) == (1, 0)
    on.reaches(message, "read")
    assert len(on.accepted(message_id=message)) == 1
    shown = on.viewer.get(f"/api/dlq/{letter['dlqMessageId']}")
    assert (shown["state"], shown["history"][0]["why"]) == ("replayed", "the sender is back")


def _standing(on: Platform, letter: dict[str, Any]) -> str | None:
    status: str | None = on.viewer.get(f"/api/dlq/{letter['dlqMessageId']}")["message"].get("status")
    return status


def test_a_message_whose_contact_said_stop_since_it_died_is_foreseen_and_not_sent(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    on.stack.kill("workers", signal.SIGKILL)
    message = str(on.send(contact, TEMPLATE)["messageId"])
    queue(on, "outbound-whatsapp-tx").dead_letter_all([message])
    on.stack.start("workers")
    (letter,) = kept(on, message)
    on.writes_in(phone, "STOP")
    ask = {"ids": [letter["dlqMessageId"]]}
    until("the refusal to be foreseen", lambda: _refusals(on, ask) == {"opted_out": 1})
    done(on, replay(on, ask["ids"]))
    on.reaches(message, "suppressed")
    assert on.accepted(message_id=message) == []


def _refusals(on: Platform, ask: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = on.viewer.call("POST", "/api/dlq/simulate", ask)["refusals"]
    return found


@pytest.mark.timeout(300)  # what a killed process had taken is hidden for 30 s, twice
def test_a_replayer_that_is_killed_midway_loses_no_letter_and_sends_none_twice(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", channel="sms")
    text = {"kind": "text", "body": "Your parcel is here."}
    # Whoever kills the replayer kills the senders with it; of this class, what they leave uncertain is settled by itself.
    how = {"channel": "sms", "messageClass": "transactional"}
    on.reaches(on.send_when_known(contact, text, **how), "delivered")
    on.stack.kill("workers", signal.SIGKILL)
    messages = [str(on.send(contact, text, **how)["messageId"]) for _ in range(8)]
    queue(on, "outbound-sms-tx").dead_letter_all(messages)
    on.stack.start("workers")
    letters = [letter["dlqMessageId"] for letter in kept(on, contact, len(messages))]
    jobs = [replay(on, letters, rate=2) for _ in range(2)]
    paths = [f"/api/dlq/jobs/{job['jobId']}" for job in jobs]
    until("some to be sent", lambda: sum(on.viewer.get(path)["sent"] for path in paths) >= 3)
    on.stack.kill("workers", signal.SIGKILL)
    on.stack.start("workers")
    ended = [done(on, job) for job in jobs]
    assert sum(job["sent"] for job in ended) == len(messages)
    for message in messages:
        on.reaches(message, "delivered")
        assert len(on.accepted(message_id=message)) == 1


@pytest.fixture
def mail(on: Platform) -> Iterator[EmailStored]:
    """An e-mail that lies in our bucket."""
    s3 = on.stack.client("s3")
    bucket = next(name for name, _ in WHOLE.buckets if name.startswith(f"{WHOLE.prefix}-inbound"))
    key = f"test/{uuid.uuid4().hex}"
    s3.put_object(Bucket=bucket, Key=key, Body=MAIL)
    reported = json.loads((CASES / "email/ses.inbound.Received.s3-action.json").read_text())
    yield EmailStored(email_id=uuid.uuid4().hex, bucket=bucket, key=key, notification=reported)
    s3.delete_object(Bucket=bucket, Key=key)


def _heard(spec: QueueSpec, mail: EmailStored, stranger: str) -> Event:
    """An event that this queue's service hears there, about a contact and a job that nobody knows: handling it ends well and
    writes to nobody."""
    channel = next((c for c in Channel if f"-outbound-{c}" in spec.name), Channel.WHATSAPP)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    classes = {"otp": MessageClass.OTP, "tx": MessageClass.TRANSACTIONAL, "bulk": MessageClass.BULK}
    if spec.service.startswith("outbound") and spec.lane in classes:
        return MessageQueued(
            message_id=stranger, contact_id=stranger, channel=channel, message_class=classes[spec.lane],
            purpose=Purpose.SERVICE, content=Text(body="Hello"), queued_at=hour_ago,
            expires_at=hour_ago + timedelta(hours=24),
        )  # fmt: skip
    standing = Permission(contact_id=stranger, channel=channel, revision=1)
    by_queue: dict[str, Event] = {
        "bulk": AccountNoticed(channel=channel, kind="error", account=stranger),
        "bulk-plan": PlanAsked(job_id=stranger, part=0),
        "bulk-counts": MessageChanged(
            message_id=stranger, contact_id=stranger, channel=channel, message_class=MessageClass.BULK,
            direction=Direction.OUTBOUND, status=Status.SENT, at=hour_ago, job_id=stranger,
        ),
        "contacts": PreferenceChanged(
            channel=channel, address="+12025550189", scope="marketing", wanted=False, at=hour_ago
        ),
        "inbound": mail,
        "media": MessageDeleted(message_id=stranger, contact_id=stranger, channel=channel, at=hour_ago),
        "templates": SubmissionAsked(template_id=stranger, channel=channel, number=1),
    }  # fmt: skip
    usual = PermissionChanged(contact_id=stranger, channel=channel, standing=standing)
    return by_queue.get(spec.name.removeprefix(f"{WHOLE.prefix}-"), usual)


def _letter(spec: QueueSpec, mail: EmailStored) -> tuple[str, dict[str, str], str]:
    """Body, attributes, and a text that tells the letter."""
    stranger = f"stranger-{uuid.uuid4().hex[:12]}"
    if spec.feed:
        reported = json.loads((CASES / FEEDS[spec.feed]).read_text().replace(IN_THE_CASES, STRANGER))
        return json.dumps({**reported, "stranger": stranger}), {}, stranger
    event = _heard(spec, mail, stranger)
    now = datetime.now(UTC)
    envelope: Envelope = following(root_cause("test", stranger), [event], source="test", now=now)[0]
    return json.dumps(envelope.to_wire()), envelope.attributes(), envelope.id


def test_a_letter_of_every_queue_of_every_service_is_replayed_to_success(on: Platform, mail: EmailStored) -> None:
    before = len(on.simulator.get("/control/ledger")["entries"])
    reported: dict[str, str] = {}
    for spec in WHOLE.queues:
        body, attributes, text = _letter(spec, mail)
        queue(on, spec.name.removeprefix(f"{WHOLE.prefix}-")).dead_letter(body, attributes)
        reported[spec.name] = text
    letters = {}
    for name, text in reported.items():
        (letter,) = kept(on, text)
        assert letter["queue"] == name
        letters[name] = letter["dlqMessageId"]
    depths = {each["queue"]: each["waiting"] for each in on.viewer.get("/api/dlq/groups")["queues"]}
    assert all(depths[name] >= 1 for name in letters)
    done(on, replay(on, list(letters.values())))
    for spec in WHOLE.queues:
        until(f"{spec.name} to be empty", queue(on, spec.name.removeprefix(f"{WHOLE.prefix}-")).empty)
    states = {name: on.viewer.get(f"/api/dlq/{each}") for name, each in letters.items()}
    failed = {name: each["text"] for name, each in states.items() if each["state"] != "replayed"}
    assert failed == {}
    assert {each["queue"] for each in states.values()} == {spec.name for spec in WHOLE.queues}
    until("the customer's SMS to have arrived", lambda: _texts_of(on, STRANGER) == ["Where is my order?"])
    assert len(on.simulator.get("/control/ledger")["entries"]) == before


def _texts_of(on: Platform, phone: str) -> list[str]:
    """What somebody wrote to us, whom we may not know."""
    found = on.operator.get("/api/contacts/search", q=phone)["items"]
    return [message["content"]["body"] for each in found for message in on.inbound_of(each["contactId"])]


def test_an_event_that_nobody_could_read_is_put_right_by_an_admin_and_replayed_to_success(on: Platform) -> None:
    event = PreferenceChanged(channel=Channel.SMS, address=OTHER, scope="marketing", wanted=False, at=datetime.now(UTC))
    envelope: Envelope = following(root_cause("test", OTHER), [event], source="test", now=datetime.now(UTC))[0]
    wire = envelope.to_wire()
    wire["data"]["wanted"] = "perhaps"
    queue(on, "contacts").put(json.dumps(wire), envelope.attributes())
    (letter,) = kept(on, envelope.id)
    assert (letter["cause"], letter["service"]) == ("malformed", "contacts")
    ask = {"ids": [letter["dlqMessageId"]]}
    assert on.viewer.call("POST", "/api/dlq/simulate", ask)["outcomes"] == {"dies_again": 1}
    path = f"/api/dlq/{letter['dlqMessageId']}/edit"
    right = {"data": {**wire["data"], "wanted": False}, "why": "they said no"}
    on.operator.call("POST", path, right, expect=403)
    with Http(on.stack.api_url, on.stack.token("ADMIN")) as admin:
        admin.call("POST", path, right)
    assert on.viewer.call("POST", "/api/dlq/simulate", ask)["outcomes"] == {"ready": 1}
    done(on, replay(on, ask["ids"]))
    until("the contact to be known", lambda: on.operator.get("/api/contacts/search", q=OTHER)["items"])
    shown = on.viewer.get(f"/api/dlq/{letter['dlqMessageId']}")
    assert (shown["state"], shown["event"]["data"]["wanted"]) == ("replayed", "perhaps"), "the original is kept"
    assert [each["what"] for each in shown["history"]] == ["edited", "replayed"]
