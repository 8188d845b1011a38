"""The one exception that becomes an AWS error response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ProviderError(Exception):
    """A refusal in the provider's format.

    `code` is the modelled exception name (`ThrottledRequestException`), `members` are the further members of
    that exception (`Reason`, `ResourceType`, ...). `status` overrides the HTTP status of the model.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})


class ControlError(Exception):
    """A control request that cannot be carried out; `field` names the invalid member of the request."""

    def __init__(self, field: str, message: str, status: int = 400) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.status = status
