"""One background process: started in a separate session, recorded in a file, stopped only if the record still matches.

A pid is not sufficient: the kernel reuses it once our process has ended. So the record keeps the
start time of the process (and the boot it belongs to) as its *mark*, which is checked before every signal.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_MAX_LOG_BYTES = 20_000_000  # bytes, then the log is moved aside once
_TAG_VARIABLE = "WECARE_PROCESS"  # in the environment of each process and its children: identifies the owner
GRACE_SECONDS = 10.0
_children: dict[int, "subprocess.Popen[bytes]"] = {}  # only to reap children of this process


@dataclass(frozen=True)
class Process:
    """How to run one. In `argv` and `env`, `{name}` is the port of that name, `{root}` the repository, `{stack}` the
    stack's directory and `{python}` the interpreter that runs this."""

    name: str
    argv: tuple[str, ...]
    port: str | None = None  # the name of its port, when it listens
    health: str | None = None  # path on that port that answers 2xx once it is ready
    ready_line: str | None = None  # or: text that its log holds once it is ready; with neither, to be alive is enough
    after_provisioning: bool = True  # False: provisioning itself needs it
    uses_aws: bool = True  # False: it is the AWS emulator, and gets no AWS endpoint
    env: Mapping[str, str] = field(default_factory=dict)
    watches: tuple[str, ...] = ()  # folders of the repository: it is restarted when a .py file there has changed
    ready_seconds: float = 30.0
    grace_seconds: float = GRACE_SECONDS


@dataclass(frozen=True)
class Record:
    """The record of a started process, stored in `<stack>/run/<name>.json`."""

    name: str
    pid: int
    mark: str
    tag: str  # in its environment, and in that of its children
    digest: str  # digest of its definition and code: when it changes, the process is restarted
    log: str
    log_offset: int  # where the log of this start begins, in bytes
    started: float  # Unix seconds
    grace_seconds: float = GRACE_SECONDS

    def save(self, run: Path) -> None:
        """Write the record to `run/<name>.json`, whole or not at all."""
        draft = run / f".{self.name}.json"
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(run / f"{self.name}.json")

    @classmethod
    def load(cls, run: Path, name: str) -> "Record | None":
        """The record of `name`, or None when it was never started or was stopped."""
        try:
            return cls(**json.loads((run / f"{name}.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @staticmethod
    def forget(run: Path, name: str) -> None:
        """Remove the record of `name`, if there is one."""
        (run / f"{name}.json").unlink(missing_ok=True)

    def log_text(self) -> str:
        """All that this start of the process wrote."""
        try:
            with open(self.log, "rb") as log:
                log.seek(self.log_offset)
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that this start of the process wrote."""
        return "\n".join(self.log_text().splitlines()[-lines:])


def spawn(row: Process, argv: Sequence[str], env: Mapping[str, str], stack: Path, cwd: Path, digest: str) -> Record:
    """Start `argv` (the row's, filled in) in a new session; its output goes to `<stack>/logs/<name>.log`, and `env`
    is added to the environment of this process.

    Raises OSError (with the program's name) when the program cannot be run.
    """
    log, tag = stack / "logs" / f"{row.name}.log", f"{stack}/{row.name}"
    if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with open(log, "ab") as out:
        offset = out.tell()
        child = subprocess.Popen(
            argv,
            env=_child_environment({**env, _TAG_VARIABLE: tag}),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    _children[child.pid] = child
    mark = start_mark_of(child.pid) or "ended at once"
    return Record(row.name, child.pid, mark, tag, digest, str(log), offset, time.time(), row.grace_seconds)


def _child_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Without anything of AWS or WECARE but `own`: no profile, credential or setting leaks in from the shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WECARE_"))}
    return kept | dict(own)


def is_alive(record: Record) -> bool:
    """True while the very process that was started runs (a zombie does not)."""
    return start_mark_of(record.pid) == record.mark


def send(record: Record, number: signal.Signals) -> bool:
    """Signal the process and its group; False when the process is no longer there."""
    if not is_alive(record):
        return False
    try:
        os.killpg(record.pid, number)
    except ProcessLookupError:
        return False
    return True


def stop(record: Record) -> bool:
    """SIGTERM, then SIGKILL to what is left after its grace. True when SIGTERM was enough."""
    return _end(record, signal.SIGTERM, record.grace_seconds) or not kill(record)


def kill(record: Record) -> bool:
    """SIGKILL to the process and to all that it started; returns once they are gone."""
    # Twice: only once the process itself has gone are those that left its group looked for.
    return _end(record, signal.SIGKILL, 0.2) or _end(record, signal.SIGKILL, 5.0)


def _end(record: Record, number: signal.Signals, seconds: float) -> bool:
    if not send(record, number):
        for pid in _left_behind(record):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    deadline = time.monotonic() + seconds
    while is_alive(record) or _left_behind(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def start_mark_of(pid: int) -> str | None:
    """When the process started, in words only good for comparing; None when there is none (or only a zombie)."""
    if (child := _children.get(pid)) and child.poll() is not None:
        _children.pop(pid, None)
    try:
        fields = _stat(pid)
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _mark_by_ps(pid)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] in "ZX" else f"{boot} {fields[19]}"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command name: state, ppid, pgrp, ..., start time at 19."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except ProcessLookupError as ended:
        raise FileNotFoundError(pid) from ended


def _mark_by_ps(pid: int) -> str | None:
    found = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = found.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _left_behind(record: Record) -> list[int]:
    """What the process has started and left, in whichever group: the tag in the environment proves it ours."""
    ours, found = f"{_TAG_VARIABLE}={record.tag}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            running = _stat(int(entry.name))[0] not in "ZX"
            if running and ours in entry.joinpath("environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or is another user's
    return [pid for pid in found if pid != record.pid]
