"""Configures the simulated carriers for a local stack, through the same API calls as for AWS."""

import json
from collections.abc import Callable
from typing import Any

from deploy.local import ses, sms_voice
from libs.common.declare.names import Names
from libs.common.declare.topology import Topology


def provision(topology: Topology, client: Callable[[str], Any], account: str, region: str) -> dict[str, str]:
    """Publish the events of the carriers to our feed topics, if a service has those feeds.

    Returns the variables that name the allowed senders.
    """

    def topic_arn(name: str) -> str:
        return f"arn:aws:sns:{region}:{account}:{name}"

    senders = sms_voice.provision(topology, client, topic_arn)
    senders |= {"email": ses.provision(topology, client, topic_arn)}
    senders |= {"whatsapp": {"identities": [{"id": id} for id in _whatsapp(topology, client, topic_arn)]}}
    return {"WECARE_SENDERS": json.dumps(senders)}


def _whatsapp(topology: Topology, client: Callable[[str], Any], topic_arn: Callable[[str], str]) -> list[str]:
    """Publish the events of every linked account to our topic; returns the ids of its phone numbers."""
    social, topic = client("socialmessaging"), Names(topology.prefix).feed_topic("whatsapp")
    destination = {"eventDestinationArn": topic_arn(topic)}
    numbers = []
    for linked in social.list_linked_whatsapp_business_accounts()["linkedAccounts"]:
        if any(spec.name == topic for spec in topology.topics):
            social.put_whatsapp_business_account_event_destinations(id=linked["id"], eventDestinations=[destination])
        numbers += social.get_linked_whatsapp_business_account(id=linked["id"])["account"]["phoneNumbers"]
    return [number["phoneNumberId"] for number in numbers]
