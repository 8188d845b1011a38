"""Starts, monitors and stops the processes of one directory; independent of AWS and WECARE.

The directory contains `run/` (process records), `logs/`, `tmp/` and `stack.json` (ports). All data about running
processes is there, so that `make down` works after the terminal that ran `make up` is gone.
"""

import contextlib
import fcntl
import hashlib
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from deploy.local import health, process
from deploy.local.ports import PortTaken, free_ports, require_free
from deploy.local.process import Record

ROOT = Path(__file__).resolve().parents[2]
#: How long a restarted process waits for its port.
PORT_TIMEOUT_SECONDS = 20.0


class BadRequest(ValueError):
    """The caller named something that does not exist or does not run; the text lists what does."""


class Supervisor:
    """The processes of `directory`. Ports that are not given are those of the last start there, or free ones."""

    port_names: tuple[str, ...] = ()  # further ports

    def __init__(
        self, directory: Path | str, rows: Sequence[process.Process], ports: Mapping[str, int] | None = None
    ) -> None:
        self.directory = Path(directory).resolve()
        self.rows = {row.name: row for row in rows}
        self.ports = self._choose_ports(ports or {})

    def env_of(self, row: process.Process) -> dict[str, str]:
        """Environment variables for a child, in addition to this process's; subclasses add some."""
        return {name: self._fill(value) for name, value in row.env.items()}

    @property
    def run_directory(self) -> Path:
        """The directory of the records."""
        return self.directory / "run"

    # -- all of them -------------------------------------------------------------------------------

    def up(self) -> Self:
        """Start what does not run yet, and return once everything is ready.

        When anything fails, what this call has started is stopped again, and the error is raised.
        """
        self.prepare_directory()
        with self._locked():
            before = self.records()
            try:
                self._start_missing(list(self.rows.values()))
            except BaseException:
                for record in self.records():
                    if record not in before:
                        self.stop(record.name)
                raise
        return self

    def down(self) -> None:
        """Stop all processes, last started first. No error if none runs."""
        if not self.run_directory.is_dir():
            return
        with self._locked():
            for record in self.records():
                self.stop(record.name)

    def _start_missing(self, rows: Sequence[process.Process]) -> None:
        """Start these in parallel, then wait for each."""
        for row in rows:
            self.start(row.name, wait=False)
        for row in rows:
            self.wait_healthy(row.name)

    # -- one of them -------------------------------------------------------------------------------

    def start(self, name: str, *, wait: bool = True) -> Record:
        """Start `name` unless it runs. A process whose definition or code has changed is restarted."""
        row = self._row(name)
        env, argv = self.env_of(row), [self._fill(word) for word in row.argv]
        digest = _digest(argv, env, row.watches)
        record = self.record(name)
        if record and process.is_alive(record) and record.digest == digest:
            if wait:
                self.wait_healthy(name)
            return record
        self.stop(name)
        if row.port:
            self._have_port(name, row.port, PORT_TIMEOUT_SECONDS if record else 0)
        try:
            record = process.spawn(row, argv, env, self.directory, ROOT, digest)
        except OSError as error:
            raise BadRequest(f"`{name}` cannot be started: {error}") from error
        record.save(self.run_directory)
        if wait:
            self.wait_healthy(name)
        return record

    def stop(self, name: str) -> None:
        """SIGTERM, and SIGKILL after the row's grace. No error if it does not run."""
        record = self.record(name)
        if record:
            process.stop(record)
            Record.forget(self.run_directory, name)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal the process and its children; after SIGKILL, return once they are gone, else at once.

        Raises BadRequest when it does not run.
        """
        record = self.record(name)
        if not record or not process.send(record, number):
            raise BadRequest(f"`{name}` does not run in {self.directory}")
        if number == signal.SIGKILL:
            process.kill(record)

    def wait_healthy(self, *names: str, seconds: float | None = None) -> None:
        """Wait until the named processes (all, when none is named) are ready; raises health.NotHealthy."""
        for name in names or tuple(self.rows):
            row, record = self._row(name), self.record(name)
            if record is None:
                raise health.NotHealthy(f"`{name}` was not started in {self.directory}")
            health.wait(record, row, self.ports.get(row.port or ""), seconds or row.ready_seconds)

    def problem(self, name: str) -> str | None:
        """None when `name` runs and is ready, else a short error."""
        row, record = self._row(name), self.record(name)
        if record is None:
            return "stopped"
        return health.problem(record, row, self.ports.get(row.port or ""))

    def record(self, name: str) -> Record | None:
        """The record of `name`, also if the process ended by itself."""
        return Record.load(self.run_directory, name)

    def records(self) -> list[Record]:
        """All records of this directory, also of processes that are not in this table; last started first."""
        found = (self.record(path.stem) for path in self.run_directory.glob("[!.]*.json"))
        return sorted((record for record in found if record), key=lambda record: -record.started)

    # -- inside ------------------------------------------------------------------------------------

    def _row(self, name: str) -> process.Process:
        if name not in self.rows:
            raise BadRequest(f"there is no process `{name}` here, only: {', '.join(self.rows)}")
        return self.rows[name]

    def _have_port(self, name: str, port: str, seconds: float) -> None:
        """Raises PortTaken if it is still in use after so many seconds: a killed process may release it late."""
        end = time.monotonic() + seconds
        while True:
            try:
                return require_free(name, port, self.ports[port])
            except PortTaken:
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def _fill(self, text: str) -> str:
        return text.format(root=ROOT, stack=self.directory, python=sys.executable, **self.ports)

    def _choose_ports(self, given: Mapping[str, int]) -> dict[str, int]:
        """The given ports, else those of the last start, else free ones."""
        names = {row.port for row in self.rows.values() if row.port} | set(self.port_names)
        ports = {name: int(port) for name, port in self.saved().get("ports", {}).items()} | dict(given)
        missing = sorted(names - set(ports))
        return ports | dict(zip(missing, free_ports(len(missing)), strict=True))

    def saved(self) -> dict[str, Any]:
        """The saved data of the last start in this directory: `ports`, and what subclasses add."""
        return read_json(self.directory / "stack.json")

    def prepare_directory(self, **also: Any) -> None:
        """Create the directory and save the start options."""
        for folder in ("run", "logs", "tmp"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        write_json(self.directory / "stack.json", {"ports": self.ports, **also})

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One `up` or `down` of a directory at a time; the second waits."""
        with open(self.directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _digest(argv: Sequence[str], env: Mapping[str, str], watches: Sequence[str]) -> str:
    newest = max(
        (file.stat().st_mtime_ns for folder in watches for file in (ROOT / folder).rglob("*.py")),
        default=0,
    )
    return hashlib.sha256(json.dumps([list(argv), sorted(env.items()), newest]).encode()).hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is no such file."""
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object, whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(dict(value), indent=2) + "\n")
    draft.replace(path)
