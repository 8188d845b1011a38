"""E-mail from POST to the receipt, what people answer, and the way out, on real processes."""

from __future__ import annotations

import itertools
import re
from typing import Any

import httpx
import pytest

from deploy.smoke.client import Failed, Http, until
from deploy.smoke.platform import Platform

SEND = {"service": "sesv2", "operation": "SendEmail"}
TEXT = {"kind": "email", "subject": "Your order 1001", "text": "It has shipped."}
HTML = {**TEXT, "html": '<p>It has <a href="https://example.com/1001">shipped</a>.</p>'}
_labels = itertools.count(1)


def mailbox(local: str = "alex") -> str:
    """An address that no other test uses; the part before the ``+`` decides its fate at the simulated SES."""
    return f"{local}+flow{next(_labels)}@example.com"


def email(on: Platform, contact: str, content: dict[str, Any] = TEXT, **more: Any) -> str:
    return on.send_when_known(contact, content, channel="email", **{"messageClass": "transactional", **more})


def test_a_mail_goes_out_once_and_ends_read(on: Platform) -> None:
    message = email(on, on.mailbox(mailbox("click"), "Ann Example"), HTML)
    on.reaches(message, "read")
    (accepted,) = on.accepted(message_id=message)
    assert accepted["payload"]["EmailTags"][0] == {"Name": "messageId", "Value": message}
    assert accepted["payload"]["ConfigurationSetName"] == "wecare-local"


@pytest.mark.parametrize("fault", ["accept_then_reset", "accept_then_500", "half_body", "accept_then_hang"])
def test_a_send_whose_answer_is_lost_is_accepted_once_and_ends_in_its_true_state(on: Platform, fault: str) -> None:
    address = mailbox()
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": fault, "to": address, "times": 1})
    message = email(on, on.mailbox(address, "Ann Example"))
    on.reaches(message, "delivered")
    assert len(on.accepted(message_id=message)) == 1


def test_a_throttled_mail_is_deferred_and_goes_out_later(on: Platform) -> None:
    address = mailbox()
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": "throttle_429", "to": address, "times": 2})
    message = email(on, on.mailbox(address, "Ann Example"))
    on.reaches(message, "delivered")
    assert len(on.accepted(message_id=message)) == 1


@pytest.mark.parametrize(("local", "reason"), [("bounce", "hard_bounce"), ("complaint", "complaint")])
def test_who_bounces_or_complains_is_suppressed_until_an_administrator_says_why_not(
    on: Platform, local: str, reason: str
) -> None:
    address = mailbox(local)
    contact = on.mailbox(address, "Ann Example")
    email(on, contact)

    def suppressed() -> Any:
        return on.operator.get(f"/api/contacts/{contact}")["consents"]["email"].get("suppressed")

    assert until("the suppression", suppressed) == reason
    until("the refusal", lambda: refusal(on, contact) == "SUPPRESSED")
    ses = on.stack.client("sesv2")
    assert ses.get_suppressed_destination(EmailAddress=address)
    path = f"/api/contacts/{contact}/suppressions/email"
    on.operator.call("DELETE", path, reason="confirmed by phone", expect=403)
    with Http(on.stack.api_url, on.stack.token("ADMIN")) as admin:
        admin.call("DELETE", path, reason="confirmed by phone")
    assert suppressed() is None
    until("SES to have forgotten it, too", lambda: not listed(ses, address))


def refusal(on: Platform, contact: str) -> str | None:
    try:
        body = {**TEXT}
        return str(on.send(contact, body, channel="email", messageClass="transactional", expect=422)["code"])
    except Failed:
        return None


def listed(ses: Any, address: str) -> bool:
    try:
        return bool(ses.get_suppressed_destination(EmailAddress=address))
    except ses.exceptions.NotFoundException:
        return False


def test_an_answer_is_one_message_of_one_contact_in_its_thread_and_can_be_answered(on: Platform) -> None:
    address = mailbox()
    contact = on.mailbox(address, "Ann Example")
    message = email(on, contact)
    on.reaches(message, "delivered")
    provider_id = on.accepted(message_id=message)[0]["provider_id"]
    on.mails_in(f"Ann <{address}>", "Thanks!", in_reply_to=f"<{provider_id}@email.amazonses.com>", times=3)
    (inbound,) = until("the answer", lambda: on.inbound_of(contact))
    assert (inbound["inReplyTo"], inbound["content"]["text"]) == (message, "Thanks!")
    reply = email(
        on, contact, {**TEXT, "subject": "Re: Your order 1001"}, inReplyTo=inbound["messageId"], messageClass="reply"
    )
    on.reaches(reply, "delivered")
    (accepted,) = on.accepted(message_id=reply)
    headers = {h["Name"]: h["Value"] for h in accepted["payload"]["Content"]["Simple"]["Headers"]}
    assert headers["In-Reply-To"] == inbound["providerIds"][0]
    assert len(on.inbound_of(contact)) == 1


def test_stop_in_an_answer_is_obeyed(on: Platform) -> None:
    address = mailbox()
    contact = on.mailbox(address, "Ann Example")
    on.mails_in(address, "STOP\n\nOn Tue, 1 Sep 2026, Example Store <news@mail.example.com> wrote:\n> 10% off")
    evidence = on.opted_out(contact, "email")
    assert (evidence["how"], evidence["words"]) == ("keyword", "STOP")
    until("the refusal", lambda: refusal(on, contact) == "OPTED_OUT")


def test_the_link_of_a_marketing_mail_unsubscribes_with_one_click(on: Platform) -> None:
    contact = on.mailbox(mailbox(), "Ann Example")
    message = email(on, contact, purpose="marketing")
    on.reaches(message, "delivered")
    (accepted,) = on.accepted(message_id=message)
    headers = {h["Name"]: h["Value"] for h in accepted["payload"]["Content"]["Simple"]["Headers"]}
    link = re.sub(r"^<|>$", "", headers["List-Unsubscribe"])
    assert link.startswith(on.stack.api_url)
    assert httpx.get(link, trust_env=False).status_code == 200
    assert on.operator.get(f"/api/contacts/{contact}")["consents"]["email"]["optedIn"] is True
    for _ in range(2):
        answer = httpx.post(link, data={"List-Unsubscribe": "One-Click"}, trust_env=False)
        assert answer.status_code == 200
    assert on.opted_out(contact, "email")["how"] == "one-click"
    until("the refusal", lambda: refusal(on, contact) == "OPTED_OUT")


def test_spam_is_no_message_and_makes_no_contact(on: Platform) -> None:
    spammer, neighbour = mailbox("spammer"), mailbox()
    on.mails_in(spammer, "Buy now", spam_verdict="FAIL")
    on.mails_in(neighbour, "Where is my order?")
    until("the neighbour", lambda: on.operator.get("/api/contacts/search", q=neighbour)["items"])
    assert on.operator.get("/api/contacts/search", q=spammer)["items"] == []


def test_the_secret_of_the_links_is_made_once_and_is_in_no_environment(on: Platform) -> None:
    secret = on.stack.client("secretsmanager").get_secret_value(SecretId="wecare-local/inbound/unsubscribe-keys")
    assert len(secret["SecretString"]) >= 32
    assert not any(secret["SecretString"] in value for value in on.stack.env.values())


def test_a_mail_in_our_bucket_is_read_from_there(on: Platform) -> None:
    """The S3 action of SES, for what is too large for a notification."""
    topics = on.stack.client("sns").list_topics()["Topics"]
    topic = next(t["TopicArn"] for t in topics if t["TopicArn"].endswith("feed-email"))
    stored = {"topic": topic, "action": "S3", "bucket": "wecare-local-inbound-mail", "prefix": "in/"}
    on.simulator.call("PUT", "/control/receipt", stored)
    try:
        address = mailbox()
        text = "A long letter. " * 12_000
        on.mails_in(address, text)
        (contact,) = until("the contact", lambda: on.operator.get("/api/contacts/search", q=address)["items"])
        (message,) = until("the message", lambda: on.inbound_of(contact["contactId"]))
        assert message["content"]["text"] == text[:60_000]
    finally:
        on.simulator.call("PUT", "/control/receipt", {"topic": topic, "action": "SNS"})
