"""What an error of a client is called, and what WhatsApp's codes mean; the common exam is in ``tests/channels``."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto

from libs.common.aws.rest import Answered
from services.outbound.channels.whatsapp.codes import verdict
from services.outbound.contract import NotSent, Rejected, Unknown
from services.outbound.sending.outcomes import Refused, classify


@pytest.mark.parametrize(
    ("message", "code", "outcome"),
    [
        ("(#131026) Message undeliverable", "InvalidParametersException", (Rejected, "undeliverable", "131026")),
        ("(#132001) No such template", "InvalidParametersException", (Rejected, "template_missing", "132001")),
        ("(#131056) Pair rate limit", "InvalidParametersException", (NotSent, "throttled", "131056")),
        ("(#250) Permission", "AccessDeniedByMetaException", (Rejected, "misconfigured", "250")),
        ("(#999999) New", "InvalidParametersException", (Rejected, "unknown", "999999")),
        (
            "Invalid destination phone number or message Id",
            "InvalidParametersException",
            (Rejected, "invalid_recipient", "InvalidParametersException"),
        ),
    ],
)
def test_whatsapp_codes(message: str, code: str, outcome: tuple[type, str, str]) -> None:
    found = verdict(Refused(400, code, message))
    assert (type(found), found.code, found.provider_code) == outcome
    if isinstance(found, NotSent):
        assert found.growth == 4


@pytest.mark.parametrize("error", [TimeoutError(), ValueError("?"), boto.HTTPClientError(error=OSError())])
def test_what_nobody_foresaw_is_unknown(error: Exception) -> None:
    assert isinstance(classify(error, verdict), Unknown)


def test_no_credentials_is_not_sent() -> None:
    assert isinstance(classify(boto.NoCredentialsError(), verdict), NotSent)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, "131056", (NotSent, "throttled", 4.0)),
        (429, "131056", (NotSent, "throttled", 4.0)),
        (429, "130429", (NotSent, "throttled", 2.0)),
        (400, "80007", (NotSent, "throttled", 2.0)),
        (401, "190", (Rejected, "misconfigured", None)),
        (400, "33", (Rejected, "misconfigured", None)),
        (400, "100", (Rejected, "invalid_content", None)),
        (400, "NoErrorBody", (Rejected, "unknown", None)),
    ],
)
def test_metas_own_answers_mean_what_they_mean_through_aws(
    status: int, code: str, outcome: tuple[type, str, float | None]
) -> None:
    found = classify(Answered(status, code, "Simulated"), verdict)
    assert isinstance(found, NotSent | Rejected)
    assert (type(found), found.code, getattr(found, "growth", None)) == outcome
    assert found.provider_code == code
