"""The two parts of docker-compose.localstack.yml that follow from the code: the variables, and a worker per service.

`python -m deploy.specs` writes them between their marks; the rest of the file is written by hand.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from deploy.local import environment
from deploy.local.processes import DEFAULT_PORTS
from libs.common.declare.discover import ROOT
from libs.common.declare.service import Service

FILE = ROOT / "docker-compose.localstack.yml"
#: Part of every resource's name there; any but `local` listens to other containers.
STAGE = "containers"
#: LocalStack's host name inside. LocalStack uses it for this machine, too, so that its presigned URLs also open in a
#: browser.
AWS_HOST = "localhost.localstack.cloud"
_END = "# end of generated"


def port(name: str) -> str:
    """The port called `name`, the same inside and outside, as compose fills it in."""
    return f"${{{name.upper()}_PORT:-{DEFAULT_PORTS[name]}}}"


def variables() -> dict[str, str]:
    """The variables of every process: as on the host, with the host names of the containers."""
    on_host = environment.of_places(
        f"http://{AWS_HOST}:{port('aws')}", f"http://simulator:{port('simulator')}", f"http://cognito:{port('cognito')}"
    )
    names = ",".join(["localhost", AWS_HOST, "simulator", "cognito"])
    return on_host | {
        "AWS_CONFIG_FILE": "/app/deploy/containers/aws.ini",
        "NO_PROXY": names,
        "no_proxy": names,
        "WECARE_STAGE": STAGE,
        "WECARE_PUBLIC_URL": f"http://localhost:{port('api')}",
    }


def command(service: Service) -> list[str]:
    """The command of the worker of a service."""
    return ["deploy.containers.run_provisioned", "libs.common.hosts.run", service.name, "--health-port", "8081"]


def rendered(services: Sequence[Service]) -> str:
    """The whole generated file."""
    text = FILE.read_text()
    for what, lines in (("variables", _mapping(variables())), ("workers", _workers(services))):
        begin = f"# generated: {what}"
        head, _, rest = text.partition(f"{begin}\n")
        indent = head[head.rfind("\n") + 1 :]
        _, found, tail = rest.partition(f"{indent}{_END}\n")
        if not found:
            raise ValueError(f"{FILE.name} has lost its marks `{begin}` and `{_END}`")
        text = f"{head}{begin}\n" + "".join(f"{indent}{line}\n" for line in lines) + f"{indent}{_END}\n{tail}"
    return text


def _mapping(values: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(values.items()):
        yield f'{name}: "{value}"'


def _workers(services: Sequence[Service]) -> Iterator[str]:
    for service in services:
        yield f"{service.name}:"
        yield "  <<: *worker"
        yield f"  command: {json.dumps(command(service))}"
