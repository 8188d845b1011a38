"""TCP ports on the loopback interface: finds free ports and the process that uses one."""

import itertools
import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
#: Below the ephemeral ports, which outgoing connections may take before a server binds them.
_CHOICE = range(20_000, 32_000)
_LISTEN = "0A"  # state column of /proc/net/tcp


class PortTaken(RuntimeError):
    """Another process uses a required port; the text names the variable that changes it."""


def free_ports(count: int) -> list[int]:
    """Different free ports."""
    # From a random port upwards, so that concurrent callers rarely get the same.
    first = secrets.randbelow(len(_CHOICE))
    candidates = (_CHOICE[(first + step) % len(_CHOICE)] for step in range(len(_CHOICE)))
    return list(itertools.islice((port for port in candidates if not is_taken(port)), count))


def is_taken(port: int) -> bool:
    """True when a server could not bind the port (one in TIME_WAIT counts as free, as it does for servers)."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def require_free(process: str, name: str, port: int) -> None:
    """Raise PortTaken unless `port`, the port called `name`, which `process` needs, can be bound."""
    if is_taken(port):
        by = holder(port) or "another process (of another user, perhaps)"
        raise PortTaken(
            f"port {port}, which `{process}` needs, is taken by {by}.\n"
            f"Stop that, or choose another port: make up {name.upper()}_PORT={port + 1}"
        )


def holder(port: int) -> str | None:
    """`pid 4711 (python -m http.server)` of the process that listens, or None if it is not visible."""
    inodes = _listening_inodes(port)
    for fd in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            target = fd.readlink().name
        except OSError:
            continue  # it ended, or belongs to another user
        if target.removeprefix("socket:[").removesuffix("]") in inodes:
            process = fd.parent.parent
            command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            return f"pid {process.name} ({' '.join(command.split())[:120]})"
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in map(str.split, rows):
            if row[3] == _LISTEN and int(row[1].rsplit(":", 1)[1], 16) == port:
                found.add(row[9])
    return found
