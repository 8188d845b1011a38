"""The sesv2 service: its operations and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from libs.simulator.core import Addressee, Core, Handler
from libs.simulator.errors import ProviderError
from libs.simulator.model import Invalid
from libs.simulator.sesv2 import events
from libs.simulator.sesv2.account import Account, demo_account
from libs.simulator.sesv2.catalogue import Catalogue
from libs.simulator.sesv2.contacts import Contacts
from libs.simulator.sesv2.resources import ConfigurationSets
from libs.simulator.sesv2.send import Sender
from libs.simulator.sesv2.suppression import Suppression


class Ses:
    """Email through Amazon SES v2."""

    name = "sesv2"

    def __init__(self, core: Core) -> None:
        self.core = core
        self.account = demo_account(core.settings.region)
        self.sender = Sender(core, self.account)
        self.sets = ConfigurationSets(core, self.account)
        self.catalogue = Catalogue(core, self.account)
        self.suppression = Suppression(core, self.account)
        self.contacts = Contacts(core, self.account)
        self.operations: Mapping[str, Handler] = self._sends() | self._resources() | self._contacts()

    def _sends(self) -> dict[str, Handler]:
        return {"SendEmail": self.sender.send, "SendBulkEmail": self.sender.bulk}

    def _resources(self) -> dict[str, Handler]:
        found, catalogue, suppression = self.sets, self.catalogue, self.suppression
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
            "CreateEmailIdentity": catalogue.create_identity,
            "GetEmailIdentity": catalogue.get_identity,
            "DeleteEmailIdentity": catalogue.delete_identity,
            "ListEmailIdentities": catalogue.list_identities,
            "CreateEmailTemplate": catalogue.create_template,
            "GetEmailTemplate": catalogue.get_template,
            "UpdateEmailTemplate": catalogue.update_template,
            "DeleteEmailTemplate": catalogue.delete_template,
            "ListEmailTemplates": catalogue.list_templates,
            "TestRenderEmailTemplate": catalogue.test_render,
            "PutSuppressedDestination": suppression.put_suppressed,
            "GetSuppressedDestination": suppression.get_suppressed,
            "DeleteSuppressedDestination": suppression.delete_suppressed,
            "ListSuppressedDestinations": suppression.list_suppressed,
            "GetAccount": suppression.get_account,
            "PutAccountSendingAttributes": suppression.put_sending,
            "PutAccountSuppressionAttributes": suppression.put_suppression,
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

    def reset(self, everything: bool) -> None:
        fresh = demo_account(self.account.region)
        if not everything:
            fresh.sets, fresh.receipt = self.account.sets, self.account.receipt
        for name in Account.__dataclass_fields__:
            setattr(self.account, name, getattr(fresh, name))
