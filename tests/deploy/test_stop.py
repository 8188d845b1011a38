"""A process that serves HTTP stops as gently as a worker: it drains, and ends by itself."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.supervisor import ROOT
from libs.common.clock import monotonic


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), only=["aws", "simulator"]) as stack:
        yield stack


@pytest.mark.parametrize("also", [(), ("--no-worker",)])
def test_what_serves_http_drains_at_a_signal(stack: Stack, tmp_path: Path, also: tuple[str, ...]) -> None:
    port, health = free_ports(2)
    with (tmp_path / "log").open("wb") as log:
        ports = ("--http", str(port), "--health-port", str(health))
        argv = [sys.executable, "-m", "libs.common.hosts.run", "contacts", *ports, *also]
        process = subprocess.Popen(argv, env=stack.env, cwd=ROOT, stdout=log, stderr=log)
        _await(process, f"http://127.0.0.1:{port}/health")
        _await(process, f"http://127.0.0.1:{health}/metrics")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (tmp_path / "log").read_text()
    assert ("worker stopped" in (tmp_path / "log").read_text()) is not bool(also)


def _await(process: "subprocess.Popen[bytes]", url: str) -> None:
    until = monotonic() + 30
    while process.poll() is None and monotonic() < until:
        try:
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            continue
    process.kill()
    raise AssertionError("it did not start")
