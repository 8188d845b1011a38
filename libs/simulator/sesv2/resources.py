"""Configuration sets and their event destinations, and what all resources share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libs.simulator.core import Core
from libs.simulator.errors import ProviderError
from libs.simulator.sesv2.account import Account, ConfigurationSet
from libs.simulator.sesv2.compose import bad

PAGE = 1000
MAX_DESTINATIONS = 10
OPTIONS = (
    "TrackingOptions", "DeliveryOptions", "ReputationOptions", "SendingOptions", "SuppressionOptions", "VdmOptions",
    "ArchivingOptions", "Tags",
)  # fmt: skip
TARGETS = (
    "SnsDestination", "KinesisFirehoseDestination", "CloudWatchDestination", "EventBridgeDestination",
    "PinpointDestination",
)  # fmt: skip


def missing(what: str, name: str) -> ProviderError:
    return ProviderError("NotFoundException", f"{what} {name} does not exist.")


def exists(what: str, name: str) -> ProviderError:
    return ProviderError("AlreadyExistsException", f"{what} {name} already exists.")


def page(name: str, items: Iterable[Any], params: dict[str, Any]) -> dict[str, Any]:
    listed, token = list(items), params.get("NextToken", "0")
    if not token.isdigit():
        raise ProviderError("InvalidNextTokenException", "NextToken is not valid")
    start, size = int(token), int(params.get("PageSize", PAGE))
    answer: dict[str, Any] = {name: listed[start : start + size]}
    return answer | ({"NextToken": str(start + size)} if start + size < len(listed) else {})


class ConfigurationSets:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    async def create_set(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["ConfigurationSetName"]
        if name in self.account.sets:
            raise exists("Configuration set", name)
        options = {k: params[k] for k in OPTIONS if k in params}
        self.account.sets[name] = ConfigurationSet(name, options)
        return {}

    async def get_set(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self._set(params)
        return {"ConfigurationSetName": found.name, **found.options}

    async def delete_set(self, params: dict[str, Any]) -> dict[str, Any]:
        del self.account.sets[self._set(params).name]
        return {}

    async def list_sets(self, params: dict[str, Any]) -> dict[str, Any]:
        return page("ConfigurationSets", sorted(self.account.sets), params)

    async def put_option(self, option: str, params: dict[str, Any]) -> dict[str, Any]:
        """PutConfigurationSet…Options: the members besides the name are the option structure."""
        self._set(params).options[option] = {k: v for k, v in params.items() if k != "ConfigurationSetName"}
        return {}

    def _set(self, params: dict[str, Any]) -> ConfigurationSet:
        found = self.account.set_of(params["ConfigurationSetName"])
        assert found is not None  # the name is required by the model
        return found

    async def create_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        found, name = self._set(params), params["EventDestinationName"]
        if name in found.destinations:
            raise exists("Event destination", name)
        if len(found.destinations) >= MAX_DESTINATIONS:
            raise ProviderError("LimitExceededException", "Too many event destinations")
        found.destinations[name] = checked_destination(params["EventDestination"])
        return {}

    async def update_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        found, name = self._destination(params)
        found.destinations[name] = checked_destination(found.destinations[name] | params["EventDestination"])
        return {}

    async def delete_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        found, name = self._destination(params)
        del found.destinations[name]
        return {}

    async def list_destinations(self, params: dict[str, Any]) -> dict[str, Any]:
        listed = [{"Name": name, **d} for name, d in self._set(params).destinations.items()]
        return {"EventDestinations": listed}

    def _destination(self, params: dict[str, Any]) -> tuple[ConfigurationSet, str]:
        found, name = self._set(params), params["EventDestinationName"]
        if name not in found.destinations:
            raise missing("Event destination", name)
        return found, name


def checked_destination(destination: dict[str, Any]) -> dict[str, Any]:
    """Exactly one target, and at least one event type."""
    if sum(target in destination for target in TARGETS) != 1:
        raise bad("An event destination needs exactly one target")
    if not destination.get("MatchingEventTypes"):
        raise bad("An event destination needs event types")
    topic = destination.get("SnsDestination", {}).get("TopicArn", "arn:aws:sns:")
    if ":sns:" not in topic or topic.endswith(".fifo"):
        raise bad("TopicArn must be a standard SNS topic")
    return {"Enabled": False, **destination}
