"""`AWS=localstack`: a stack whose processes are the containers of docker-compose.localstack.yml.

It has the interface of `Stack`, so `make up`, `down`, `status`, `logs` and the smoke scenario work with it.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from deploy.containers import compose
from deploy.local.process import Process
from deploy.local.provision import everything
from deploy.local.stack import Provision, Stack
from deploy.local.supervisor import ROOT, BadRequest, write_json
from libs.common.declare.discover import discover

_ELSE = "; without Docker there is AWS=localstack-host, and without LocalStack AWS=embedded"
#: Sufficient to pull LocalStack's image and to build ours the first time.
_START_TIMEOUT_SECONDS = 1800
#: Containers that are not workers, and their health ports.
_OTHERS = {"localstack": "aws", "cognito": "cognito", "simulator": "simulator", "api": "api"}


class Containers(Stack):
    """See the module. `workers` means the workers of all services, and `aws` is LocalStack, as in other stacks."""

    def __init__(
        self,
        directory: Path | str,
        *,
        ports: Mapping[str, int] | None = None,
        env: Mapping[str, str] | None = None,
        provision: Provision | None = everything,
    ) -> None:
        self._workers = [service.name for service in discover()]
        self._settings = dict(env or {})
        rows = [Process(name, (), port=_OTHERS.get(name)) for name in (*_OTHERS, *self._workers)]
        reported = self._settings | {"WECARE_STAGE": compose.STAGE}
        super().__init__(directory, aws="localstack", ports=ports, env=reported, processes=rows, provision=provision)

    # -- all of them -------------------------------------------------------------------------------

    def up(self) -> Self:
        """Build, start, provision; returns once every container is healthy. Stops everything if one fails to start."""
        require_docker()
        self.prepare_directory()
        before = self.running()
        write_json(self._override, {"services": {name: {"environment": self._settings} for name in self._ours()}})
        try:
            self._run("up", "--build", "--detach", "--wait", "--wait-timeout", str(_START_TIMEOUT_SECONDS), shown=True)
            if self._provision:
                # It finds what the container `provision` created.
                write_json(self.directory / "config.json", self._provision(self))
        except BaseException:
            if not before:
                self.down()
            raise
        return self

    def down(self) -> None:
        """Stop and remove the containers and their data. No error if none runs."""
        if not self._was_started():
            return
        try:
            require_docker()
        except BadRequest as lacking:  # then no container runs either
            print(lacking)
        else:
            self._run("down", "--volumes", "--remove-orphans", "--timeout", "25", shown=True)
        (self.directory / "stack.json").unlink()

    def running(self) -> list[str]:
        """The names of the running containers."""
        try:
            return sorted(name for name, state in self._states().items() if state["State"] == "running")
        except BadRequest:  # without an engine nothing runs
            return []

    def follow(self, names: Sequence[str], *, follow: bool, lines: int) -> None:
        """Print the last `lines` of each (of those named, if any), and new lines."""
        wanted = [each for name in names for each in self._named(name)]
        self._run("logs", *(["--follow"] if follow else []), "--tail", str(lines), *wanted, shown=True)

    # -- one of them -------------------------------------------------------------------------------

    def start(self, name: str, *, wait: bool = True) -> Any:
        """Start `name` unless it runs."""
        self._run("up", "--detach", "--no-deps", *(["--wait"] if wait else []), *self._named(name))

    def stop(self, name: str) -> None:
        """SIGTERM, and SIGKILL after the grace period of the compose file."""
        self._run("stop", *self._named(name))

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal it."""
        self._run("kill", "--signal", number.name, *self._named(name))

    def wait_healthy(self, *names: str, seconds: float | None = None) -> None:
        """Wait until the named (all, when none is named) are ready."""
        for name in names or tuple(self.rows):
            self.start(name)

    def problem(self, name: str) -> str | None:
        """None when `name` runs and is healthy, else a short error."""
        states = self._states()
        for each in self._named(name):
            state = states.get(each, {"State": "stopped"})
            if state["State"] != "running" or state.get("Health") not in ("healthy", ""):
                return f"{state['State']} {state.get('Health', '')}".strip()
        return None

    # -- inside ------------------------------------------------------------------------------------

    @property
    def _override(self) -> Path:
        return self.directory / "settings.json"

    def _was_started(self) -> bool:
        """`stack.json` may belong to a stack of processes, which this class must not stop."""
        return self.saved().get("aws") == self.aws

    def _ours(self) -> list[str]:
        return ["api", *self._workers]

    def _named(self, name: str) -> list[str]:
        several = {"aws": ["localstack"], "workers": self._workers}.get(name)
        return several or [self._row(name).name]

    def _states(self) -> dict[str, dict[str, str]]:
        """Of each container: `State` and `Health`, as `docker compose ps` tells them."""
        if not self._was_started():
            return {}
        lines = self._run("ps", "--all", "--format", "json").splitlines()
        found = [each for line in lines if line for each in _list(json.loads(line))]
        return {state["Service"]: state for state in found}

    def _run(self, *words: str, shown: bool = False) -> str:
        """One `docker compose` command on this stack; its output goes to the terminal if `shown`, else is returned."""
        files = [compose.FILE, *([self._override] if self._override.exists() else [])]
        argv = ["docker", "compose", "--project-name", f"wecare-{self.ports['aws']}", "--project-directory", str(ROOT)]
        argv += [word for file in files for word in ("--file", str(file))]
        ports = {f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        if not shutil.which("docker"):
            require_docker()
        done = subprocess.run(
            [*argv, *words], env=os.environ | ports, stdout=None if shown else subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            require_docker()
            raise BadRequest(f"`docker compose {' '.join(words)}` failed ({done.returncode}); what it says is above")
        return done.stdout or ""


def _list(value: Any) -> list[dict[str, str]]:
    """Releases of compose differ: one JSON array, or one object a line."""
    return value if isinstance(value, list) else [value]


def require_docker() -> None:
    """Raise BadRequest that names what is missing: the client, its compose plugin, or the engine."""
    if not shutil.which("docker"):
        raise BadRequest(f"AWS=localstack runs in containers, and there is no `docker` here{_ELSE}")
    asked = {
        "Docker's compose plugin, which this `docker` does not have": ["compose", "version"],
        "a running Docker engine, and none answers": ["version", "--format", "{{.Server.Version}}"],
    }
    for what, words in asked.items():
        done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip() or done.stdout.strip()).splitlines()[:1]
            raise BadRequest(f"AWS=localstack needs {what} ({''.join(why)}){_ELSE}")


def a_stack(directory: Path | str, *, aws: str = "embedded", **more: Any) -> Stack:
    """A stack of that kind of AWS: of containers for `localstack`, else of processes."""
    return Containers(directory, **more) if aws == "localstack" else Stack(directory, aws=aws, **more)
