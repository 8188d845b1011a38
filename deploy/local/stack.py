"""A stack: an AWS emulator, the carrier simulator and the processes of the platform, in one directory.

with Stack(tmp_path) as stack:                    # free ports, AWS provisioned, everything healthy
    stack.client("sqs").list_queues()
    stack.kill("workers", signal.SIGKILL)
    stack.start("workers")
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.local import cognito, environment, logs
from deploy.local.parent_watch import ParentWatch
from deploy.local.process import Process
from deploy.local.processes import DEFAULT_PORTS, PERSISTENCE_VARIABLES, table
from deploy.local.provision import everything
from deploy.local.supervisor import BadRequest, Supervisor, read_json, write_json

#: Called once AWS runs; returns variables for the processes after it.
Provision = Callable[["Stack"], Mapping[str, str]]


class Stack(Supervisor):
    """See the module. As a context manager it is started and always stopped."""

    port_names = tuple(DEFAULT_PORTS)

    def __init__(
        self,
        directory: Path | str,
        *,
        aws: str = "embedded",
        ports: Mapping[str, int] | None = None,
        env: Mapping[str, str] | None = None,
        only: Collection[str] | None = None,
        processes: Sequence[Process] | None = None,
        provision: Provision | None = everything,
    ) -> None:
        """`only` picks processes by name; `env` is added to what every child gets; `processes` replaces the table."""
        rows = list(table(aws) if processes is None else processes)
        unknown = set(only or ()) - {row.name for row in rows}
        if unknown:
            raise BadRequest(f"no such process: {', '.join(unknown)}; there are: {', '.join(row.name for row in rows)}")
        self.aws = aws
        self._extra = dict(env or {})
        self._provision = provision
        self._parent_watch: ParentWatch | None = None
        self._clients: dict[str, Any] = {}
        super().__init__(directory, [row for row in rows if only is None or row.name in only], ports)

    @property
    def aws_url(self) -> str:
        """Endpoint of every AWS service but the carriers' (and, beside LocalStack, Cognito)."""
        return environment.url(self.ports["aws"])

    @property
    def keeps(self) -> bool:
        """Whether the data in AWS is saved when the stack stops, and restored (`make up KEEP=1`)."""
        return "aws" in self.rows and PERSISTENCE_VARIABLES.keys() <= self.rows["aws"].env.keys()

    @property
    def cognito_url(self) -> str:
        """Cognito, its hosted sign-in pages and its keys; by name, as redirect addresses are."""
        return f"http://localhost:{self.ports['aws' if self.aws == 'embedded' else 'cognito']}"

    @property
    def simulator_url(self) -> str:
        """The carrier simulator: AWS End User Messaging, SES, and `/control`."""
        return environment.url(self.ports["simulator"])

    @property
    def api_url(self) -> str:
        """Our HTTP API and the dashboard; by name, because browsers allow PKCE on `localhost` alone."""
        return f"http://localhost:{self.ports['api']}"

    @property
    def api_url_for_carriers(self) -> str:
        """The same, as seen by the simulator."""
        return environment.url(self.ports["api"])

    @property
    def config(self) -> dict[str, str]:
        """The variables that provisioning made (ids of the user pool and so on); empty before it ran."""
        return read_json(self.directory / "config.json")

    @property
    def env(self) -> dict[str, str]:
        """The variables that make a process or boto3 use this stack only."""
        return self._env_before_provisioning() | self.config | self._extra

    def token(self, group: str = "ADMIN") -> str:
        """An access token of the demo person of that group, for `Authorization: Bearer`."""
        return self._sign_in(group)["AccessToken"]

    def id_token(self, group: str = "ADMIN") -> str:
        """The id token of that person. An API must not accept it."""
        return self._sign_in(group)["IdToken"]

    def _sign_in(self, group: str) -> dict[str, str]:
        return cognito.sign_in(self.client("cognito-idp"), self.config["WECARE_COGNITO_CLIENT_ID"], group)

    def env_of(self, row: Process) -> dict[str, str]:
        """Processes get the same variables at each `up`, so that those from before provisioning are not restarted."""
        own = super().env_of(row)
        if not row.uses_aws:
            return {"NO_PROXY": environment.NO_PROXY, "no_proxy": environment.NO_PROXY} | own
        return (self.env if row.after_provisioning else self._env_before_provisioning()) | own

    def _env_before_provisioning(self) -> dict[str, str]:
        return environment.of_stack(self.aws, self.ports) | {"WECARE_PUBLIC_URL": self.api_url} | self._extra

    def client(self, service: str) -> Any:
        """A boto3 client of this stack, independent of this process's environment."""
        if service not in self._clients:  # slow to make: botocore reads a description of the whole service
            self._clients[service] = environment.client(self.env, service)
        return self._clients[service]

    def prepare_directory(self, **also: Any) -> None:
        """As in the base class; refuses to mix two kinds of AWS while one of them runs, and to lose saved data."""
        saved = self.saved()
        if self.records() and saved.get("keeps", self.keeps) != self.keeps:
            with_or_without = "with" if saved["keeps"] else "without"
            raise BadRequest(f"this stack runs {with_or_without} KEEP=1; run `make down` before you change that")
        running_on = saved.get("aws", self.aws)
        if running_on != self.aws and (self.records() or running_on == "localstack"):
            raise BadRequest(f"this stack runs with AWS={running_on}; run `make down` before AWS={self.aws}")
        super().prepare_directory(aws=self.aws, keeps=self.keeps, **also)

    def running(self) -> list[str]:
        """The names of the running processes, last started first."""
        return [record.name for record in self.records()]

    def follow(self, names: Sequence[str], *, follow: bool, lines: int) -> None:
        """Print the last `lines` of each log (of those named, if any) and, with `follow`, new lines."""
        if not any((self.directory / "logs").glob("*.log")):
            raise BadRequest("there are no logs yet; run `make up` first")
        logs.show(self.directory / "logs", names, follow=follow, lines=lines)

    def _start_missing(self, rows: Sequence[Process]) -> None:
        super()._start_missing([row for row in rows if not row.after_provisioning])
        if self._provision:
            write_json(self.directory / "config.json", self._provision(self))
        super()._start_missing([row for row in rows if row.after_provisioning])

    def __enter__(self) -> Self:
        # If this process is killed, the watcher stops the stack.
        self._parent_watch = ParentWatch(self.directory)
        try:
            return self.up()
        except BaseException:
            self._parent_watch.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
        if self._parent_watch:
            self._parent_watch.close()
