"""What SES's refusals mean."""

from __future__ import annotations

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from libs.messaging.errors import ErrorCode
from libs.messaging.providers.ses import BULK_ENTRIES, EVENTS
from services.outbound.channels.email.codes import entry_outcome, verdict
from services.outbound.contract import Accepted, NotSent, Outcome, Rejected, Unknown
from services.outbound.sending.outcomes import Refused

MODEL = boto3.client("sesv2", "us-east-1", config=Config(signature_version=UNSIGNED)).meta.service_model


@pytest.mark.parametrize(
    ("code", "message", "kind", "ours"),
    [
        ("AccountSuspendedException", "Sending is suspended", Rejected, ErrorCode.MISCONFIGURED),
        ("SendingPausedException", "Email sending is paused", Rejected, ErrorCode.MISCONFIGURED),
        ("MailFromDomainNotVerifiedException", "", Rejected, ErrorCode.MISCONFIGURED),
        ("MessageRejected", "Email address is not verified. The following …", Rejected, ErrorCode.MISCONFIGURED),
        ("MessageRejected", "Message contains a virus", Rejected, ErrorCode.INVALID_CONTENT),
        ("NotFoundException", "Template order-x does not exist.", Rejected, ErrorCode.TEMPLATE_MISSING),
        ("NotFoundException", "Configuration set <x> does not exist.", Rejected, ErrorCode.MISCONFIGURED),
        ("BadRequestException", "Missing or invalid address: 'x'", Rejected, ErrorCode.INVALID_RECIPIENT),
        ("BadRequestException", "Something else", Rejected, ErrorCode.INVALID_CONTENT),
        ("LimitExceededException", "Daily message quota exceeded.", NotSent, ErrorCode.THROTTLED),
        ("AccessDeniedException", "", Rejected, ErrorCode.MISCONFIGURED),
        ("ExceptionOfTomorrow", "", Rejected, ErrorCode.UNKNOWN),
    ],
)
def test_a_refusal(code: str, message: str, kind: type, ours: ErrorCode) -> None:
    found = verdict(Refused(400, code, message))
    assert (type(found), found.code) == (kind, ours)


def test_a_used_up_day_is_not_asked_again_at_once() -> None:
    found = verdict(Refused(400, "LimitExceededException", "Daily message quota exceeded."))
    assert isinstance(found, NotSent)
    assert found.retry_after == 600


def test_every_refusal_of_ses_has_a_meaning() -> None:
    names = {shape.name for shape in MODEL.operation_model("SendEmail").error_shapes}
    unknown = {n for n in names if verdict(Refused(400, n, "")).code is ErrorCode.UNKNOWN} - {
        "TooManyRequestsException"
    }
    assert unknown == set()


def test_every_status_of_a_bulk_entry_has_a_meaning() -> None:
    assert set(MODEL.shape_for("BulkEmailStatus").enum) == {"SUCCESS", *BULK_ENTRIES}


def test_every_event_type_has_a_meaning() -> None:
    """The API spells them in capitals, events do not."""
    names = {name.upper().replace(" ", "_") for name in EVENTS} - {"RENDERINGFAILURE", "DELIVERYDELAY"}
    assert names | {"DELIVERY_DELAY", "SUBSCRIPTION"} == set(MODEL.shape_for("EventType").enum)


@pytest.mark.parametrize(
    ("entry", "outcome"),
    [
        ({"Status": "SUCCESS", "MessageId": "1"}, Accepted("1")),
        ({"Status": "SUCCESS"}, Unknown("the entry has no MessageId")),
        ({"Status": "FAILED"}, Unknown("the entry says FAILED")),
        ({}, Unknown("the entry says nothing")),
        ({"Status": "MESSAGE_REJECTED", "Error": "no"}, Rejected(ErrorCode.INVALID_CONTENT, "MESSAGE_REJECTED", "no")),
        (
            {"Status": "ACCOUNT_THROTTLED", "Error": "slow"},
            NotSent("ACCOUNT_THROTTLED: slow", code=ErrorCode.THROTTLED, provider_code="ACCOUNT_THROTTLED"),
        ),
        (
            {"Status": "TRANSIENT_FAILURE", "Error": "x"},
            NotSent("TRANSIENT_FAILURE: x", code=ErrorCode.UNAVAILABLE, provider_code="TRANSIENT_FAILURE"),
        ),
    ],
)
def test_an_entry_of_a_bulk_call(entry: dict[str, str], outcome: Outcome) -> None:
    assert entry_outcome(entry) == outcome
