"""The image is built and each of its roles started, by whichever of docker, podman and buildah is here."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from libs.common.declare.discover import discover
from tests.containers import engines
from tests.containers.engines import Engine

pytestmark = pytest.mark.timeout(900)  # the first build fetches everything


@pytest.fixture(scope="module")
def engine(capsys_off: None) -> Iterator[Engine]:
    found = engines.find()
    if found is None:
        pytest.skip("none of docker (with its engine running), podman and buildah is here")
    if not found.has_base():
        pytest.skip(f"{found.name} cannot fetch {engines.BASE}; WECARE_IMAGE_BASE may name an image that is here")
    print(f"\ncontainers by {found.name}, base {engines.BASE}")
    yield found
    found.close()


@pytest.fixture(scope="module")
def capsys_off(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the line that names the engine through to the terminal."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        yield


@pytest.fixture(scope="module")
def platform(engine: Engine) -> str:
    return engine.build("platform")


def _in(engine: Engine, image: str, *words: str, code: int = 0) -> str:
    done = subprocess.run(engine.command(image, words), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "reported"),
    [("libs.common.hosts.run", "--health-port"), ("libs.simulator", "--sns-endpoint")],
)
def test_each_role_tells_its_options(engine: Engine, platform: str, module: str, reported: str) -> None:
    assert reported in _in(engine, platform, "python", "-m", module, "--help")


def test_every_service_is_in_it_and_nothing_that_only_development_needs(engine: Engine, platform: str) -> None:
    found = _in(
        engine, platform, "python", "-c",
        "import pathlib; from libs.common.declare.discover import discover; print([s.name for s in discover()]); "
        "print([p.name for p in pathlib.Path('/app').iterdir()], [p.name for p in pathlib.Path('/app/deploy').iterdir()])",
    )  # fmt: skip
    assert str([service.name for service in discover()]) in found
    for left_out in ("tests", "specs", "smoke", "testing", "Makefile", ".git", "requirements"):
        assert f"'{left_out}'" not in found


def test_it_runs_as_nobody_with_compiled_code_that_it_cannot_change(engine: Engine, platform: str) -> None:
    said = _in(
        engine, platform, "sh", "-c",
        "id -u; ls /app/libs/common/__pycache__/ /opt/venv/lib/python3*/site-packages/pydantic/__pycache__/; "
        "for tool in uv gcc make; do command -v $tool; done; touch /app/libs/common/declare/event.py /app/x; touch /tmp/x && echo writes tmp",
    )  # fmt: skip
    assert said.splitlines()[0] == "10001"
    assert "event.cpython-3" in said
    assert "main.cpython-3" in said
    assert "writes tmp" in said
    assert said.count("cannot touch") == 2
    assert not {"/opt/tools/bin/uv", "/usr/bin/gcc", "/usr/bin/make"} & set(said.splitlines())


def test_its_health_check_tells_a_dead_port(engine: Engine, platform: str) -> None:
    (port,) = free_ports(1)
    assert "refused" in _in(
        engine, platform, "python", "-I", "/app/deploy/containers/health_check.py", f"{port}/", code=1
    )


def test_its_routes_and_workers_run_against_a_stack_and_stop_gently(
    engine: Engine, platform: str, tmp_path: Path
) -> None:
    http, health = free_ports(2)
    with Stack(tmp_path, only=["aws", "simulator"]) as stack:
        argv = ["python", "-m", "libs.common.hosts.run", "--all", "--http", str(http), "--health-port", str(health)]
        with _running(engine.command(platform, argv, stack.env), tmp_path / "container.log") as container:
            _await(container, f"http://127.0.0.1:{http}/health", tmp_path)
            checked = _in(engine, platform, "python", "-I", "/app/deploy/containers/health_check.py", f"{health}/")
            assert "answers 200" in checked
            bearer = {"Authorization": f"Bearer {stack.token('VIEWER')}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{http}", trust_env=False) as client:
                assert client.get("/api/messages", headers=bearer).json() == {"items": []}
                assert client.get("/api/messages").status_code == 401
            engine.stop(container)
        assert '"event": "worker stopped"' in (tmp_path / "container.log").read_text()


def test_the_embedded_cognito_is_an_image_of_its_own(engine: Engine, tmp_path: Path) -> None:
    image = engine.build("emulator")
    (port,) = free_ports(1)
    env = {"AWS_PORT": str(port), "AWS_HOST": "127.0.0.1", "SERVICES": "cognito-idp"}
    argv = engine.command(image, ["python", "/app/emulator.py"], env)
    with _running(argv, tmp_path / "container.log") as container:
        _await(container, f"http://127.0.0.1:{port}/_ministack/health", tmp_path)
        engine.stop(container)


def _running(argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(argv, stdout=out, stderr=out)


def _await(container: subprocess.Popen[bytes], url: str, folder: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while container.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    container.kill()
    raise AssertionError((folder / "container.log").read_text()[-3000:])
