"""Identities, templates, configuration sets, suppression list, contact lists and quota of one SES account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from libs.simulator import demo
from libs.simulator.errors import ProviderError

CREATED = 1767225600
"""2026-01-01."""
RESERVED_DOMAINS = (".example.com", ".example.net", ".example.org", ".test", ".invalid")
"""Identities under these are verified at once: nobody else can own them (RFC 2606)."""
SIMULATOR_DOMAIN = "simulator.amazonses.com"
DAY_SECONDS = 86400.0


@dataclass(slots=True)
class ConfigurationSet:
    """`options` holds the option structures as given; `destinations` event destinations by name."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    destinations: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def sending_enabled(self) -> bool:
        return bool(self.options.get("SendingOptions", {}).get("SendingEnabled", True))

    def topics(self, event: str) -> list[str]:
        """SNS topics that want an event, by its API name (`BOUNCE`)."""
        return [
            d["SnsDestination"]["TopicArn"]
            for d in self.destinations.values()
            if d.get("Enabled") and "SnsDestination" in d and event in d["MatchingEventTypes"]
        ]


@dataclass(slots=True)
class Account:
    """Quotas count recipients: `max_rate` per second, `max_24_hours` in a moving day."""

    region: str
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    sets: dict[str, ConfigurationSet] = field(default_factory=dict)
    suppressed: dict[str, dict[str, Any]] = field(default_factory=dict)
    suppressed_reasons: list[str] = field(default_factory=lambda: ["BOUNCE", "COMPLAINT"])
    lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    contacts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    sending_enabled: bool = True
    suspended: bool = False
    max_rate: float = 1000.0
    max_24_hours: float = 5_000_000.0
    sent: list[tuple[float, int]] = field(default_factory=list)
    receipt: dict[str, Any] = field(default_factory=dict)

    def set_of(self, name: str | None) -> ConfigurationSet | None:
        if name is None:
            return None
        if name not in self.sets:
            raise ProviderError("NotFoundException", f"Configuration set <{name}> does not exist.")
        return self.sets[name]

    def verified(self, address: str) -> bool:
        """Whether the address, or a domain above it, is a verified identity."""
        local, _, domain = address.lower().rpartition("@")
        labels = domain.split(".")
        names = [address.lower(), *(".".join(labels[i:]) for i in range(len(labels)))]
        return bool(local) and any(self.identities.get(n, {}).get("VerifiedForSendingStatus") for n in names)

    def sent_last_24_hours(self, now: float) -> int:
        self.sent = [(at, n) for at, n in self.sent if now - at < DAY_SECONDS]
        return sum(n for _, n in self.sent)

    def count(self, now: float, recipients: int) -> None:
        # One entry per minute, so that a bulk job does not make the moving day expensive.
        if self.sent and now - self.sent[-1][0] < 60:
            at, n = self.sent[-1]
            self.sent[-1] = (at, n + recipients)
        else:
            self.sent.append((now, recipients))

    def suppress(self, address: str, reason: str, now: float, message_id: str = "", feedback_id: str = "") -> None:
        attributes = {"MessageId": message_id, "FeedbackId": feedback_id} if message_id else None
        record = {"EmailAddress": address, "Reason": reason, "LastUpdateTime": now}
        self.suppressed[address] = record | ({"Attributes": attributes} if attributes else {})

    def is_suppressed(self, address: str, configuration_set: ConfigurationSet | None) -> bool:
        """API address matching is case-sensitive; a configuration set can have reasons of its own."""
        reasons = self.suppressed_reasons
        if configuration_set is not None and "SuppressionOptions" in configuration_set.options:
            reasons = configuration_set.options["SuppressionOptions"].get("SuppressedReasons", reasons)
        record = self.suppressed.get(address)
        return record is not None and record["Reason"] in reasons


def identity_record(name: str, verified: bool) -> dict[str, Any]:
    return {
        "IdentityType": "EMAIL_ADDRESS" if "@" in name else "DOMAIN",
        "VerifiedForSendingStatus": verified,
        "VerificationStatus": "SUCCESS" if verified else "PENDING",
        "FeedbackForwardingStatus": True,
        "DkimAttributes": {
            "SigningEnabled": True,
            "Status": "SUCCESS" if verified else "PENDING",
            "Tokens": ["tokena", "tokenb", "tokenc"],
            "SigningAttributesOrigin": "AWS_SES",
        },
        "Policies": {},
        "Tags": [],
    }


def is_reserved(name: str) -> bool:
    return ("." + name.lower().rpartition("@")[2]).endswith(RESERVED_DOMAINS)


def demo_account(region: str) -> Account:
    account = Account(region)
    for name in (demo.EMAIL_DOMAIN, "example.com", demo.EMAIL_SUPPORT):
        account.identities[name] = identity_record(name, verified=True)
    shipped = {"Subject": "Order {{order}} is on its way", "Text": "Hi {{name}}, order {{order}} has shipped."}
    offer = {
        "Subject": "Spring offer", "Text": "Hello {{name}}, 10% off. {{amazonSESUnsubscribeUrl}}",
        "Html": '<p>Hello {{name}}, <a href="https://example.com/spring">10% off</a>.</p>',
    }  # fmt: skip
    account.templates["order-shipped"] = {"TemplateContent": shipped, "CreatedTimestamp": CREATED}
    account.templates["spring-offer"] = {"TemplateContent": offer, "CreatedTimestamp": CREATED}
    topic = {"TopicName": "offers", "DisplayName": "Offers", "DefaultSubscriptionStatus": "OPT_IN"}
    account.lists["newsletter"] = {
        "ContactListName": "newsletter", "Topics": [topic], "CreatedTimestamp": CREATED, "LastUpdatedTimestamp": CREATED,
    }  # fmt: skip
    return account
