"""Processes are started once, waited for, and ended exactly: ours all, others' never."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.local import process
from deploy.local.health import NotHealthy
from deploy.local.ports import PortTaken, free_ports, holder, is_taken
from deploy.local.process import Process, Record
from deploy.local.supervisor import BadRequest, Supervisor
from tests.deploy.rows import script, server, stubborn


@contextlib.contextmanager
def supervised(directory: Path, *rows: Process, **ports: int):
    supervisor = Supervisor(directory, rows, ports)
    try:
        yield supervisor
    finally:
        supervisor.down()


def pid_of(supervisor: Supervisor, name: str) -> int:
    record = supervisor.record(name)
    assert record
    return record.pid


def test_up_returns_once_everything_is_ready_and_down_ends_it(tmp_path: Path) -> None:
    with supervised(tmp_path, server()) as supervisor:
        supervisor.up()
        assert supervisor.problem("server") is None
        record = supervisor.record("server")
        assert record
        assert process.is_alive(record)
        supervisor.down()
        assert not process.is_alive(record)
        assert supervisor.records() == []
        assert supervisor.problem("server") == "stopped"


def test_a_second_up_changes_nothing(tmp_path: Path) -> None:
    with supervised(tmp_path, server()) as supervisor:
        first = pid_of(supervisor.up(), "server")
        # Another process: it knows only what is written in the directory.
        again = Supervisor(tmp_path, [server()]).up()
        assert pid_of(again, "server") == first
        assert again.ports == supervisor.ports


def test_up_starts_what_has_died_and_leaves_the_rest(tmp_path: Path) -> None:
    with supervised(tmp_path, server("one"), server("two")) as supervisor:
        supervisor.up()
        one, two = pid_of(supervisor, "one"), pid_of(supervisor, "two")
        supervisor.kill("two")
        supervisor.up()
        assert pid_of(supervisor, "one") == one
        assert pid_of(supervisor, "two") != two


def test_a_process_whose_definition_changed_is_started_anew(tmp_path: Path) -> None:
    with supervised(tmp_path, server()) as supervisor:
        first = pid_of(supervisor.up(), "server")
        changed = Supervisor(tmp_path, [server(env={"GREETING": "hello"})]).up()
        assert pid_of(changed, "server") != first


def test_when_one_fails_what_up_started_is_stopped_and_its_log_is_quoted(tmp_path: Path) -> None:
    broken = script("import sys; sys.exit('the moon is missing')", "broken", ready_line="never")
    with supervised(tmp_path, server(), broken) as supervisor:
        with pytest.raises(NotHealthy, match=r"(?s)`broken` ended while starting.*the moon is missing"):
            supervisor.up()
        assert supervisor.records() == []


def test_when_one_fails_what_ran_before_goes_on(tmp_path: Path) -> None:
    with supervised(tmp_path, server()) as supervisor:
        first = pid_of(supervisor.up(), "server")
        broken = script("raise SystemExit(1)", "broken", ready_line="never")
        with pytest.raises(NotHealthy):
            Supervisor(tmp_path, [server(), broken]).up()
        assert pid_of(supervisor, "server") == first
        assert supervisor.problem("server") is None


def test_a_process_that_is_never_ready_is_an_error_that_says_what_was_asked(tmp_path: Path) -> None:
    sick = server(health="/elsewhere", ready_seconds=0.4)
    with supervised(tmp_path, sick) as supervisor:
        with pytest.raises(NotHealthy, match=r"not ready after 0.4 s: GET /elsewhere on port \d+ answers 404"):
            supervisor.up()
        assert supervisor.records() == []


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with (
        supervised(tmp_path, Process("ghost", ("/no/such/program",))) as supervisor,
        pytest.raises(BadRequest, match="/no/such/program"),
    ):
        supervisor.up()


def test_a_taken_port_is_named_with_its_holder_and_the_variable_to_change(tmp_path: Path) -> None:
    with supervised(tmp_path / "first", server()) as first:
        taken = first.up().ports["server"]
        with (
            supervised(tmp_path / "second", server(), server=taken) as second,
            pytest.raises(PortTaken, match=rf"port {taken}.*pid {pid_of(first, 'server')} .*\n.*SERVER_PORT="),
        ):
            second.up()
        assert first.problem("server") is None


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(map(is_taken, ports))
    assert holder(ports[0]) is None


def test_down_ends_one_that_ignores_sigterm_and_its_children(tmp_path: Path) -> None:
    with supervised(tmp_path, stubborn()) as supervisor:
        record = supervisor.up().record("stubborn")
        assert record
        child = int(record.log_text().split()[1])
        assert process.start_mark_of(child)
        supervisor.down()
        assert not process.is_alive(record)
        assert process.start_mark_of(child) is None


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found through /proc")
def test_down_ends_children_that_outlived_their_parent(tmp_path: Path) -> None:
    with supervised(tmp_path, stubborn()) as supervisor:
        record = supervisor.up().record("stubborn")
        assert record
        child = int(record.log_text().split()[1])
        os.kill(record.pid, signal.SIGKILL)
        supervisor.down()
        assert process.start_mark_of(child) is None


def test_a_pid_that_belongs_to_somebody_else_now_is_never_signalled(tmp_path: Path) -> None:
    with supervised(tmp_path, server()) as supervisor:
        record = supervisor.up().record("server")
        assert record
        supervisor.stop("server")
        bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
        try:
            # As if the kernel had given our pid to the bystander.
            dataclasses.replace(record, pid=bystander.pid).save(supervisor.run_directory)
            assert supervisor.problem("server") == "ended by itself"
            with pytest.raises(BadRequest, match="does not run"):
                supervisor.kill("server")
            supervisor.down()
            time.sleep(0.1)
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.communicate()


def test_a_killed_process_is_seen_and_can_be_started_again(tmp_path: Path) -> None:
    with supervised(tmp_path, server()) as supervisor:
        supervisor.up()
        supervisor.kill("server", signal.SIGKILL)
        assert supervisor.problem("server") == "ended by itself"
        supervisor.start("server")
        assert supervisor.problem("server") is None


def test_a_killed_process_gets_its_port_back_from_whoever_is_slow_to_let_go(tmp_path: Path) -> None:
    with supervised(tmp_path, server()) as supervisor:
        port = supervisor.up().ports["server"]
        supervisor.kill("server", signal.SIGKILL)
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", port))
            held.listen()
            letting_go = threading.Timer(1.0, held.close)
            letting_go.start()
            supervisor.start("server")
            letting_go.join()
        assert supervisor.problem("server") is None


def test_a_process_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no process `toaster` here, only: server"):
        Supervisor(tmp_path, [server()]).start("toaster")


def test_children_get_no_credentials_or_settings_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("WECARE_STAGE", "production")
    code = "import json, os; print(json.dumps(dict(os.environ))); print('said'); import time; time.sleep(600)"
    with supervised(tmp_path, script(code, ready_line="said", env={"WECARE_LOG_LEVEL": "DEBUG"})) as supervisor:
        record = supervisor.up().record("script")
        assert record
        seen = json.loads(record.log_text().splitlines()[0])
        ours = {name: value for name, value in seen.items() if name.startswith(("AWS_", "WECARE_"))}
        assert ours == {"WECARE_LOG_LEVEL": "DEBUG", "WECARE_PROCESS": f"{tmp_path}/script"}


def test_a_record_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "server.json").write_text('{"pid": ')
    assert Record.load(tmp_path / "run", "server") is None
