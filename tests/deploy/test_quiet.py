"""What a process writes while all is well: at WARNING its metrics only, and those only where they are wanted."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.supervisor import ROOT
from libs.common.clock import monotonic
from libs.common.declare.names import Names

#: A receipt whose word nobody knows, so that something is counted.
UNKNOWN = ROOT / "services/inbound/channels/cases/sms-voice/sms.event.type-of-tomorrow.json"
COUNTED = 'wecare_inbound_unknown_total{channel="sms",kind="status",word="TEXT_TELEPORTED"} 1'
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), only=["aws", "simulator"]) as stack:
        yield stack


def worked(stack: Stack, folder: Path, region: str = "AWS_REGION", **settings: str) -> tuple[str, str]:
    """What a process writes to stdout and stderr that starts, serves, handles an event of a feed, counts, and stops."""
    port, health = free_ports(2)
    env = {name: value for name, value in stack.env.items() if name not in REGIONS}
    env |= {region: stack.env[region], **settings}
    argv = [sys.executable, "-m", "libs.common.hosts.run", "inbound", "--http", str(port), "--health-port", str(health)]
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(argv, env=env, cwd=ROOT, stdout=stdout, stderr=stderr)
        try:
            _await(process, f"http://127.0.0.1:{port}/health", "ok", err)
            sns = stack.client("sns")
            topic = sns.create_topic(Name=Names("wecare-local").feed_topic("sms-voice"))["TopicArn"]
            sns.publish(TopicArn=topic, Message=UNKNOWN.read_text())
            _await(process, f"http://127.0.0.1:{health}/metrics", COUNTED, err)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, err.read_text()
        finally:
            process.kill()
            process.wait()
    return out.read_text(), err.read_text()


def _await(process: "subprocess.Popen[bytes]", url: str, said: str, log: Path) -> None:
    until = monotonic() + 60
    while process.poll() is None and monotonic() < until:
        with suppress(httpx.HTTPError):
            if said in httpx.get(url, timeout=2, trust_env=False).text:
                return
    raise AssertionError(f"{url} never said {said}: {log.read_text()}")


def test_at_the_level_of_warnings_a_process_writes_its_metrics_and_nothing_else(stack: Stack, tmp_path: Path) -> None:
    out, err = worked(stack, tmp_path, WECARE_LOG_LEVEL="WARNING")
    lines = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert {line["inbound_unknown"] for line in lines} == {1}
    assert [line["word"] for line in lines if line["kind"] == "status"] == ["TEXT_TELEPORTED"]
    assert all(line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "WECARE" for line in lines)


def test_without_metrics_it_writes_nothing_at_all(stack: Stack, tmp_path: Path) -> None:
    assert worked(stack, tmp_path, WECARE_LOG_LEVEL="WARNING", WECARE_METRICS="off") == ("", "")


@pytest.mark.parametrize("region", REGIONS)
def test_one_name_of_the_region_is_enough_for_a_process(stack: Stack, tmp_path: Path, region: str) -> None:
    _, err = worked(stack, tmp_path, region, WECARE_METRICS="off")
    lines = [json.loads(line) for line in err.splitlines()]
    assert {line["level"] for line in lines} == {"info"}
    assert any(line.get("logger") == "uvicorn.error" for line in lines)
