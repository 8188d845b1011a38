"""The table of what a stack runs: a new process is a new row here and nothing else."""

from collections.abc import Mapping
from dataclasses import replace

from deploy.local.process import Process
from deploy.local.supervisor import BadRequest

#: Ports of `make up`; each can be changed by the variable `<NAME>_PORT`. Tests take free ones.
DEFAULT_PORTS = {
    "aws": 4566, "cognito": 4567, "dynamodb": 4568, "simulator": 4580, "api": 8080, "workers": 8081, "workers_bulk": 8082,
    "workers_otp": 8083,
}  # fmt: skip
#: A job of a hundred thousand has a process of its own, and so have codes, which wait behind nothing.
BULK = ("*-bulk", "bulk-counts", "bulk-people", "bulk-plan", "insights-counts")
OTP = ("*-otp",)
#: The AWS here answers one request at a time: limit the concurrent requests of busy processes.
FEW_CONNECTIONS = {"WECARE_STORE_CONNECTIONS": "3"}


#: For the embedded AWS: what it holds is written here when it is reported to stop, and read when it starts.
PERSISTENCE_VARIABLES = {
    "PERSIST_STATE": "1",
    "STATE_DIR": "{stack}/kept/state",
    "S3_PERSIST": "1",
    "S3_DATA_DIR": "{stack}/kept/s3",
}


def _embedded(name: str, services: str = "") -> Process:
    return Process(
        name,
        ("{root}/.venv-emulator/bin/python", "-P", "{root}/deploy/local/emulator.py"),
        port=name,
        health="/_ministack/health",
        after_provisioning=False,
        uses_aws=False,
        env={"AWS_PORT": f"{{{name}}}", "SERVICES": services, "TMPDIR": "{stack}/tmp"},
        grace_seconds=5.0,
    )


#: What LocalStack's free edition lacks.
COGNITO = _embedded("cognito", "cognito-idp,appsync,lambda,iam,sts")

LOCALSTACK_HOST = Process(
    "aws",
    ("{python}", "-m", "deploy.local.localstack_host", "serve", "{stack}/localstack"),
    port="aws",
    health="/_localstack/health",
    after_provisioning=False,
    uses_aws=False,
    env={"AWS_PORT": "{aws}", "DYNAMODB_PORT": "{dynamodb}", "TMPDIR": "{stack}/tmp"},
    ready_seconds=90.0,
    grace_seconds=20.0,
)

SIMULATOR = Process(
    "simulator",
    ("{python}", "-m", "libs.simulator", "--port", "{simulator}"),
    port="simulator",
    health="/control/health",
    after_provisioning=False,
    watches=("libs/simulator",),
)

#: The HTTP routes of every service; their queues are left to the workers, so that either can be killed alone.
API = Process(
    "api",
    ("{python}", "-m", "libs.common.hosts.run", "--all", "--http", "{api}", "--no-worker"),
    port="api",
    health="/health",
    watches=("libs/common", "libs/messaging", "services"),
)


def _workers(name: str, *queues: str, env: Mapping[str, str] | None = None) -> Process:
    port = name.replace("-", "_")
    return Process(
        name,
        ("{python}", "-m", "libs.common.hosts.run", "--all", "--health-port", f"{{{port}}}", *queues),
        port=port,
        health="/",
        watches=("libs/common", "libs/messaging", "services"),
        env=env or {},
        grace_seconds=25.0,  # it drains for up to 15 s (WECARE_DRAIN_SECONDS)
    )


WORKERS = _workers("workers", "--but-queues", *BULK, *OTP, env=FEW_CONNECTIONS)
WORKERS_BULK = _workers("workers-bulk", "--queues", *BULK, env=FEW_CONNECTIONS)
WORKERS_OTP = _workers("workers-otp", "--queues", *OTP)

#: Kind of AWS -> the processes that play it. (`localstack` is containers: deploy/containers/stack.py.)
CLOUDS = {
    "embedded": [_embedded("aws")],
    "localstack-host": [LOCALSTACK_HOST, COGNITO],
}


def table(aws: str = "embedded", *, keep: bool = False) -> list[Process]:
    """The processes of a whole stack, in the order in which they start. With ``keep``, what is in AWS survives a stop."""
    if keep and aws != "embedded":
        raise BadRequest(f"AWS={aws} keeps nothing: KEEP=1 goes with AWS=embedded alone")
    if aws not in CLOUDS:
        raise BadRequest(f"AWS={aws} is not known; choose one of: {', '.join([*CLOUDS, 'localstack'])}")
    cloud = (
        [replace(row, env={**row.env, **PERSISTENCE_VARIABLES}, grace_seconds=60.0) for row in CLOUDS[aws]]
        if keep
        else CLOUDS[aws]
    )
    return [*cloud, SIMULATOR, API, WORKERS, WORKERS_BULK, WORKERS_OTP]
