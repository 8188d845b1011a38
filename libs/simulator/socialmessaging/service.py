"""The socialmessaging service: its operations and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.simulator import demo
from libs.simulator.core import Addressee, Core, Handler
from libs.simulator.errors import ProviderError
from libs.simulator.model import Invalid
from libs.simulator.socialmessaging import body
from libs.simulator.socialmessaging.account import Account
from libs.simulator.socialmessaging.codes import known_code
from libs.simulator.socialmessaging.media import MediaStore
from libs.simulator.socialmessaging.records import Number, Waba
from libs.simulator.socialmessaging.send import Sender
from libs.simulator.socialmessaging.templates import Templates, page

LINK_DATE = 1767225600
"""2026-01-01, when the demo account was linked."""


class SocialMessaging:
    """WhatsApp through AWS End User Messaging Social."""

    name = "socialmessaging"

    def __init__(self, core: Core) -> None:
        self.core = core
        self.account = Account(core.settings.region)
        self.sender = Sender(core, self.account)
        self.templates = Templates(core, self.account)
        self.media = MediaStore(core, self.account)
        self.operations: Mapping[str, Handler] = {
            "SendWhatsAppMessage": self.sender.send,
            "PostWhatsAppMessageMedia": self.media.post,
            "GetWhatsAppMessageMedia": self.media.get,
            "DeleteWhatsAppMessageMedia": self.media.delete,
            "CreateWhatsAppMessageTemplate": self.templates.create,
            "GetWhatsAppMessageTemplate": self.templates.get,
            "ListWhatsAppMessageTemplates": self.templates.list,
            "UpdateWhatsAppMessageTemplate": self.templates.update,
            "DeleteWhatsAppMessageTemplate": self.templates.delete,
            "GetLinkedWhatsAppBusinessAccount": self.get_account,
            "ListLinkedWhatsAppBusinessAccounts": self.list_accounts,
            "GetLinkedWhatsAppBusinessAccountPhoneNumber": self.get_number,
            "PutWhatsAppBusinessAccountEventDestinations": self.put_destinations,
        }

    def prepare(self, operation: str, params: dict[str, Any]) -> Addressee | None:
        return self.sender.prepare(params) if operation == "SendWhatsAppMessage" else None

    def invalid(self, error: Invalid) -> ProviderError:
        return ProviderError("ValidationException", error.text())

    def refusal(self, kind: str) -> ProviderError:
        if kind == "invalid_number":
            return body.invalid_number()
        if kind == "throttled":
            return ProviderError("ThrottledRequestException", "Rate exceeded")
        return ProviderError("InternalServiceException", "Internal server error")

    def known_event(self, name: str) -> bool:
        """`sent`, `delivered`, `read`, or `failed:<code>` with a code of codes.py."""
        status, _, code = name.partition(":")
        return name in ("sent", "delivered", "read") or (
            status == "failed" and code.isdigit() and known_code(int(code))
        )

    def reset(self, everything: bool) -> None:
        kept = {} if everything else self.account.wabas
        self.account.reset()
        for waba in self.account.wabas.values():
            if waba.id in kept:
                waba.destinations, waba.webhook = kept[waba.id].destinations, kept[waba.id].webhook

    async def get_account(self, params: dict[str, Any]) -> dict[str, Any]:
        waba = self.account.waba(params["id"])
        numbers = [_number(number, self.account.region) for number in waba.numbers]
        return {"account": {**_waba(waba, self.account.region), "phoneNumbers": numbers}}

    async def list_accounts(self, params: dict[str, Any]) -> dict[str, Any]:
        linked = [_waba(waba, self.account.region) for waba in self.account.wabas.values()]
        return page("linkedAccounts", linked, params)

    async def get_number(self, params: dict[str, Any]) -> dict[str, Any]:
        waba, number = self.account.number(params["id"])
        return {
            "phoneNumber": _number(number, self.account.region),
            "linkedWhatsAppBusinessAccountId": waba.id,
            "callSettings": {"callEnabled": False},
        }

    async def put_destinations(self, params: dict[str, Any]) -> dict[str, Any]:
        waba = self.account.waba(params["id"])
        for destination in params["eventDestinations"]:
            arn = destination["eventDestinationArn"]
            if ":sns:" in arn and arn.endswith(".fifo"):
                raise ProviderError("InvalidParametersException", "FIFO topics are not supported as event destination")
            if ":sns:" not in arn and ":connect:" not in arn:
                raise ProviderError("InvalidParametersException", "The destination must be an SNS topic or Connect")
        waba.destinations = params["eventDestinations"]
        return {}


def _waba(waba: Waba, region: str) -> dict[str, Any]:
    return {
        "arn": demo.waba_arn(waba.id, region),
        "id": waba.id,
        "wabaId": waba.meta_id,
        "registrationStatus": "COMPLETE",
        "linkDate": LINK_DATE,
        "wabaName": waba.name,
        "eventDestinations": waba.destinations,
    }


def _number(number: Number, region: str) -> dict[str, Any]:
    return {
        "arn": demo.phone_number_arn(number.id, region),
        "phoneNumber": number.e164,
        "phoneNumberId": number.id,
        "metaPhoneNumberId": number.meta_id,
        "displayPhoneNumberName": number.name,
        "displayPhoneNumber": number.display,
        "qualityRating": number.quality,
    }
