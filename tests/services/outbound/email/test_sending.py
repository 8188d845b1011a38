"""The sender of e-mail against the carrier simulator over HTTP, with contacts, the public entry points and the send ledger around it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.aws.clients import Aws
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Content, Email, File
from libs.messaging.events.contacts import ContactWroteIn, OptOutEffective
from libs.messaging.events.inbound import Unsubscribed
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import DeliveryChanged
from libs.messaging.settings import Identity, Senders
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from services.contacts.service import service as contacts
from services.inbound.service import service as inbound
from services.outbound.channels.email import quota
from services.outbound.channels.email.service import service as sender
from services.outbound.limits.rates import RateLimitTracker

ADDRESS = "alex@example.com"
SET = "wecare-test"
NAME = "outbound-email"
TEXT = Email(subject="Your order", text="It has shipped.")


class Post:
    """A platform that sends e-mail, and the provider's own ledger."""

    def __init__(self, world: World, simulator: Simulator) -> None:
        self.world = world
        self.simulator = simulator
        self.api = world.http("ADMIN")
        self._n = 0

    async def contact(self, address: str = ADDRESS, opted_in: bool = True) -> str:
        made = await self.api.post("/api/contacts", json={"name": "Alex", "email": address})
        contact_id = str(made.json()["contactId"])
        if opted_in:
            await self.api.put(f"/api/contacts/{contact_id}/consents/email", json={"optedIn": True})
        await self.world.settle()
        return contact_id

    async def send(
        self,
        contact_id: str,
        content: Content = TEXT,
        message_class: MessageClass = MessageClass.TRANSACTIONAL,
        purpose: Purpose = Purpose.SERVICE,
        sender: str | None = None,
        job_id: str | None = None,
    ) -> str:
        self._n += 1
        now = self.world.clock.now()
        message = MessageQueued(
            message_id=f"m{self._n}",
            contact_id=contact_id,
            channel=Channel.EMAIL,
            message_class=message_class,
            purpose=purpose,
            sender=sender,
            job_id=job_id,
            content=content,
            queued_at=now,
            expires_at=now + Channel.EMAIL.traits.policies[message_class].time_to_live,
        )
        await self.world.hear(message)
        return message.message_id

    def accepted(self, message_id: str) -> list[dict[str, Any]]:
        return [entry.payload for entry in self.simulator.core.ledger.by_id.get(message_id, [])]

    def statuses(self, message_id: str) -> list[Status]:
        return [said.status for said in self.world.said(DeliveryChanged) if said.message_id == message_id]

    def last(self, message_id: str) -> DeliveryChanged:
        return [said for said in self.world.said(DeliveryChanged) if said.message_id == message_id][-1]


@pytest.fixture
async def post(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    settings = Settings(
        stage="test",
        send_mode="LIVE",
        public_url="https://wecare.example.com",
        senders={
            "email": Senders(
                identities=(Identity(id=demo.EMAIL_SENDER), Identity(id=demo.EMAIL_SUPPORT)),
                parameters={"configurationSet": SET},
            )
        },
    )
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    async with (
        Simulator(SimulatorSettings(seed="1", grace_s=0)) as simulator,
        Aws(environment={**keys, "AWS_ENDPOINT_URL_SESV2": simulator.url}) as aws,
        World([sender, contacts, inbound], settings=settings, aws=aws, times=2) as world,
    ):
        client = await aws.client("sesv2")
        await client.create_configuration_set(ConfigurationSetName=SET)
        yield Post(world, simulator)


async def test_a_mail_of_a_job_names_it_and_has_a_way_out(post: Post) -> None:
    contact = await post.contact()
    message = await post.send(contact, message_class=MessageClass.BULK, job_id="job-7")
    (request,) = post.accepted(message)
    assert {tag["Name"]: tag["Value"] for tag in request["EmailTags"]} == {
        "messageId": message, "class": "bulk", "jobId": "job-7"
    }  # fmt: skip
    assert way_out(request)


async def test_a_mail_is_sent_once_and_named(post: Post) -> None:
    message = await post.send(await post.contact())
    (request,) = post.accepted(message)
    assert request["EmailTags"][0] == {"Name": "messageId", "Value": message}
    assert (request["FromEmailAddress"], request["ConfigurationSetName"]) == (demo.EMAIL_SENDER, SET)
    assert "Headers" not in request["Content"]["Simple"]
    assert post.statuses(message) == [Status.SENT]


# -- the way out -----------------------------------------------------------------------------------


def way_out(request: dict[str, Any]) -> str:
    """The path of the one-click link."""
    headers = {h["Name"]: h["Value"] for h in request["Content"]["Simple"]["Headers"]}
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.fullmatch(r"<https://wecare\.example\.com(/u/[A-Za-z0-9._-]+)>", headers["List-Unsubscribe"])
    assert found
    return found.group(1)


async def marketed(post: Post) -> tuple[str, str]:
    contact = await post.contact()
    message = await post.send(contact, purpose=Purpose.MARKETING)
    (request,) = post.accepted(message)
    return contact, way_out(request)


FORM = {"List-Unsubscribe": "One-Click"}


@pytest.mark.parametrize("kind", ["data", "files"])
async def test_one_click_unsubscribes_in_both_encodings_and_the_sender_obeys(post: Post, kind: str) -> None:
    contact, path = await marketed(post)
    form: dict[str, Any] = {"data": FORM} if kind == "data" else {"files": {"List-Unsubscribe": (None, "One-Click")}}
    answer = await post.world.http(None).post(path, **form)
    assert (answer.status_code, answer.history) == (200, [])
    await post.world.settle()
    consents = (await post.api.get(f"/api/contacts/{contact}/consents")).json()
    assert consents["consents"]["email"]["optedIn"] is False
    (evidence,) = [each for each in consents["evidence"] if not each["optedIn"]]
    assert (evidence["how"], evidence["who"], evidence["messageId"]) == ("one-click", "customer", "m1")
    assert len(post.world.said(OptOutEffective)) == 1
    after = await post.send(contact, purpose=Purpose.MARKETING)
    await post.world.advance(15, step=1)
    assert post.accepted(after) == []
    assert post.statuses(after) == [Status.SUPPRESSED]


async def test_opening_the_link_shows_a_button_and_changes_nothing(post: Post) -> None:
    contact, path = await marketed(post)
    for _ in range(3):
        answer = await post.world.http(None).get(path)
        assert answer.status_code == 200
        assert '<form method="post">' in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    await post.world.settle()
    assert post.world.said(Unsubscribed) == []
    found = (await post.api.get(f"/api/contacts/{contact}")).json()
    assert found["consents"]["email"]["optedIn"] is True


async def test_the_button_may_be_pressed_again_and_works_again_after_a_new_yes(post: Post) -> None:
    contact, path = await marketed(post)
    for _ in range(4):
        assert (await post.world.http(None).post(path, data=FORM)).status_code == 200
        post.world.clock.advance(3)
    await post.world.settle()
    history = (await post.api.get(f"/api/contacts/{contact}/consents")).json()["evidence"]
    assert len([each for each in history if not each["optedIn"]]) == 1
    await post.api.put(f"/api/contacts/{contact}/consents/email", json={"optedIn": True})
    post.world.clock.advance(5)
    assert (await post.world.http(None).post(path, data=FORM)).status_code == 200
    await post.world.settle()
    assert (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]["optedIn"] is False


@pytest.mark.parametrize(
    "body", [{}, {"List-Unsubscribe": "No"}, {"x": "One-Click"}, {"List-Unsubscribe": ["One-Click", "x"]}]
)
async def test_a_form_that_does_not_say_one_click_changes_nothing(post: Post, body: dict[str, Any]) -> None:
    _, path = await marketed(post)
    answer = await post.world.http(None).post(path, data=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
    assert post.world.said(Unsubscribed) == []


async def test_a_token_that_is_not_ours_opens_nothing(post: Post) -> None:
    _, path = await marketed(post)
    token = path.removeprefix("/u/")
    head, _, tail = token.partition(".")
    changed = [
        head,
        f"{head}.",
        f".{tail}",
        f"{head[:-2]}AA.{tail}",
        f"{head}.{tail[:-2]}AA",
        "x" * 5000,
        f"{token}.x",
        "ü.ü",
    ]
    for wrong in changed:
        for method in ("GET", "POST"):
            answer = await post.world.http(None).request(method, f"/u/{wrong}", data=FORM if method == "POST" else None)
            assert answer.status_code == 404, wrong
    post.world.secrets.values["wecare-test/inbound/unsubscribe-keys"] = "another-key"
    assert (await post.world.http(None).post(path, data=FORM)).status_code == 404
    assert post.world.said(Unsubscribed) == []


async def test_a_new_key_in_front_keeps_old_links_alive(post: Post) -> None:
    _, path = await marketed(post)
    name = "wecare-test/inbound/unsubscribe-keys"
    post.world.secrets.values[name] = f"new-key {await post.world.secrets.get(name)}"
    assert (await post.world.http(None).get(path)).status_code == 200


# -- bounces and complaints ------------------------------------------------------------------------


async def test_a_hard_bounce_suppresses_until_an_administrator_says_why_not(post: Post) -> None:
    address = ADDRESS  # without a fate at the simulator, whose own bounce would come in between
    contact = await post.contact(address)
    await post.send(contact)
    bounce = {
        "eventType": "Bounce",
        "mail": {"messageId": "0100-1", "timestamp": "2026-01-15T12:00:00Z", "destination": [address]},
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "timestamp": "2026-01-15T12:00:01Z",
                   "bouncedRecipients": [{"emailAddress": address.upper(), "status": "5.1.1"}]},
    }  # fmt: skip
    await post.world.feed("email", bounce)
    seen = (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]
    assert (seen["suppressed"], seen["optedIn"]) == ("hard_bounce", True)
    refused = await post.send(contact)
    assert post.last(refused).error_code == "suppressed"

    path = f"/api/contacts/{contact}/suppressions/email"
    assert (await post.world.http("OPERATOR").delete(path, params={"reason": "x"})).status_code == 403
    for reason in (None, "", "  "):
        answer = await post.api.delete(path, params={"reason": reason} if reason is not None else None)
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")
        assert answer.json()["errors"][0]["field"] == "reason"
    client = await post.world.aws.client("sesv2")
    await client.put_suppressed_destination(EmailAddress=address, Reason="BOUNCE")
    post.world.clock.advance(60)
    lifted = await post.api.delete(path, params={"reason": "They have a new mailbox; confirmed by phone."})
    assert lifted.status_code == 200, lifted.text
    await post.world.settle()
    assert "suppressed" not in lifted.json()["consents"]["email"]
    with pytest.raises(client.exceptions.NotFoundException):
        await client.get_suppressed_destination(EmailAddress=address)

    # Another report of the same time is from before.
    other = {"messageId": "0100-2", "timestamp": "2026-01-15T12:00:00Z"}
    await post.world.feed("email", {**bounce, "mail": other})
    again = await post.send(contact)
    assert post.statuses(again) == [Status.SENT]
    assert (await post.api.delete(path, params={"reason": "again"})).json()["code"] == "NOT_SUPPRESSED"


async def test_what_bounced_for_a_while_or_nobody_knows_why_suppresses_nobody(post: Post) -> None:
    contact = await post.contact()
    for kind in ("Transient", "Undetermined"):
        reported = {
            "eventType": "Bounce",
            "mail": {"messageId": f"0100-{kind}", "timestamp": "2026-01-15T12:00:00Z"},
            "bounce": {
                "bounceType": kind,
                "bounceSubType": "General",
                "bouncedRecipients": [{"emailAddress": ADDRESS}],
            },
        }
        await post.world.feed("email", reported)
    assert "suppressed" not in (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]


async def test_a_new_address_is_not_suppressed_for_what_the_old_one_did(post: Post) -> None:
    contact = await post.contact()
    complaint = {
        "eventType": "Complaint",
        "mail": {"messageId": "0100-1", "timestamp": "2026-01-15T12:00:00Z"},
        "complaint": {"complainedRecipients": [{"emailAddress": ADDRESS}], "complaintFeedbackType": "abuse"},
    }
    await post.world.feed("email", complaint)
    seen = (await post.api.get(f"/api/contacts/{contact}")).json()
    assert seen["consents"]["email"]["suppressed"] == "complaint"
    changed = await post.api.put(f"/api/contacts/{contact}", json={"email": "new@example.com"})
    assert "suppressed" not in changed.json()["consents"]["email"]
    await post.world.feed("email", {**complaint, "mail": {**complaint["mail"], "messageId": "0100-2"}})  # type: ignore[dict-item]
    assert "suppressed" not in (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]


# -- somebody answers ------------------------------------------------------------------------------


def mail(text: str, subject: str = "Re: Your order", **headers: str) -> dict[str, Any]:
    lines = [
        f"{name.replace('_', '-')}: {value}" for name, value in {"From": ADDRESS, "Subject": subject, **headers}.items()
    ]
    content = "\n".join([*lines, "", text])
    return {
        "notificationType": "Received",
        "mail": {"messageId": f"in-{abs(hash(content))}", "timestamp": "2026-01-15T12:30:00Z", "source": ADDRESS},
        "receipt": {"recipients": ["support@mail.example.com"], "action": {"type": "SNS", "encoding": "UTF-8"}},
        "content": content,
    }


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop\n\n-- \nAlex", "Stop.\n\nOn Tue, 1 Sep 2026, Store <news@mail.example.com> wrote:\n> 10% off",
     "UNSUBSCRIBE\n\n-----Original Message-----\nFrom: x", "Abmelden\n\nAm 1.9.2026 um 12:00 schrieb Store:\n> Hallo",
     "STOP\n\nOn Tue, 1 Sep 2026 at 12:00, Example Store\n<news@mail.example.com> wrote:\n> x"],
)  # fmt: skip
async def test_an_answer_that_says_stop_above_the_quote_opts_out(post: Post, text: str) -> None:
    contact = await post.contact()
    await post.world.feed("email", mail(text))
    found = (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]
    assert found["optedIn"] is False
    assert found["effectiveAt"]


@pytest.mark.parametrize(
    "text", ["Please stop by tomorrow", "Thanks!\n\nOn Tue, Store wrote:\n> STOP", "Fine.\n> STOP"]
)
async def test_a_stop_inside_a_sentence_or_a_quote_does_not(post: Post, text: str) -> None:
    contact = await post.contact()
    await post.world.feed("email", mail(text))
    assert (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]["optedIn"] is True


async def test_an_absence_note_is_no_consent_to_an_answer(post: Post) -> None:
    contact = await post.contact(opted_in=False)
    await post.world.feed("email", mail("I am away.", Auto_Submitted="auto-replied"))
    assert (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]["optedIn"] is False
    await post.world.feed("email", mail("I am back, where is my order?"))
    assert (await post.api.get(f"/api/contacts/{contact}")).json()["consents"]["email"]["optedIn"] is True
    assert len(post.world.said(ContactWroteIn)) == 2


# -- attachments -----------------------------------------------------------------------------------

BUCKET = "wecare-test-media-files"


def with_file(url: str) -> Email:
    return Email(subject="Invoice", text="See attached.", attachments=[File(url=url, content_type="application/pdf")])


async def test_an_attachment_of_ours_goes_along(post: Post) -> None:
    await post.world.files.put(BUCKET, "a/invoice.pdf", b"%PDF-1.7", "application/pdf")
    message = await post.send(await post.contact(), with_file(f"s3://{BUCKET}/a/invoice.pdf"))
    (request,) = post.accepted(message)
    assert "Raw" in request["Content"]
    assert post.statuses(message) == [Status.SENT]


@pytest.mark.parametrize(
    "url",
    [
        f"s3://{BUCKET}/gone.pdf",
        "s3://somebody-elses/a.pdf",
        f"s3://{BUCKET}",
        "s3://wecare-test-inbound-mail/a.pdf",
        "s3:///a.pdf",
    ],
)
async def test_an_attachment_that_is_not_ours_or_not_there_is_refused_before_the_provider_is_asked(
    post: Post, url: str
) -> None:
    for other in ("somebody-elses", "wecare-test-inbound-mail"):
        await post.world.files.put(other, "a.pdf", b"%PDF", "application/pdf")
    message = await post.send(await post.contact(), with_file(url))
    assert (post.last(message).status, post.last(message).error_code) == (Status.FAILED, "media_failed")
    assert post.accepted(message) == []


async def test_attachments_beyond_the_limit_are_refused(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.outbound.channels.email import prepare

    monkeypatch.setattr(prepare, "MAX_FILES_BYTES", 10)
    await post.world.files.put(BUCKET, "a.pdf", b"x" * 11, "application/pdf")
    message = await post.send(await post.contact(), with_file(f"s3://{BUCKET}/a.pdf"))
    assert post.last(message).error_code == "invalid_content"
    assert post.accepted(message) == []


# -- the account's own quota -----------------------------------------------------------------------


async def account(post: Post, **change: Any) -> None:
    async with httpx.AsyncClient(base_url=post.simulator.url) as control:
        (await control.post("/control/email/account", json=change)).raise_for_status()


async def test_the_accounts_rate_is_the_rate_of_all_senders_together(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the world's clock; the simulator's own buckets go by another one."""
    monkeypatch.setattr(post.simulator.core.buckets, "take", lambda *_: True)
    await account(post, max_rate=2)
    contact = await post.contact()
    messages = [await post.send(contact, sender=(demo.EMAIL_SENDER, demo.EMAIL_SUPPORT)[n % 2]) for n in range(8)]
    await post.world.advance(60, step=1)
    sent = sorted(post.last(message).at for message in messages)
    assert [post.statuses(message) for message in messages] == [[Status.SENT]] * 8
    for first, third in zip(sent, sent[2:], strict=False):
        assert (third - first).total_seconds() >= 0.9, "more than two in a second"
    lines = [
        await post.world.row(NAME, RateLimitTracker, f"sender#{line}#0")
        for line in ("account", demo.EMAIL_SENDER, demo.EMAIL_SUPPORT)
    ]
    assert [line is not None for line in lines] == [True, False, False]


async def test_who_was_never_told_the_quota_does_not_send_and_does_once_he_is(post: Post) -> None:
    post.simulator.core.faults.add({"fault": "outage_503", "operation": "GetAccount"})
    message = await post.send(await post.contact())
    await post.world.advance(30, step=5)
    assert post.accepted(message) == []
    assert post.statuses(message) == []
    post.simulator.core.faults.remove(None)
    await post.world.advance(30, step=5)
    assert post.statuses(message) == [Status.SENT]


async def test_a_day_that_is_used_up_makes_messages_wait_and_costs_no_request(post: Post) -> None:
    await account(post, max_24_hours=0)
    message = await post.send(await post.contact())
    assert post.world.aws.calls["sesv2", "SendEmail"] == 0
    await account(post, max_24_hours=100)
    await post.world.advance(quota.REFRESH_INTERVAL.total_seconds() + 60, step=20)
    assert post.statuses(message) == [Status.SENT]


async def test_the_quota_is_asked_for_again_and_holds_for_an_hour_without_an_answer(post: Post) -> None:
    contact = await post.contact()
    await post.send(contact)
    assert post.world.aws.calls["sesv2", "GetAccount"] == 1
    await post.send(contact)
    assert post.world.aws.calls["sesv2", "GetAccount"] == 1
    post.world.clock.advance(301)
    await post.send(contact)
    assert post.world.aws.calls["sesv2", "GetAccount"] == 2
    post.simulator.core.faults.add({"fault": "outage_503", "operation": "GetAccount"})
    post.world.clock.advance(1800)
    assert post.statuses(await post.send(contact)) == [Status.SENT]
    post.world.clock.advance(1801)
    assert post.statuses(await post.send(contact)) == []
