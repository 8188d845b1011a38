"""The carrier of SMS, MMS, voice and RCS: configures its events, inbound messages and senders."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from libs.common.declare.names import Names
from libs.common.declare.topology import Topology

#: ``ALL`` is SMS, MMS and voice; RCS has to be named.
EVENTS = ["ALL", "RCS_ALL"]
#: High limits, so that a local stack does not wait (parts, calls and messages a second).
RATES = {"sms": 100, "voice": 20, "rcs": 100}


def provision(topology: Topology, client: Callable[[str], Any], topic_arn: Callable[[str], str]) -> dict[str, Any]:
    """Publish the events of the account to our feeds, if a service has them; returns the senders by channel, for the setting."""
    carrier, names = client("pinpoint-sms-voice-v2"), Names(topology.prefix)
    topics = {spec.name for spec in topology.topics}
    events, inbound = names.feed_topic("sms-voice"), names.feed_topic("sms-voice-inbound")
    if events in topics:
        _report(carrier, topology.prefix, topic_arn(events))
    numbers = carrier.describe_phone_numbers()["PhoneNumbers"]
    agents = carrier.describe_rcs_agents()["RcsAgents"]
    if inbound in topics:
        # The platform handles STOP for every channel, so AWS must not answer it too.
        two_way = {"TwoWayEnabled": True, "TwoWayChannelArn": topic_arn(inbound), "SelfManagedOptOutsEnabled": True}
        for number in numbers:
            carrier.update_phone_number(PhoneNumberId=number["PhoneNumberId"], **two_way)
        for agent in agents:
            carrier.update_rcs_agent(RcsAgentId=agent["RcsAgentId"], **two_way)
    common = {"configurationSet": topology.prefix} if events in topics else {}
    return {
        "sms": {"identities": [_number(number, "sms") for number in numbers], "parameters": common},
        "voice": {"identities": [_number(number, "voice") for number in numbers], "parameters": common},
        "rcs": {
            "identities": [{"id": agent["RcsAgentId"], "perSecond": RATES["rcs"]} for agent in agents],
            "parameters": {**common, **({"fallbackIdentity": numbers[0]["PhoneNumber"]} if numbers else {})},
        },
    }


def _report(carrier: Any, name: str, topic: str) -> None:
    """Create a configuration set with our topic as its destination; idempotent."""
    exists = carrier.exceptions.ConflictException
    with suppress(exists):
        carrier.create_configuration_set(ConfigurationSetName=name)
    wanted = {
        "ConfigurationSetName": name,
        "EventDestinationName": "events",
        "MatchingEventTypes": EVENTS,
        "SnsDestination": {"TopicArn": topic},
    }
    try:
        carrier.create_event_destination(**wanted)
    except exists:
        carrier.update_event_destination(**wanted)


def _number(number: Any, channel: str) -> dict[str, Any]:
    """A sender by its number; it is registered for one type of message."""
    identity = {"id": number["PhoneNumber"], "kind": number["NumberType"], "perSecond": RATES[channel]}
    return {**identity, "parameters": {"messageType": number["MessageType"]}} if channel == "sms" else identity
