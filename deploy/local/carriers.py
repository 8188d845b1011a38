"""Introduces a local stack and its carriers to each other: the simulator, through the same calls as AWS."""

from collections.abc import Callable
from typing import Any

from libs.common.topology import Names, Topology


def provision(topology: Topology, client: Callable[[str], Any], account: str, region: str) -> dict[str, str]:
    """Have the events of every linked WhatsApp account published to our feed topic, if a service has that feed.

    Returns the variable that names the phone numbers which may send.
    """
    social, topic = client("socialmessaging"), Names(topology.prefix).feed_topic("whatsapp")
    destination = {"eventDestinationArn": f"arn:aws:sns:{region}:{account}:{topic}"}
    numbers = []
    for linked in social.list_linked_whatsapp_business_accounts()["linkedAccounts"]:
        if any(spec.name == topic for spec in topology.topics):
            social.put_whatsapp_business_account_event_destinations(id=linked["id"], eventDestinations=[destination])
        numbers += social.get_linked_whatsapp_business_account(id=linked["id"])["account"]["phoneNumbers"]
    return {"WECARE_WHATSAPP_PHONE_NUMBER_IDS": ",".join(number["phoneNumberId"] for number in numbers)}
