"""The table of what a stack runs: a new process is a new row here and nothing else."""

from deploy.local.process import Process
from deploy.local.supervisor import BadRequest

AWS_KINDS = ("embedded", "localstack", "localstack-host")

#: Ports of `make up`; each can be changed by the variable `<NAME>_PORT`. Tests take free ones.
DEFAULT_PORTS = {"aws": 4566, "cognito": 4567, "simulator": 4600, "api": 8080}


def _embedded(name: str, services: str = "") -> Process:
    return Process(
        name,
        ("{root}/.venv-emulator/bin/python", "{root}/deploy/local/emulator.py"),
        port=name,
        health="/_ministack/health",
        after_provisioning=False,
        uses_aws=False,
        env={"AWS_PORT": f"{{{name}}}", "SERVICES": services, "TMPDIR": "{stack}/tmp"},
        grace_seconds=5.0,
    )


SIMULATOR = Process(
    "simulator",
    ("{python}", "-m", "libs.simulator", "--port", "{simulator}"),
    port="simulator",
    health="/control/health",
    after_provisioning=False,
    watches=("libs/simulator",),
)


def table(aws: str = "embedded") -> list[Process]:
    """The processes of a whole stack, in the order in which they start."""
    if aws not in AWS_KINDS:
        raise BadRequest(f"AWS={aws} is not known; choose one of: {', '.join(AWS_KINDS)}")
    if aws == "embedded":
        clouds = [_embedded("aws")]
    else:
        raise BadRequest(f"AWS={aws} is not built yet; use AWS=embedded")
    return [*clouds, SIMULATOR]
