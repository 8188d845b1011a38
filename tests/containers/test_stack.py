"""`make up AWS=localstack` says what is missing, and drives compose as the other kinds drive processes.

No engine is needed: a script that is called `docker` stands in and writes down what it is asked. What a real engine makes
of the image is in test_image.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.containers.stack import Containers, a_stack
from deploy.local.stack import Stack
from deploy.local.supervisor import ROOT, BadRequest, read_json
from libs.common.declare.discover import discover

Fake = Callable[[str], Path]


@pytest.fixture
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a `docker` with this shell script on an otherwise empty PATH; it logs its arguments, one line a call."""
    log = tmp_path / "asked"

    def put(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        file = folder / "docker"
        file.write_text(f'#!/bin/sh\necho "$@" >> {log}\n{script}\n')
        file.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return log

    return put


def _asked(log: Path) -> list[str]:
    """What compose was asked, without the options that all commands have."""
    return [line.split("--file ")[-1].split(" ", 1)[1] for line in log.read_text().splitlines() if "--file" in line]


def test_without_docker_it_says_so_and_names_the_other_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadRequest, match=r"no `docker` here.*AWS=localstack-host"):
        Containers(tmp_path / "stack").up()
    assert not (tmp_path / "stack").exists()


@pytest.mark.parametrize(
    ("script", "reported"),
    [
        ('[ "$1" = compose ] && { echo "unknown command" >&2; exit 1; }; exit 0', "compose plugin.*unknown command"),
        ('[ "$1" = compose ] && exit 0; echo "Cannot connect" >&2; exit 1', "running Docker engine.*Cannot connect"),
    ],
)
def test_half_a_docker_is_told_from_a_whole_one(fake_docker: Fake, tmp_path: Path, script: str, reported: str) -> None:
    fake_docker(script)
    with pytest.raises(BadRequest, match=reported):
        Containers(tmp_path / "stack").up()


def test_make_up_prints_that_and_no_traceback(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "AWS": "localstack", "STACK_DIRECTORY": str(tmp_path / "main")}
    argv = [sys.executable, "-m", "deploy.local", "up"]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no `docker` here" in done.stderr
    assert "Traceback" not in done.stderr


def test_up_builds_waits_and_keeps_what_was_provisioned(fake_docker: Fake, tmp_path: Path) -> None:
    log = fake_docker("exit 0")
    ports = {"aws": 24566, "api": 28080, "simulator": 24580, "cognito": 24567}
    settings = {"WECARE_WINDOW_SCALE": "0.1"}
    stack = Containers(tmp_path / "s", ports=ports, env=settings, provision=lambda stack: {"WECARE_MADE": "yes"}).up()
    assert _asked(log)[-1].startswith("up --build --detach --wait")
    assert "--project-name wecare-24566" in log.read_text()
    assert stack.env["WECARE_MADE"] == "yes"
    assert stack.env["WECARE_STAGE"] == "containers"
    override = read_json(tmp_path / "s" / "settings.json")["services"]
    assert override == {name: {"environment": settings} for name in ["api", *(s.name for s in discover())]}


def test_down_removes_what_they_kept_and_is_harmless_twice(fake_docker: Fake, tmp_path: Path) -> None:
    log = fake_docker("exit 0")
    stack = Containers(tmp_path / "s", provision=None).up()
    stack.down()
    stack.down()
    assert [line for line in _asked(log) if line.startswith("down")] == ["down --volumes --remove-orphans --timeout 25"]


def test_down_leaves_a_stack_of_processes_alone(fake_docker: Fake, tmp_path: Path) -> None:
    log = fake_docker("exit 0")
    Stack(tmp_path / "s", processes=[], provision=None).up()
    Containers(tmp_path / "s", provision=None).down()
    assert not log.exists()
    assert read_json(tmp_path / "s" / "stack.json")["aws"] == "embedded"


def test_what_was_up_when_the_engine_went_can_be_forgotten(
    fake_docker: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = fake_docker("exit 0")
    stack = Containers(tmp_path / "s", provision=None).up()
    (log.parent / "bin" / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert stack.running() == []
    stack.down()
    assert "AWS=localstack needs" in capsys.readouterr().out
    Stack(tmp_path / "s", processes=[], provision=None).up()


def test_a_start_that_fails_leaves_nothing(fake_docker: Fake, tmp_path: Path) -> None:
    log = fake_docker('case "$*" in *" up "*) exit 17;; esac')
    with pytest.raises(BadRequest, match=r"up .*failed \(17\)"):
        Containers(tmp_path / "s", provision=None).up()
    assert _asked(log)[-1].startswith("down --volumes")


def test_workers_are_those_of_every_service(fake_docker: Fake, tmp_path: Path) -> None:
    log = fake_docker("exit 0")
    stack = Containers(tmp_path / "s", provision=None).up()
    stack.kill("workers")
    stack.follow(["api", "workers"], follow=True, lines=20)
    everyone = " ".join(service.name for service in discover())
    assert _asked(log)[-2:] == [f"kill --signal SIGKILL {everyone}", f"logs --follow --tail 20 api {everyone}"]
    with pytest.raises(BadRequest, match="no process `nobody`"):
        stack.kill("nobody")


@pytest.mark.parametrize("one_array", [True, False])
def test_status_tells_who_is_not_well(fake_docker: Fake, tmp_path: Path, one_array: bool) -> None:
    states = [
        {"Service": "api", "State": "running", "Health": "healthy"},
        {"Service": "contacts", "State": "running", "Health": "unhealthy"},
        {"Service": "localstack", "State": "exited", "Health": ""},
    ]
    reported = json.dumps(states) if one_array else "\n".join(map(json.dumps, states))
    fake_docker(f'case "$*" in *" ps "*) echo \'{reported}\';; esac')
    stack = Containers(tmp_path / "s", provision=None).up()
    assert {name: stack.problem(name) for name in ("api", "contacts", "aws", "messages")} == {
        "api": None,
        "contacts": "running unhealthy",
        "aws": "exited",
        "messages": "stopped",
    }
    assert stack.running() == ["api", "contacts"]


def test_the_kinds_are_not_mixed(fake_docker: Fake, tmp_path: Path) -> None:
    fake_docker("exit 0")
    a_stack(tmp_path / "s", aws="localstack", provision=None).up()
    with pytest.raises(BadRequest, match="runs with AWS=localstack; run `make down`"):
        Stack(tmp_path / "s", processes=[], provision=None).up()


def test_a_module_is_run_with_what_provisioning_made_unless_the_environment_says_otherwise(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"WECARE_A": "made", "WECARE_B": "made"}))
    (tmp_path / "shows.py").write_text(
        "import os, sys; print(os.environ['WECARE_A'], os.environ['WECARE_B'], sys.argv[1:], __name__)"
    )
    argv = [sys.executable, "-m", "deploy.containers.run_provisioned", "shows", "--option", "1"]
    env = os.environ | {"PROVISIONED": str(config), "WECARE_B": "given", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "made given ['--option', '1'] __main__\n"
