"""Tells the carriers of a local stack where their events go: the simulator, through the same calls as AWS."""

from collections.abc import Callable
from typing import Any

from libs.common.topology import Topology


def provision(topology: Topology, client: Callable[[str], Any], account: str, region: str) -> None:
    """Point every linked WhatsApp account at our feed topic. Does nothing for feeds that no service has."""
    topics = {topic.name for topic in topology.topics}
    whatsapp = f"{topology.prefix}-feed-whatsapp"
    if whatsapp not in topics:
        return
    social = client("socialmessaging")
    destination = {"eventDestinationArn": f"arn:aws:sns:{region}:{account}:{whatsapp}"}
    for linked in social.list_linked_whatsapp_business_accounts()["linkedAccounts"]:
        social.put_whatsapp_business_account_event_destinations(id=linked["id"], eventDestinations=[destination])
