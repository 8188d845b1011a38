"""Configures Meta's API for a local stack; the simulator implements it for the numbers of the linked account."""

from collections.abc import Callable
from typing import Any

import httpx

from libs.common.declare.names import Names
from libs.common.declare.topology import Topology


def provision(topology: Topology, client: Callable[[str], Any], api_url: str) -> dict[str, str]:
    """Register our webhook at `api_url` with Meta, if a service has that route, with our app secret.

    Returns the variables with Meta's ids of these numbers and the address of the API.
    """
    social, numbers = client("socialmessaging"), []
    for linked in social.list_linked_whatsapp_business_accounts()["linkedAccounts"]:
        numbers += social.get_linked_whatsapp_business_account(id=linked["id"])["account"]["phoneNumbers"]
    simulator = social.meta.endpoint_url
    name = Names(topology.prefix).secret("inbound", "meta-app-secret")
    if name in topology.secrets:
        secret = client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
        hook = {"url": f"{api_url}/webhooks/meta", "secret": secret}
        httpx.put(f"{simulator}/control/meta/webhook", json=hook, trust_env=False).raise_for_status()
    known = ",".join(number["metaPhoneNumberId"] for number in numbers)
    return {"WECARE_META_NUMBERS": known, "WECARE_META_GRAPH_URL": simulator}
