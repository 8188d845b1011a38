"""A stack points at itself and nowhere else, and does not outlive the process that brought it up."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local import process
from deploy.local.__main__ import chosen_ports
from deploy.local.logs import Tail
from deploy.local.processes import CLOUDS, DEFAULT_PORTS, table
from deploy.local.stack import Stack
from deploy.local.supervisor import ROOT, BadRequest, Supervisor
from tests.deploy.rows import server

_BRING_UP_AND_HANG = """
import sys, time
from deploy.local.stack import Stack
from tests.deploy.rows import server, stubborn
with Stack(sys.argv[1], processes=[server(), stubborn()], provision=None):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_stack_ends_with_the_process_that_brought_it_up(tmp_path: Path, number: signal.Signals) -> None:
    argv = [sys.executable, "-c", _BRING_UP_AND_HANG, str(tmp_path)]
    owner = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    assert owner.stdout.readline() == "up\n"
    records = Supervisor(tmp_path, []).records()
    assert len(records) == 2
    owner.send_signal(number)
    owner.communicate()
    deadline = time.monotonic() + 10
    while any(map(process.is_alive, records)):
        assert time.monotonic() < deadline, "something of the stack is left"
        time.sleep(0.05)


def test_what_runs_after_provisioning_knows_what_was_made(tmp_path: Path) -> None:
    rows = [server("before", after_provisioning=False), server("after")]
    with Stack(tmp_path, processes=rows, provision=lambda stack: {"WECARE_MADE": "yes"}) as stack:
        before, after = stack.record("before"), stack.record("after")
        assert before
        assert after
        assert "WECARE_MADE" not in _environment(before.pid)
        assert _environment(after.pid)["WECARE_MADE"] == "yes"
        assert stack.env["WECARE_MADE"] == "yes"
        # What provisioning made does not have it started anew.
        assert stack.up().record("before") == before
        assert stack.record("after") == after


def test_when_provisioning_fails_nothing_is_left_running(tmp_path: Path) -> None:
    def fail(stack: Stack) -> dict[str, str]:
        raise RuntimeError("no more room in the cloud")

    stack = Stack(tmp_path, processes=[server("before", after_provisioning=False)], provision=fail)
    with pytest.raises(RuntimeError, match="no more room"):
        stack.up()
    assert stack.records() == []


def test_its_environment_names_no_endpoint_but_its_own(tmp_path: Path) -> None:
    for aws in CLOUDS:
        stack = Stack(tmp_path / aws, aws=aws)
        urls = {value for name, value in stack.env.items() if name.startswith("AWS_ENDPOINT_URL")}
        assert urls == {f"http://127.0.0.1:{stack.ports[name]}" for name in _played_by(aws)}
        assert len(set(stack.ports.values())) == len(stack.ports)


def _played_by(aws: str) -> set[str]:
    return {"aws", "simulator"} | (set() if aws == "embedded" else {"cognito"})


def _environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    return dict(pair.split("=", 1) for pair in pairs)


def test_its_clients_ignore_the_environment_of_the_test(aws: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert aws.client("sts").get_caller_identity()["Account"] == "000000000000"


def test_an_unknown_kind_of_aws_or_process_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="AWS=azure is not known; choose one of: embedded, localstack"):
        Stack(tmp_path, aws="azure")
    with pytest.raises(
        BadRequest, match="no such process: toaster; there are: aws, simulator, api, workers, workers-bulk, workers-otp"
    ):
        Stack(tmp_path, only=["toaster"])


def test_another_kind_of_aws_is_refused_while_one_runs(tmp_path: Path) -> None:
    with (
        Stack(tmp_path, processes=[server()], provision=None),
        pytest.raises(BadRequest, match=r"runs with AWS=embedded; run `make down` before AWS=localstack-host"),
    ):
        Stack(tmp_path, processes=[server()], aws="localstack-host", provision=None).up()


def test_a_port_comes_from_its_variable_else_from_what_runs_else_from_the_defaults() -> None:
    ports = chosen_ports({"API_PORT": "9000"}, {"api": 8081, "aws": 5000})
    assert ports == DEFAULT_PORTS | {"api": 9000, "aws": 5000}
    with pytest.raises(BadRequest, match="API_PORT=web is no port"):
        chosen_ports({"API_PORT": "web"}, {})


def test_every_process_of_the_table_has_a_port_with_a_default() -> None:
    for aws in CLOUDS:
        assert {row.port for row in table(aws) if row.port} <= set(DEFAULT_PORTS)


def test_logs_begin_with_the_last_lines_and_follow_in_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("one\ntwo\nthree\n")
    tail = Tail(log, lines=2)
    assert list(tail.new_lines()) == ["two", "three"]
    with log.open("a") as file:
        file.write("four\nfi")
    assert list(tail.new_lines()) == ["four"]
    with log.open("a") as file:
        file.write("ve\n")
    assert list(tail.new_lines()) == ["five"]
    log.write_text("anew\n")
    assert list(tail.new_lines()) == ["anew"]


def test_python_is_found_or_the_message_says_how_to_name_it() -> None:
    find = ROOT / "deploy" / "local" / "find-python"
    found = subprocess.run([find, "3.11"], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).exists()
    bare = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    missing = subprocess.run([find, "9.9", "exactly"], env=bare, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "needs Python 9.9 (exactly that)" in missing.stderr
    assert "make PYTHON=" in missing.stderr
