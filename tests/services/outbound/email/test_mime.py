"""A message with attachments, as whoever gets it reads it."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from libs.messaging.content import Email, File
from libs.messaging.errors import ErrorCode
from libs.messaging.vocabulary import MessageClass
from services.outbound.channels.email import channel
from services.outbound.channels.email.channel import EmailChannel
from services.outbound.contract import Account, Invalid, Outgoing

PDF = "s3://wecare-test-outbound-email-attachments/a/invoice.pdf"
SENDER = "Café <news@mail.example.com>"


def raw(
    email: Email | None = None,
    files: dict[str, bytes] | None = None,
    options: dict[str, str] | None = None,
    **more: Any,
) -> bytes:
    """What SES is given."""
    email = email or Email(subject="Ihre Rechnung ✓", text="Grüße", html="<p>Grüße</p>", attachments=[File(url=PDF)])
    message = Outgoing("m1", "alex@example.com", email, MessageClass.TRANSACTIONAL, **more)
    account = Account(SENDER, options or {}, {PDF: b"%PDF"} if files is None else files)
    request = EmailChannel().render(message, account)
    data: bytes = request["Content"]["Raw"]["Data"]
    return data


def read(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def test_it_reads_as_it_was_written() -> None:
    message = read(raw())
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, "alex@example.com", "Ihre Rechnung ✓")
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().strip() == "Grüße"
    assert html.get_content().strip() == "<p>Grüße</p>"
    (attachment,) = message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("invoice.pdf", b"%PDF")


def test_the_thread_and_the_way_out_go_along() -> None:
    message = read(
        raw(
            in_reply_to="<reply-1@example.com>",
            options={"unsubscribeUrl": "https://example.com/u/a.b", "replyTo": "s@example.com"},
        )
    )
    assert message["In-Reply-To"] == message["References"] == "<reply-1@example.com>"
    assert message["List-Unsubscribe"] == "<https://example.com/u/a.b>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Reply-To"] == "s@example.com"


def test_a_long_way_out_survives_the_folding_of_lines() -> None:
    url = "https://wecare.example.com/u/" + "a" * 150 + "." + "b" * 43
    assert read(raw(options={"unsubscribeUrl": url}))["List-Unsubscribe"].replace(" ", "") == f"<{url}>"


def test_the_same_message_is_the_same_bytes() -> None:
    """A second attempt sends what the first one sent."""
    assert raw() == raw()


@pytest.mark.parametrize(
    "kind",
    [
        "application/pdf",
        "image/png; name=x",
        "nonsense",
        "message/rfc822",
        "multipart/mixed",
        "text/plain\r\nX: y",
        None,
    ],
)
def test_a_type_that_is_none_is_sent_as_bytes(kind: str | None) -> None:
    email = Email(subject="s", text="t", attachments=[File(url=PDF, content_type=kind)])
    (attachment,) = read(raw(email)).iter_attachments()
    expected = {"application/pdf": "application/pdf", "image/png; name=x": "image/png"}
    assert attachment.get_content_type() == expected.get(kind or "", "application/octet-stream")
    assert attachment.get_payload(decode=True) == b"%PDF"


@pytest.mark.parametrize("name", ["a.pdf\r\nBcc: everybody@example.com", "a\x00.pdf", "run.exe", "RUN.JS.VBS"])
def test_a_file_name_that_is_more_than_a_name_is_refused(name: str) -> None:
    email = Email(subject="s", text="t", attachments=[File(url=PDF, filename=name)])
    with pytest.raises(Invalid) as refused:
        raw(email)
    assert refused.value.code is ErrorCode.INVALID_CONTENT


@pytest.mark.parametrize("name", ['quote".pdf', "Rechnung für Ü.pdf", "../../etc/passwd", "a;b=c.pdf"])
def test_a_strange_name_is_a_name_and_nothing_else(name: str) -> None:
    email = Email(subject="s", text="t", attachments=[File(url=PDF, filename=name)])
    message = read(raw(email))
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == name
    assert set(message.keys()) == {"From", "To", "Subject", "MIME-Version", "Content-Type"}


def test_more_than_ses_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_MESSAGE_BYTES", 10_000)
    with pytest.raises(Invalid) as refused:
        raw(files={PDF: b"x" * 10_000})
    assert refused.value.code is ErrorCode.INVALID_CONTENT


def test_a_file_that_was_not_fetched_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        raw(files={})
    assert refused.value.code is ErrorCode.MEDIA_FAILED


def test_variables_beyond_the_limit_are_refused() -> None:
    from libs.messaging.content import Template

    message = Outgoing("m1", "a@example.com", Template(name="t", variables={"a": "x" * 262_144}), MessageClass.BULK)
    with pytest.raises(Invalid):
        EmailChannel().render(message, Account(SENDER))
