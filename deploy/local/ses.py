"""E-mail of a local stack: a configuration set that publishes to our feed, and inbound mail to the same feed.

SES uses receipt rules of its older API for inbound mail; the simulator uses its control API instead.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from libs.common.declare.names import Names
from libs.common.declare.topology import Topology

EVENTS = [
    *("SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "OPEN", "CLICK"),
    *("RENDERING_FAILURE", "DELIVERY_DELAY", "SUBSCRIPTION"),
]
DESTINATION = "feed"


def provision(topology: Topology, client: Callable[[str], Any], topic_arn: Callable[[str], str]) -> dict[str, Any]:
    """The senders of e-mail, for the setting: a name of a verified domain first, then verified addresses."""
    ses, topic = client("sesv2"), Names(topology.prefix).feed_topic("email")
    with suppress(ses.exceptions.AlreadyExistsException):
        ses.create_configuration_set(ConfigurationSetName=topology.prefix)
    if any(spec.name == topic for spec in topology.topics):
        _publish(ses, topology.prefix, topic_arn(topic))
        receipt = {"topic": topic_arn(topic), "action": "SNS", "encoding": "BASE64"}
        httpx.put(f"{ses.meta.endpoint_url}/control/receipt", json=receipt, trust_env=False).raise_for_status()
    identities = [item for item in ses.list_email_identities()["EmailIdentities"] if item["SendingEnabled"]]
    domains = [item["IdentityName"] for item in identities if item["IdentityType"] == "DOMAIN"]
    addresses = [item["IdentityName"] for item in identities if item["IdentityType"] == "EMAIL_ADDRESS"]
    senders = [*(f"Example Store <news@{domain}>" for domain in domains[:1]), *addresses]
    parameters = {"configurationSet": topology.prefix}
    return {"identities": [{"id": sender} for sender in senders], "parameters": parameters}


def _publish(ses: Any, name: str, topic: str) -> None:
    destination = {"Enabled": True, "MatchingEventTypes": EVENTS, "SnsDestination": {"TopicArn": topic}}
    where = {"ConfigurationSetName": name, "EventDestinationName": DESTINATION, "EventDestination": destination}
    try:
        ses.create_configuration_set_event_destination(**where)
    except ses.exceptions.AlreadyExistsException:
        ses.update_configuration_set_event_destination(**where)
