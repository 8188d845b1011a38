"""Operations on configuration sets, numbers, pools, agents, limits."""

from __future__ import annotations

from typing import Any

from libs.simulator.core import Core
from libs.simulator.sms_voice.account import CHANNELS, Account
from libs.simulator.sms_voice.describe import describe
from libs.simulator.sms_voice.errors import conflict, invalid, not_found, quota

MAX_SETS, MAX_DESTINATIONS = 25, 5
KINDS_OF_DESTINATION = ("SnsDestination", "CloudWatchLogsDestination", "KinesisFirehoseDestination")
UPDATABLE = (
    "TwoWayEnabled", "TwoWayChannelArn", "TwoWayChannelRole", "SelfManagedOptOutsEnabled", "OptOutListName",
    "InternationalSendingEnabled", "DeletionProtectionEnabled", "SharedRoutesEnabled", "TwoWayMediaS3BucketName",
    "TwoWayMediaS3KeyPrefix", "TwoWayMediaS3Role", "TwoWayRcsEventsEnabled",
)  # fmt: skip


class Resources:
    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    async def create_set(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["ConfigurationSetName"]
        if name in self.account.sets:
            raise conflict("RESOURCE_ALREADY_EXISTS", f"{name} exists already", "configuration-set", name)
        if len(self.account.sets) >= MAX_SETS:
            raise quota("CONFIGURATION_SETS_PER_ACCOUNT", "Too many configuration sets")
        record = {
            "ConfigurationSetArn": self.account.arn("configuration-set", name), "ConfigurationSetName": name,
            "EventDestinations": [], "CreatedTimestamp": self.core.clock.now(),
        }  # fmt: skip
        self.account.sets[name] = record
        return {k: v for k, v in record.items() if k != "EventDestinations"}

    async def delete_set(self, params: dict[str, Any]) -> dict[str, Any]:
        record = self.account.configuration_set(params["ConfigurationSetName"])
        del self.account.sets[record["ConfigurationSetName"]]
        return record

    async def describe_sets(self, params: dict[str, Any]) -> dict[str, Any]:
        return describe(
            "ConfigurationSets", self.account.sets.values(), params,
            ids=params.get("ConfigurationSetNames"), id_member="ConfigurationSetName", kind="configuration-set",
        )  # fmt: skip

    async def set_default(self, member: str, given: str, params: dict[str, Any]) -> dict[str, Any]:
        """SetDefaultMessageType, SetDefaultSenderId, SetDefaultMessageFeedbackEnabled."""
        record = self.account.configuration_set(params["ConfigurationSetName"])
        record[member] = params[given]
        return self._named(record) | {given: params[given]}

    @staticmethod
    def _named(record: dict[str, Any]) -> dict[str, Any]:
        return {k: record[k] for k in ("ConfigurationSetArn", "ConfigurationSetName")}

    async def create_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        record, name = self.account.configuration_set(params["ConfigurationSetName"]), params["EventDestinationName"]
        if any(d["EventDestinationName"] == name for d in record["EventDestinations"]):
            raise conflict("RESOURCE_ALREADY_EXISTS", f"{name} exists already", "event-destination", name)
        if len(record["EventDestinations"]) >= MAX_DESTINATIONS:
            raise quota("EVENT_DESTINATIONS_PER_CONFIGURATION_SET", "Too many event destinations")
        destination = {
            "EventDestinationName": name,
            "Enabled": True,
            "MatchingEventTypes": params["MatchingEventTypes"],
            **_one_destination(params, required=True),
        }
        record["EventDestinations"].append(destination)
        return self._named(record) | {"EventDestination": destination}

    async def update_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        record, destination = self._destination(params)
        destination |= {k: params[k] for k in ("Enabled", "MatchingEventTypes") if k in params}
        changed = _one_destination(params, required=False)
        if changed and not set(changed) & set(destination):
            raise conflict(
                "EVENT_DESTINATION_MISMATCH", "The kind of a destination cannot change", "event-destination",
                destination["EventDestinationName"],
            )  # fmt: skip
        destination |= changed
        return self._named(record) | {"EventDestination": destination}

    async def delete_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        record, destination = self._destination(params)
        record["EventDestinations"].remove(destination)
        return self._named(record) | {"EventDestination": destination}

    def _destination(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        record, name = self.account.configuration_set(params["ConfigurationSetName"]), params["EventDestinationName"]
        for destination in record["EventDestinations"]:
            if destination["EventDestinationName"] == name:
                return record, destination
        raise not_found("event-destination", name)

    async def describe_numbers(self, params: dict[str, Any]) -> dict[str, Any]:
        return describe(
            "PhoneNumbers", self.account.numbers.values(), params,
            ids=params.get("PhoneNumberIds"), id_member="PhoneNumberId", kind="phone-number",
        )  # fmt: skip

    async def describe_pools(self, params: dict[str, Any]) -> dict[str, Any]:
        return describe(
            "Pools", self.account.pools.values(), params,
            ids=params.get("PoolIds"), id_member="PoolId", kind="pool",
        )  # fmt: skip

    async def describe_agents(self, params: dict[str, Any]) -> dict[str, Any]:
        return describe(
            "RcsAgents", self.account.agents.values(), params,
            ids=params.get("RcsAgentIds"), id_member="RcsAgentId", kind="rcs-agent",
        )  # fmt: skip

    async def describe_sender_ids(self, params: dict[str, Any]) -> dict[str, Any]:
        ids = [item["SenderId"] for item in params.get("SenderIds", ())]
        return describe(
            "SenderIds", self.account.sender_ids.values(), params, ids=ids, id_member="SenderId", kind="sender-id"
        )

    async def pool_identities(self, params: dict[str, Any]) -> dict[str, Any]:
        _, pool = self.account.resource(params["PoolId"])
        members = []
        for member in self.account.pool_members[pool["PoolId"]]:
            kind, record = self.account.resource(member)
            item = {
                "OriginationIdentityArn": self.account.arn(kind, member), "OriginationIdentity": member,
                "IsoCountryCode": record.get("IsoCountryCode", "US"),
                "NumberCapabilities": record.get("NumberCapabilities", ["RCS"]),
            }  # fmt: skip
            members.append(item | ({"PhoneNumber": record["PhoneNumber"]} if "PhoneNumber" in record else {}))
        answer = describe("OriginationIdentities", members, params)
        return {"PoolArn": pool["PoolArn"], "PoolId": pool["PoolId"], **answer}

    async def update(self, id_member: str, params: dict[str, Any]) -> dict[str, Any]:
        """UpdatePhoneNumber, UpdatePool, UpdateRcsAgent."""
        _, record = self.account.resource(params[id_member])
        if "OptOutListName" in params:
            params["OptOutListName"] = self.account.opt_out_list(params["OptOutListName"])["OptOutListName"]
        if params.get("TwoWayEnabled") and "TwoWayChannelArn" not in {**record, **params}:
            raise invalid("MISSING_PARAMETER", "TwoWayChannelArn", "is required when two-way is enabled")
        record |= {k: params[k] for k in UPDATABLE if k in params}
        if record["TwoWayEnabled"] is False:
            record.pop("TwoWayChannelArn", None)
        hidden = {"PoolId"} if id_member != "PoolId" else set()
        return {k: v for k, v in record.items() if k not in hidden}

    async def spend_limits(self, params: dict[str, Any]) -> dict[str, Any]:
        limits = [
            {
                "Name": f"{channel}_MESSAGE_MONTHLY_SPEND_LIMIT", "EnforcedLimit": self.account.limit(channel),
                "MaxLimit": self.account.max_limits[channel], "Overridden": channel in self.account.overrides,
            }
            for channel in CHANNELS
        ]  # fmt: skip
        return describe("SpendLimits", limits, params)

    async def set_limit(self, channel: str, params: dict[str, Any]) -> dict[str, Any]:
        if params["MonthlyLimit"] > self.account.max_limits[channel]:
            raise invalid("INVALID_PARAMETER", "MonthlyLimit", "exceeds the limit of the account")
        self.account.overrides[channel] = params["MonthlyLimit"]
        return {"MonthlyLimit": params["MonthlyLimit"]}

    async def delete_limit(self, channel: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"MonthlyLimit": self.account.overrides.pop(channel, self.account.max_limits[channel])}

    async def account_attributes(self, params: dict[str, Any]) -> dict[str, Any]:
        tier = "SANDBOX" if self.core.behaviour.sandbox else "PRODUCTION"
        return describe("AccountAttributes", [{"Name": "ACCOUNT_TIER", "Value": tier}], params)

    async def account_limits(self, params: dict[str, Any]) -> dict[str, Any]:
        account = self.account
        used = (
            ("PHONE_NUMBERS", len(account.numbers), 25), ("POOLS", len(account.pools), 25),
            ("CONFIGURATION_SETS", len(account.sets), MAX_SETS), ("OPT_OUT_LISTS", len(account.opt_out_lists), 25),
            ("SENDER_IDS", len(account.sender_ids), 200),
        )  # fmt: skip
        limits = [{"Name": name, "Used": n, "Max": maximum} for name, n, maximum in used]
        return describe("AccountLimits", limits, params)


def _one_destination(params: dict[str, Any], required: bool) -> dict[str, Any]:
    given = {k: params[k] for k in KINDS_OF_DESTINATION if k in params}
    if len(given) > 1:
        raise invalid("PARAMETERS_CANNOT_BE_USED_TOGETHER", next(iter(given)), "exactly one destination is allowed")
    if required and not given:
        raise invalid("MISSING_PARAMETER", "SnsDestination", "exactly one destination is required")
    return given
