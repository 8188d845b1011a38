"""Contact lists and their contacts (list management, facts 6.4)."""

from __future__ import annotations

from typing import Any

from libs.simulator.core import Core
from libs.simulator.sesv2.account import Account
from libs.simulator.sesv2.resources import exists, missing, page

CHANGEABLE = ("TopicPreferences", "UnsubscribeAll", "AttributesData")


class Contacts:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.lists.get(params["ContactListName"])
        if found is None:
            raise missing("Contact list", params["ContactListName"])
        return found

    async def create_list(self, params: dict[str, Any]) -> dict[str, Any]:
        name, now = params["ContactListName"], self.core.clock.now()
        if name in self.account.lists:
            raise exists("Contact list", name)
        self.account.lists[name] = {"Topics": [], **params, "CreatedTimestamp": now, "LastUpdatedTimestamp": now}
        return {}

    async def get_list(self, params: dict[str, Any]) -> dict[str, Any]:
        return self._list(params)

    async def lists(self, params: dict[str, Any]) -> dict[str, Any]:
        listed = [{k: x[k] for k in ("ContactListName", "LastUpdatedTimestamp")} for x in self.account.lists.values()]
        return page("ContactLists", listed, params)

    async def delete_list(self, params: dict[str, Any]) -> dict[str, Any]:
        name = self._list(params)["ContactListName"]
        del self.account.lists[name]
        for key in [k for k in self.account.contacts if k[0] == name]:
            del self.account.contacts[key]
        return {}

    async def create(self, params: dict[str, Any]) -> dict[str, Any]:
        key, now = (self._list(params)["ContactListName"], params["EmailAddress"]), self.core.clock.now()
        if key in self.account.contacts:
            raise exists("Contact", params["EmailAddress"])
        self.account.contacts[key] = {
            "UnsubscribeAll": False, **params, "CreatedTimestamp": now, "LastUpdatedTimestamp": now,
        }  # fmt: skip
        return {}

    def _contact(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.contacts.get((self._list(params)["ContactListName"], params["EmailAddress"]))
        if found is None:
            raise missing("Contact", params["EmailAddress"])
        return found

    async def get(self, params: dict[str, Any]) -> dict[str, Any]:
        return self._contact(params)

    async def update(self, params: dict[str, Any]) -> dict[str, Any]:
        contact = self._contact(params)
        contact |= {k: params[k] for k in CHANGEABLE if k in params}
        contact["LastUpdatedTimestamp"] = self.core.clock.now()
        return {}

    async def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        contact = self._contact(params)
        del self.account.contacts[(contact["ContactListName"], contact["EmailAddress"])]
        return {}

    async def list(self, params: dict[str, Any]) -> dict[str, Any]:
        name = self._list(params)["ContactListName"]
        wanted = ("EmailAddress", "TopicPreferences", "UnsubscribeAll", "LastUpdatedTimestamp")
        listed = [{k: c[k] for k in wanted if k in c} for key, c in self.account.contacts.items() if key[0] == name]
        return page("Contacts", listed, params)
