"""The sesv2 service: its operations, and its words for refusals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from libs.simulator.core import Addressee, Core, Handler
from libs.simulator.errors import ProviderError
from libs.simulator.model import Invalid
from libs.simulator.sesv2 import events
from libs.simulator.sesv2.account import Account, demo_account
from libs.simulator.sesv2.contacts import Contacts
from libs.simulator.sesv2.resources import Resources
from libs.simulator.sesv2.send import Sender


class Ses:
    """Email through Amazon SES v2."""

    name = "sesv2"

    def __init__(self, core: Core) -> None:
        self.core = core
        self.account = demo_account(core.settings.region)
        self.sender = Sender(core, self.account)
        self.resources = Resources(core, self.account)
        self.contacts = Contacts(core, self.account)
        self.operations: Mapping[str, Handler] = self._sends() | self._resources() | self._contacts()

    def _sends(self) -> dict[str, Handler]:
        return {"SendEmail": self.sender.send, "SendBulkEmail": self.sender.bulk}

    def _resources(self) -> dict[str, Handler]:
        found = self.resources
        return {
            "CreateConfigurationSet": found.create_set,
            "GetConfigurationSet": found.get_set,
            "DeleteConfigurationSet": found.delete_set,
            "ListConfigurationSets": found.list_sets,
            "PutConfigurationSetSendingOptions": partial(found.put_option, "SendingOptions"),
            "PutConfigurationSetSuppressionOptions": partial(found.put_option, "SuppressionOptions"),
            "PutConfigurationSetTrackingOptions": partial(found.put_option, "TrackingOptions"),
            "PutConfigurationSetDeliveryOptions": partial(found.put_option, "DeliveryOptions"),
            "CreateConfigurationSetEventDestination": found.create_destination,
            "GetConfigurationSetEventDestinations": found.list_destinations,
            "UpdateConfigurationSetEventDestination": found.update_destination,
            "DeleteConfigurationSetEventDestination": found.delete_destination,
            "CreateEmailIdentity": found.create_identity,
            "GetEmailIdentity": found.get_identity,
            "DeleteEmailIdentity": found.delete_identity,
            "ListEmailIdentities": found.list_identities,
            "CreateEmailTemplate": found.create_template,
            "GetEmailTemplate": found.get_template,
            "UpdateEmailTemplate": found.update_template,
            "DeleteEmailTemplate": found.delete_template,
            "ListEmailTemplates": found.list_templates,
            "TestRenderEmailTemplate": found.test_render,
            "PutSuppressedDestination": found.put_suppressed,
            "GetSuppressedDestination": found.get_suppressed,
            "DeleteSuppressedDestination": found.delete_suppressed,
            "ListSuppressedDestinations": found.list_suppressed,
            "GetAccount": found.get_account,
            "PutAccountSendingAttributes": found.put_sending,
            "PutAccountSuppressionAttributes": found.put_suppression,
        }

    def _contacts(self) -> dict[str, Handler]:
        found = self.contacts
        return {
            "CreateContactList": found.create_list,
            "GetContactList": found.get_list,
            "ListContactLists": found.lists,
            "DeleteContactList": found.delete_list,
            "CreateContact": found.create,
            "GetContact": found.get,
            "UpdateContact": found.update,
            "DeleteContact": found.delete,
            "ListContacts": found.list,
        }

    def prepare(self, operation: str, params: dict[str, Any]) -> Addressee | None:
        return self.sender.prepare(params) if operation == "SendEmail" else None

    def invalid(self, error: Invalid) -> ProviderError:
        return ProviderError("BadRequestException", error.text())

    def refusal(self, kind: str) -> ProviderError:
        if kind == "invalid_number":
            return ProviderError("BadRequestException", "Missing or invalid address")
        if kind == "throttled":
            return ProviderError("TooManyRequestsException", "Maximum sending rate exceeded.")
        return ProviderError("InternalServiceErrorException", "Internal error", status=500)

    def known_event(self, name: str) -> bool:
        return events.known(name)

    def reset(self) -> None:
        """Back to the demo account; configuration sets and the receipt rule are kept, because they are set up once."""
        fresh = demo_account(self.account.region)
        fresh.sets, fresh.receipt = self.account.sets, self.account.receipt
        for name in Account.__dataclass_fields__:
            setattr(self.account, name, getattr(fresh, name))
