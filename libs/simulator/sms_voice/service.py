"""The pinpoint-sms-voice-v2 service: its operations and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from libs.simulator.core import Addressee, Core, Handler
from libs.simulator.errors import ProviderError
from libs.simulator.model import Invalid, service_model
from libs.simulator.sms_voice.account import CHANNELS, Account, country_of, demo_account
from libs.simulator.sms_voice.errors import invalid
from libs.simulator.sms_voice.optouts import OptOuts
from libs.simulator.sms_voice.resources import Resources
from libs.simulator.sms_voice.send import Sender


class SmsVoice:
    """SMS, MMS, voice and RCS through AWS End User Messaging."""

    name = "pinpoint-sms-voice-v2"

    def __init__(self, core: Core) -> None:
        self.core = core
        self.account = demo_account(core.settings.region)
        self.sender = Sender(core, self.account)
        self.resources = Resources(core, self.account)
        self.optouts = OptOuts(core, self.account)
        self.operations: Mapping[str, Handler] = self._sends() | self._resources() | self._optouts()

    def _sends(self) -> dict[str, Handler]:
        notify = self.sender.notify
        return {
            "SendTextMessage": self.sender.text,
            "SendMediaMessage": self.sender.media,
            "SendVoiceMessage": self.sender.voice,
            "SendRcsMessage": self.sender.rcs,
            "SendNotifyTextMessage": partial(notify, "SendNotifyTextMessage", "otp-default"),
            "SendNotifyVoiceMessage": partial(notify, "SendNotifyVoiceMessage", "otp-voice"),
        }

    def _resources(self) -> dict[str, Handler]:
        found = self.resources
        default = found.set_default
        operations: dict[str, Handler] = {
            "CreateConfigurationSet": found.create_set,
            "DeleteConfigurationSet": found.delete_set,
            "DescribeConfigurationSets": found.describe_sets,
            "SetDefaultMessageType": partial(default, "DefaultMessageType", "MessageType"),
            "SetDefaultSenderId": partial(default, "DefaultSenderId", "SenderId"),
            "SetDefaultMessageFeedbackEnabled": partial(
                default, "DefaultMessageFeedbackEnabled", "MessageFeedbackEnabled"
            ),
            "CreateEventDestination": found.create_destination,
            "UpdateEventDestination": found.update_destination,
            "DeleteEventDestination": found.delete_destination,
            "DescribePhoneNumbers": found.describe_numbers,
            "DescribePools": found.describe_pools,
            "DescribeRcsAgents": found.describe_agents,
            "DescribeSenderIds": found.describe_sender_ids,
            "ListPoolOriginationIdentities": found.pool_identities,
            "UpdatePhoneNumber": partial(found.update, "PhoneNumberId"),
            "UpdatePool": partial(found.update, "PoolId"),
            "UpdateRcsAgent": partial(found.update, "RcsAgentId"),
            "DescribeSpendLimits": found.spend_limits,
            "DescribeAccountAttributes": found.account_attributes,
            "DescribeAccountLimits": found.account_limits,
            "CarrierLookup": self.carrier_lookup,
        }
        for channel in CHANNELS:
            name = f"{channel.title()}MessageSpendLimitOverride"
            operations[f"Set{name}"] = partial(found.set_limit, channel)
            operations[f"Delete{name}"] = partial(found.delete_limit, channel)
        return operations

    def _optouts(self) -> dict[str, Handler]:
        found = self.optouts
        return {
            "CreateOptOutList": found.create_list,
            "DeleteOptOutList": found.delete_list,
            "DescribeOptOutLists": found.describe_lists,
            "PutOptedOutNumber": found.put_number,
            "DeleteOptedOutNumber": found.delete_number,
            "DescribeOptedOutNumbers": found.describe_numbers,
            "PutKeyword": found.put_keyword,
            "DeleteKeyword": found.delete_keyword,
            "DescribeKeywords": found.describe_keywords,
            "PutMessageFeedback": found.put_feedback,
        }

    def prepare(self, operation: str, params: dict[str, Any]) -> Addressee | None:
        return self.sender.prepare(params) if operation.startswith("Send") else None

    def invalid(self, error: Invalid) -> ProviderError:
        fields = [{"Name": p.path, "Message": p.message} for p in error.problems]
        members = {"Reason": "FIELD_VALIDATION_FAILED", "Fields": fields}
        return ProviderError("ValidationException", error.text(), members=members)

    def refusal(self, kind: str) -> ProviderError:
        if kind == "invalid_number":
            return invalid("INVALID_PARAMETER", "DestinationPhoneNumber", "is not a valid number")
        if kind == "throttled":
            return ProviderError("ThrottlingException", "Rate exceeded")
        return ProviderError("InternalServerException", "Internal error", status=500)

    def known_event(self, name: str) -> bool:
        names = service_model(self.name).service.shape_for("EventType").enum
        return name == "RCS_REJECTED" or (name in names and not name.endswith("ALL"))

    def reset(self, everything: bool) -> None:
        fresh = demo_account(self.account.region)
        if not everything:
            self._keep_destinations(fresh)
        for name in Account.__dataclass_fields__:
            setattr(self.account, name, getattr(fresh, name))
        self.optouts.removed.clear()

    def _keep_destinations(self, fresh: Account) -> None:
        """Configuration sets and two-way channels."""
        fresh.sets = self.account.sets
        for kept, new in (
            (self.account.numbers, fresh.numbers),
            (self.account.pools, fresh.pools),
            (self.account.agents, fresh.agents),
        ):
            for key, record in new.items():
                old = kept.get(key, {})
                record |= {k: old[k] for k in ("TwoWayEnabled", "TwoWayChannelArn") if k in old}

    async def carrier_lookup(self, params: dict[str, Any]) -> dict[str, Any]:
        """By prefix only: the demo has no numbering plan."""
        number = "+" + "".join(c for c in params["PhoneNumber"] if c.isdigit())
        country = country_of(number)
        kind = "INVALID" if number == "+12025550190" else "MOBILE"
        found = {"E164PhoneNumber": number, "PhoneNumberType": kind, "Carrier": "Example Wireless"}
        return found | ({"IsoCountryCode": country} if country else {})
