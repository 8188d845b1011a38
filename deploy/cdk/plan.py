"""What is rendered: the topology of the services, for one stage and one kind of host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from libs.common.declare.discover import discover
from libs.common.declare.names import Names
from libs.common.declare.service import Service
from libs.common.declare.topology import QueueSpec, TableSpec, Topology, queues_of, topology
from libs.common.handle.runtime import check_settings
from libs.common.settings import read, unknown

Hosts = Literal["lambda", "ecs"]
#: Stages whose data is retained when their stacks are deleted.
PRODUCTION = ("prod", "production")
#: The dashboard's development server: the redirect address after sign-in until the stage has an address.
DEVELOPMENT_ORIGIN = "http://localhost:3000"


@dataclass(frozen=True)
class Plan:
    """``public_url`` is the public address of the API; ``certificate`` the ARN of its certificate (ECS);
    ``given`` more ``WECARE_…`` variables for every process."""

    hosts: Hosts
    stage: str
    services: Sequence[Service]
    topology: Topology
    public_url: str = ""
    certificate: str = ""
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return self.topology.prefix

    @property
    def names(self) -> Names:
        return Names(self.prefix)

    @property
    def keep(self) -> bool:
        """Whether tables, buckets, secrets and people stay when their stack is deleted."""
        return self.stage in PRODUCTION

    @property
    def origin(self) -> str:
        return self.public_url or DEVELOPMENT_ORIGIN

    def variables(self) -> dict[str, str]:
        """The variables of every process, without the ids of the deployed user pool."""
        return {"WECARE_STAGE": self.stage, "WECARE_PUBLIC_URL": self.origin, **self.given}

    def table(self, name: str) -> TableSpec:
        return next(spec for spec in self.topology.tables if spec.name == name)

    def queues(self, service: Service) -> list[QueueSpec]:
        """The queues that a service consumes, including dead-letter queues."""
        letters = [spec for spec in self.topology.dead_letter_queues if spec.service == service.name]
        return [*queues_of(self.names, service), *letters]


def plan(
    hosts: Hosts,
    stage: str,
    *,
    services: Sequence[Service] | None = None,
    public_url: str = "",
    certificate: str = "",
    given: Mapping[str, str] | None = None,
) -> Plan:
    """Of all that the repository declares, unless ``services`` says otherwise. Raises SystemExit for what cannot be."""
    # Settings that a process would refuse at its start are refused here.
    settings = read({**(given or {}), "WECARE_STAGE": stage})
    if stage == "local":
        raise SystemExit("the stage `local` is `make up`; choose another, for example STAGE=dev")
    if stage in PRODUCTION and not public_url.startswith("https://"):
        raise SystemExit(
            f"the stage {stage} needs its address: PUBLIC_URL=https://… (people sign in and providers call there)"
        )
    if hosts == "ecs" and public_url.startswith("https://") and not certificate:
        raise SystemExit("HOSTS=ecs with an https address needs CERTIFICATE=<ARN of its ACM certificate>")
    declared = discover() if services is None else services
    check_settings(settings, declared)
    if strange := unknown(settings):
        known = ", ".join(f"{name} (did you mean {similar}?)" for name, similar in strange.items())
        raise SystemExit(f"There is no setting {known}")
    return Plan(
        hosts, stage, declared, topology(declared, settings.prefix), public_url.rstrip("/"), certificate, given or {}
    )
