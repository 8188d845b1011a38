"""Checks whether a process is ready, over HTTP on the loopback interface, never through a proxy."""

import http.client
import time

from deploy.local import process
from deploy.local.ports import LOOPBACK
from deploy.local.process import Process, Record


class NotHealthy(RuntimeError):
    """A process ended or did not answer in time; the text quotes the end of its log."""


def problem(record: Record, row: Process, port: int | None) -> str | None:
    """None when the process runs and is ready, else a short error."""
    if row.health and port:
        trouble = _problem_over_http(port, row.health)
    elif row.ready_line and row.ready_line not in record.log_text():
        trouble = f"its log does not say {row.ready_line!r} yet"
    else:
        trouble = None
    # Checked last: if our process has ended, another process answers on that port.
    return trouble if process.is_alive(record) else "ended by itself"


def wait(record: Record, row: Process, port: int | None, seconds: float) -> None:
    """Return as soon as the process is ready; raise NotHealthy when it ends or `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while (trouble := problem(record, row, port)) is not None:
        if not process.is_alive(record):
            raise NotHealthy(_report(record, "ended while starting"))
        if time.monotonic() > deadline:
            raise NotHealthy(_report(record, f"is not ready after {seconds:g} s: {trouble}"))
        time.sleep(0.05)


def _problem_over_http(port: int, path: str, timeout: float = 2.0) -> str | None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"GET {path} on port {port}: {error}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"GET {path} on port {port} answers {status}"


def _report(record: Record, what: str) -> str:
    tail = record.log_tail() or "(it wrote nothing)"
    quoted = "\n".join(f"    | {line}" for line in tail.splitlines())
    return f"`{record.name}` {what}. The end of {record.log}:\n{quoted}"
