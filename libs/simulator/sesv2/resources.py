"""Configuration sets, identities, templates, suppression list, contact lists and the account."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from libs.simulator.core import Core
from libs.simulator.errors import ProviderError
from libs.simulator.sesv2 import compose
from libs.simulator.sesv2.account import Account, ConfigurationSet, identity_record, is_reserved
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


class Resources:
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

    async def create_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["EmailIdentity"].lower()
        if name in self.account.identities:
            raise exists("Email identity", name)
        record = identity_record(name, verified=is_reserved(name))
        self.account.identities[name] = record
        return {k: record[k] for k in ("IdentityType", "VerifiedForSendingStatus", "DkimAttributes")}

    async def get_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        return self._identity(params)

    async def delete_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        self._identity(params)
        del self.account.identities[params["EmailIdentity"].lower()]
        return {}

    def _identity(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.identities.get(params["EmailIdentity"].lower())
        if found is None:
            raise missing("Email identity", params["EmailIdentity"])
        return found

    async def list_identities(self, params: dict[str, Any]) -> dict[str, Any]:
        listed = [
            {
                "IdentityName": name, "IdentityType": record["IdentityType"],
                "SendingEnabled": record["VerifiedForSendingStatus"], "VerificationStatus": record["VerificationStatus"],
            }
            for name, record in sorted(self.account.identities.items())
        ]  # fmt: skip
        return page("EmailIdentities", listed, params)

    async def create_template(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params["TemplateName"]
        if name in self.account.templates:
            raise exists("Template", name)
        compose.check_template(params["TemplateContent"])
        self.account.templates[name] = {
            "TemplateContent": params["TemplateContent"], "CreatedTimestamp": self.core.clock.now(),
        }  # fmt: skip
        return {}

    def _template(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.templates.get(params["TemplateName"])
        if found is None:
            raise missing("Template", params["TemplateName"])
        return found

    async def get_template(self, params: dict[str, Any]) -> dict[str, Any]:
        content = self._template(params)["TemplateContent"]
        return {"TemplateName": params["TemplateName"], "TemplateContent": content}

    async def update_template(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self._template(params)
        compose.check_template(params["TemplateContent"])
        found["TemplateContent"] = params["TemplateContent"]
        return {}

    async def delete_template(self, params: dict[str, Any]) -> dict[str, Any]:
        self._template(params)
        del self.account.templates[params["TemplateName"]]
        return {}

    async def list_templates(self, params: dict[str, Any]) -> dict[str, Any]:
        listed = [
            {"TemplateName": name, "CreatedTimestamp": t["CreatedTimestamp"]}
            for name, t in sorted(self.account.templates.items())
        ]
        return page("TemplatesMetadata", listed, params)

    async def test_render(self, params: dict[str, Any]) -> dict[str, Any]:
        content, data = self._template(params)["TemplateContent"], compose.template_data(params["TemplateData"])
        parts = []
        for name in ("Subject", "Text", "Html"):
            text, lacking = compose.render(content.get(name) or "", data)
            if lacking is not None:
                raise bad(f"Attribute '{lacking}' is not present in the rendering data.")
            parts.append(text)
        return {"RenderedTemplate": json.dumps(dict(zip(("Subject", "Text", "Html"), parts, strict=True)))}

    async def put_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.suppress(params["EmailAddress"], params["Reason"], self.core.clock.now())
        return {}

    async def get_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"SuppressedDestination": self._suppressed(params)}

    async def delete_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        self._suppressed(params)
        del self.account.suppressed[params["EmailAddress"]]
        return {}

    def _suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.account.suppressed.get(params["EmailAddress"])
        if found is None:
            raise missing("Email address", params["EmailAddress"] + " on your suppression list")
        return found

    async def list_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        reasons = params.get("Reasons") or ["BOUNCE", "COMPLAINT"]
        listed = [
            {k: r[k] for k in ("EmailAddress", "Reason", "LastUpdateTime")}
            for r in self.account.suppressed.values()
            if r["Reason"] in reasons
        ]
        return page("SuppressedDestinationSummaries", listed, params)

    async def get_account(self, params: dict[str, Any]) -> dict[str, Any]:
        account = self.account
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": "SHUTDOWN" if account.suspended else "HEALTHY",
            "ProductionAccessEnabled": not self.core.behaviour.sandbox,
            "SendQuota": {
                "Max24HourSend": account.max_24_hours,
                "MaxSendRate": account.max_rate,
                "SentLast24Hours": float(account.sent_last_24_hours(self.core.clock.now())),
            },
            "SendingEnabled": account.sending_enabled,
            "SuppressionAttributes": {"SuppressedReasons": account.suppressed_reasons},
        }

    async def put_sending(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.sending_enabled = params.get("SendingEnabled", False)
        return {}

    async def put_suppression(self, params: dict[str, Any]) -> dict[str, Any]:
        self.account.suppressed_reasons = params.get("SuppressedReasons", [])
        return {}


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
