"""The service's refusals (facts 1.3, 3.4)."""

from __future__ import annotations

from libs.simulator.errors import ProviderError

OPTED_OUT = "DESTINATION_PHONE_NUMBER_OPTED_OUT"
OUR_ID_KEYS = ("messageId", "message_id", "wecareMessageId")
"""Keys of `Context` that may carry our message id; the first one present counts."""


def conflict(reason: str, message: str, kind: str | None = None, name: str | None = None) -> ProviderError:
    members = {"Reason": reason}
    if kind is not None and name is not None:
        members |= {"ResourceType": kind, "ResourceId": name}
    return ProviderError("ConflictException", message, members=members)


def not_found(kind: str, name: str) -> ProviderError:
    message = f"{kind.replace('-', ' ').capitalize()} not found"
    return ProviderError("ResourceNotFoundException", message, members={"ResourceType": kind, "ResourceId": name})


def invalid(reason: str, field: str, message: str) -> ProviderError:
    members = {"Reason": reason, "Fields": [{"Name": field, "Message": message}]}
    return ProviderError("ValidationException", f"{field}: {message}", members=members)


def quota(reason: str, message: str) -> ProviderError:
    return ProviderError("ServiceQuotaExceededException", message, members={"Reason": reason})
