"""What `make down` keeps, as somebody at a terminal meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_ports
from deploy.local.processes import DEFAULT_PORTS
from deploy.local.stack import Stack
from deploy.local.supervisor import ROOT
from deploy.smoke.platform import TEMPLATE, Platform


class Terminal:
    """Runs what `make up` and `make down` run, on a stack and ports of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        names = [f"{name.upper()}_PORT" for name in DEFAULT_PORTS]
        ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
        self.env = {**os.environ, **ports, "STACK_DIRECTORY": str(directory)}

    def run(self, *words: str, expect: int = 0, **env: str) -> str:
        argv = [sys.executable, "-m", "deploy.local", *words]
        ran = subprocess.run(
            argv, cwd=ROOT, env=self.env | env, capture_output=True, text=True, timeout=180, check=False
        )
        assert ran.returncode == expect, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def platform(self) -> Platform:
        return Platform(Stack(self.directory))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path / "stack")
    yield terminal
    terminal.run("down")


def test_what_was_left_overnight_is_there_in_the_morning(terminal: Terminal) -> None:
    assert "`make up KEEP=1` goes on with it" in terminal.run("up", KEEP="1")
    with terminal.platform() as evening:
        contact = evening.contact("+12025550111", "Ann Example")
        sent = evening.send(contact, TEMPLATE)["messageId"]
        evening.reaches(sent, "read")
        # What nobody has sent yet waits in its queue over night.
        evening.stack.kill("workers", signal.SIGKILL)
        waiting = evening.send(contact, TEMPLATE)["messageId"]
    assert f"keeps what is in AWS in {terminal.directory / 'kept'}" in terminal.run("down")
    terminal.run("up", KEEP="1")
    with terminal.platform() as morning:
        assert morning.operator.get(f"/api/contacts/{contact}")["name"] == "Ann Example"
        assert morning.operator.get(f"/api/messages/{sent}")["status"] == "read"
        morning.reaches(waiting, "read")
        assert len(morning.accepted(message_id=waiting)) == 1


def test_what_is_not_kept_is_said_when_it_starts_and_when_it_stops(terminal: Terminal) -> None:
    assert "`make down` keeps nothing; after `make up KEEP=1`" in terminal.run("up")
    # To change one's mind now would lose what is there.
    assert "runs without KEEP=1; run `make down`" in terminal.run("up", expect=1, KEEP="1")
    assert "`make down` keeps nothing; after `make up KEEP=1`" in terminal.run("down")
    assert not (terminal.directory / "kept").exists()


@pytest.mark.parametrize("aws", ["localstack", "localstack-host"])
def test_an_aws_that_cannot_keep_anything_says_so(terminal: Terminal, aws: str) -> None:
    assert "KEEP=1 goes with AWS=embedded alone" in terminal.run("up", expect=1, AWS=aws, KEEP="1")
