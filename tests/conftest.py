"""What all tests share: one embedded AWS for the whole run, started when the first test asks for it.

``WECARE_TEST_AWS_URL`` names another endpoint instead (LocalStack).
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVICES = "dynamodb,sns,sqs,s3,secretsmanager,cognito-idp,iam,sts"
START_SECONDS = 30


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of an empty AWS, as ``Aws(environment=…)`` takes them."""
    credentials = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    given = os.environ.get("WECARE_TEST_AWS_URL")
    if given:
        yield {"AWS_ENDPOINT_URL": given, **credentials}
        return
    python = ROOT / ".venv-emulator/bin/python"
    if not python.exists():
        pytest.skip("no .venv-emulator: make setup")
    port = _free_port()
    log = (tmp_path_factory.mktemp("emulator") / "log").open("w+")
    environment = {**os.environ, "AWS_PORT": str(port), "SERVICES": SERVICES}
    process = subprocess.Popen(
        [python, ROOT / "deploy/local/emulator.py"], env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT
    )
    try:
        _await_health(f"http://127.0.0.1:{port}/_ministack/health", process, log.name)
        yield {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **credentials}
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _await_health(url: str, process: "subprocess.Popen[bytes]", log: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    print(Path(log).read_text(), file=sys.stderr)
    raise RuntimeError("the embedded AWS did not start")
