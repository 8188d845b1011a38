"""Identities, configuration sets, opt-out lists and limits of one SMS account, starting as the demo account.

Resources are stored in the format of the Describe operations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from libs.simulator import demo
from libs.simulator.sms_voice.errors import conflict, invalid, not_found

CREATED = 1767225600
"""2026-01-01."""
OPT_OUT_WORDS = ("ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE")
OPT_IN_WORDS = ("START", "UNSTOP")
CHANNELS = ("TEXT", "VOICE", "MEDIA", "RCS", "NOTIFY")

# Longest prefix wins; whatever is not here has no isoCountryCode in its events, which may be missing anyway.
COUNTRIES = {
    "1": "US", "1416": "CA", "1604": "CA", "27": "ZA", "31": "NL", "33": "FR", "34": "ES", "39": "IT", "41": "CH",
    "43": "AT", "44": "GB", "46": "SE", "48": "PL", "49": "DE", "52": "MX", "55": "BR", "61": "AU", "65": "SG",
    "81": "JP", "91": "IN", "234": "NG", "254": "KE", "353": "IE", "971": "AE",
}  # fmt: skip


def country_of(number: str) -> str | None:
    digits = number.removeprefix("+")
    return next((COUNTRIES[digits[:n]] for n in (4, 3, 2, 1) if digits[:n] in COUNTRIES), None)


@dataclass(frozen=True, slots=True)
class Identity:
    """The origination identity of a message. `origin` is a number, sender id or agent id as in events."""

    kind: str
    id: str
    origin: str
    record: dict[str, Any]

    @property
    def capabilities(self) -> list[str]:
        by_kind = {"rcs-agent": ["RCS", "SMS"], "sender-id": ["SMS"]}
        return list(self.record.get("NumberCapabilities") or by_kind.get(self.kind, ["SMS", "MMS", "VOICE", "RCS"]))


@dataclass(slots=True)
class Keyword:
    word: str
    message: str
    action: str


@dataclass(slots=True)
class Account:
    """State of one region. `spent` and `limits` are in USD per month and channel."""

    region: str
    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    pool_members: dict[str, list[str]] = field(default_factory=dict)
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)
    sender_ids: dict[str, dict[str, Any]] = field(default_factory=dict)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    opt_out_lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    opted_out: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    keywords: dict[str, dict[str, Keyword]] = field(default_factory=dict)
    verified: dict[str, dict[str, Any]] = field(default_factory=dict)
    overrides: dict[str, int] = field(default_factory=dict)
    max_limits: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    feedback: dict[str, str] = field(default_factory=dict)
    last_to: dict[tuple[str, str], str] = field(default_factory=dict)

    def arn(self, kind: str, name: str) -> str:
        return demo.sms_arn(kind, name, self.region)

    def limit(self, channel: str) -> int:
        return self.overrides.get(channel, self.max_limits[channel])

    def opt_out_list(self, key: str) -> dict[str, Any]:
        return self._get(self.opt_out_lists, "opt-out-list", key)

    def configuration_set(self, key: str) -> dict[str, Any]:
        return self._get(self.sets, "configuration-set", key)

    @staticmethod
    def _get(store: dict[str, dict[str, Any]], kind: str, key: str) -> dict[str, Any]:
        """By name, id or ARN."""
        found = store.get(key.rpartition("/")[2] if key.startswith("arn:") else key)
        if found is None:
            raise not_found(kind, key)
        return found

    def resource(self, key: str) -> tuple[str, dict[str, Any]]:
        """A number, pool or agent by id, ARN or E.164: (kind, record)."""
        bare = key.rpartition("/")[2] if key.startswith("arn:") else key
        if bare.startswith("pool-"):
            return "pool", self._get(self.pools, "pool", bare)
        if bare.startswith("rcs-"):
            return "rcs-agent", self._get(self.agents, "rcs-agent", bare)
        if bare.startswith("phone-"):
            return "phone-number", self._get(self.numbers, "phone-number", bare)
        for record in self.numbers.values():
            if record["PhoneNumber"] == "+" + bare.removeprefix("+"):
                return "phone-number", record
        if bare.lstrip("+").isdigit():
            raise not_found("phone-number", key)
        return "sender-id", self._get(self.sender_ids, "sender-id", bare)

    def identity(self, key: str | None, capability: str, to: str, prefer_rcs: bool = False) -> Identity:
        """Choose the origination identity for a message; raises the errors of AWS."""
        if key is None:
            for record in self.numbers.values():
                if record["Status"] == "ACTIVE" and capability in record["NumberCapabilities"]:
                    return self._number(record)
            raise conflict(
                "NO_ORIGINATION_IDENTITIES_FOUND", "The account has no origination identity for this message"
            )
        kind, record = self.resource(key)
        if kind == "pool":
            return self._from_pool(record, capability, prefer_rcs)
        if kind == "phone-number":
            identity = self._number(record)
        elif kind == "rcs-agent":
            identity = Identity(kind, record["RcsAgentId"], record["RcsAgentId"], record)
        else:
            identity = Identity(kind, record["SenderId"], record["SenderId"], record)
            if country_of(to) in ("US", "CA"):
                raise invalid("SENDER_ID_NOT_SUPPORTED", "OriginationIdentity", "Sender ids are not supported there")
        if record.get("Status", "ACTIVE") != "ACTIVE":
            raise conflict("RESOURCE_NOT_ACTIVE", "The origination identity is not active", kind, identity.id)
        if capability not in identity.capabilities:
            message = f"The origination identity cannot send {capability}"
            raise conflict("NUMBER_CAPABILITIES_MISMATCH", message, kind, identity.id)
        return identity

    def _number(self, record: dict[str, Any]) -> Identity:
        return Identity("phone-number", record["PhoneNumberId"], record["PhoneNumber"], record)

    def _from_pool(self, pool: dict[str, Any], capability: str, prefer_rcs: bool) -> Identity:
        # The pool's record determines opt-outs and message type; its member is the sender.
        members = self.pool_members[pool["PoolId"]]
        wanted = "rcs-" if capability == "RCS" or (prefer_rcs and capability == "SMS") else "phone-"
        for member in sorted(members, key=lambda m: not m.startswith(wanted)):
            if member.startswith("rcs-") and capability in ("RCS", "SMS"):
                return Identity("pool", pool["PoolId"], member, pool)
            number = self.numbers.get(member)
            if number is not None and capability in number["NumberCapabilities"]:
                return Identity("pool", pool["PoolId"], number["PhoneNumber"], pool)
        raise conflict("NO_ORIGINATION_IDENTITIES_FOUND", "The pool has no identity for this", "pool", pool["PoolId"])

    def opt_out_record(self, list_name: str | None, number: str) -> dict[str, Any] | None:
        return self.opted_out.get(list_name or "", {}).get(e164(number))

    def opt_out(self, list_name: str, number: str, at: float, by_user: bool) -> dict[str, Any]:
        record = {"OptedOutNumber": e164(number), "OptedOutTimestamp": at, "EndUserOptedOut": by_user}
        return self.opted_out[list_name].setdefault(e164(number), record)


def e164(number: str) -> str:
    return "+" + number.removeprefix("+")


def demo_account(region: str) -> Account:
    account = Account(region)
    for number_id, number, kind, message_type in (
        (demo.SMS_PHONE_NUMBER_ID, demo.PHONE_NUMBER, "TEN_DLC", "TRANSACTIONAL"),
        (demo.SMS_SECOND_PHONE_NUMBER_ID, demo.SECOND_PHONE_NUMBER, "TOLL_FREE", "PROMOTIONAL"),
    ):
        account.numbers[number_id] = {
            "PhoneNumberArn": account.arn("phone-number", number_id), "PhoneNumberId": number_id, "PhoneNumber": number,
            "Status": "ACTIVE", "IsoCountryCode": "US", "MessageType": message_type,
            "NumberCapabilities": ["SMS", "VOICE", "MMS"], "NumberType": kind, "MonthlyLeasingPrice": "1.00",
            **_two_way(), "CreatedTimestamp": CREATED,
        }  # fmt: skip
    account.numbers[demo.SMS_PHONE_NUMBER_ID]["PoolId"] = demo.POOL_ID
    account.agents[demo.RCS_AGENT_ID] = {
        "RcsAgentArn": account.arn("rcs-agent", demo.RCS_AGENT_ID), "RcsAgentId": demo.RCS_AGENT_ID,
        "Status": "ACTIVE", "CreatedTimestamp": CREATED, **_two_way(), "PoolId": demo.POOL_ID,
        "TwoWayRcsEventsEnabled": ["ALL"],
    }  # fmt: skip
    account.pools[demo.POOL_ID] = {
        "PoolArn": account.arn("pool", demo.POOL_ID), "PoolId": demo.POOL_ID, "Status": "ACTIVE",
        "MessageType": "TRANSACTIONAL", **_two_way(), "SharedRoutesEnabled": False, "CreatedTimestamp": CREATED,
    }  # fmt: skip
    account.pool_members[demo.POOL_ID] = [demo.SMS_PHONE_NUMBER_ID, demo.RCS_AGENT_ID]
    account.sender_ids[demo.SENDER_ID] = {
        "SenderIdArn": account.arn("sender-id", f"{demo.SENDER_ID}/IN"), "SenderId": demo.SENDER_ID,
        "IsoCountryCode": "IN", "MessageTypes": ["TRANSACTIONAL", "PROMOTIONAL"], "MonthlyLeasingPrice": "0.00",
        "DeletionProtectionEnabled": False, "Registered": True,
    }  # fmt: skip
    add_opt_out_list(account, demo.OPT_OUT_LIST, CREATED)
    account.max_limits = dict.fromkeys(CHANNELS, 1_000_000)
    return account


def _two_way() -> dict[str, Any]:
    return {
        "TwoWayEnabled": False,
        "SelfManagedOptOutsEnabled": False,
        "OptOutListName": demo.OPT_OUT_LIST,
        "DeletionProtectionEnabled": False,
    }


def add_opt_out_list(account: Account, name: str, at: float) -> dict[str, Any]:
    record = {"OptOutListArn": account.arn("opt-out-list", name), "OptOutListName": name, "CreatedTimestamp": at}
    account.opt_out_lists[name] = record
    account.opted_out[name] = {}
    return record
