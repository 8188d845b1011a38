"""Everything in AWS that a stack needs before our processes start; safe to run again."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, Protocol

from deploy.local import carriers, cognito, environment, meta, resources
from libs.common.declare.discover import discover
from libs.common.declare.service import Service
from libs.common.declare.topology import topology
from libs.common.settings import read


class Place(Protocol):
    """What is provisioned: a `Stack`, or the same seen from inside its containers."""

    @property
    def env(self) -> Mapping[str, str]: ...

    @property
    def rows(self) -> Container[str]: ...

    @property
    def api_url(self) -> str: ...

    @property
    def api_url_for_carriers(self) -> str: ...

    @property
    def cognito_url(self) -> str: ...

    def client(self, service: str) -> Any: ...


def everything(stack: Place, services: Sequence[Service] | None = None) -> Mapping[str, str]:
    """Provision AWS, Cognito and the carriers for `services` (all that the repository declares).

    Returns the variables with the created ids for our processes.
    """
    prefix = read(stack.env).prefix
    whole = topology(discover() if services is None else services, prefix)
    resources.provision(whole, stack.client)
    known = cognito.provision(stack.client("cognito-idp"), prefix, stack.cognito_url, stack.api_url)
    if "simulator" in stack.rows:
        account = stack.client("sts").get_caller_identity()["Account"]
        known |= carriers.provision(whole, stack.client, account, environment.REGION)
        known |= meta.provision(whole, stack.client, stack.api_url_for_carriers)
    return known
