"""docker-compose.localstack.yml is one that compose takes, holds every service once, and gives none more than it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.containers import compose
from deploy.local.processes import DEFAULT_PORTS
from libs.common.declare.discover import discover
from libs.common.settings import Settings

TEXT = compose.FILE.read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
CONTAINERS: dict[str, dict[str, Any]] = FILE["services"]
SERVICES = [service.name for service in discover()]
ON_THE_HOST = {"localstack": "aws", "cognito": "cognito", "simulator": "simulator", "api": "api"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Health(_Strict):
    test: list[str] | None = Field(default=None, min_length=2)
    disable: bool = False
    interval: str = Field(default="", pattern=r"^(\d+s)?$")
    timeout: str = Field(default="", pattern=r"^(\d+s)?$")
    start_period: str = Field(default="", pattern=r"^(\d+s)?$")
    retries: int = 3


class _Container(_Strict):
    """The members of a service in the Compose Specification that we use, no more: a slip of the pen is no member."""

    image: str
    build: dict[str, Any] = {}
    command: list[str] = []
    environment: dict[str, str] = {}
    ports: list[str] = []
    volumes: list[str] = []
    networks: list[str] | dict[str, dict[str, list[str]] | None] = []
    depends_on: dict[str, dict[str, str]] = {}
    healthcheck: _Health | None = None
    init: bool = False
    read_only: bool = False
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    restart: str = "no"
    stop_grace_period: str = Field(default="10s", pattern=r"^\d+s$")


def test_compose_takes_the_file() -> None:
    for client in (["docker", "compose"], ["docker-compose"], ["podman", "compose"]):
        if shutil.which(client[0]):
            version = subprocess.run([*client, "version"], capture_output=True, text=True, check=False)
            # The first generation of docker-compose does not know the file's `name`.
            if version.returncode == 0 and not re.search(r"\b1\.\d+\.\d+", version.stdout.splitlines()[0]):
                reported = [*client, "--file", str(compose.FILE), "config", "--quiet"]
                done = subprocess.run(reported, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
                return
    pytest.skip("no compose client here; only the members are checked (next test)")


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_only_members_that_compose_knows(name: str) -> None:
    container = _Container.model_validate(CONTAINERS[name])
    assert set(container.depends_on) <= set(CONTAINERS)
    assert set(container.networks) <= set(FILE["networks"])
    assert {volume.split(":")[0] for volume in container.volumes} <= set(FILE["volumes"])


def test_a_misspelt_member_is_seen() -> None:
    with pytest.raises(ValidationError, match="enviroment"):
        _Container.model_validate({"image": "x", "enviroment": {}})


def test_every_service_has_one_worker_and_all_share_one_api() -> None:
    # From the text, since YAML takes the last of two that are called alike.
    names = re.findall(
        r"^  ([a-z][a-z0-9-]*):$", TEXT.split("\nservices:\n")[1].split("\nnetworks:\n")[0], re.MULTILINE
    )
    assert Counter(names) == Counter([*ON_THE_HOST, "provision", *SERVICES])
    worked = [each["command"][2] for each in CONTAINERS.values() if "--health-port" in each.get("command", [])]
    assert Counter(worked) == Counter(SERVICES)
    for name in SERVICES:
        assert CONTAINERS[name]["command"][:3] == ["deploy.containers.run_provisioned", "libs.common.hosts.run", name]
    serving = [name for name, each in CONTAINERS.items() if "--http" in each.get("command", [])]
    assert serving == ["api"]
    assert {"--all", "--no-worker"} <= set(CONTAINERS["api"]["command"])


def test_nothing_listens_beyond_this_machine_and_the_variables_are_those_of_make_up() -> None:
    published = {name: each["ports"] for name, each in CONTAINERS.items() if "ports" in each}
    assert published == {
        name: [f"127.0.0.1:{compose.port(port)}:{compose.port(port)}"] for name, port in ON_THE_HOST.items()
    }
    assert set(ON_THE_HOST.values()) <= set(DEFAULT_PORTS)


@pytest.mark.parametrize("name", set(CONTAINERS) - {"localstack"})
def test_a_container_of_ours_can_do_little(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["tmpfs"] == ["/tmp"]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in container


def test_workers_cannot_leave_and_are_not_reached() -> None:
    assert FILE["networks"]["inside"] == {"internal": True}
    for name in [*SERVICES, "provision"]:
        assert CONTAINERS[name]["networks"] == ["inside"]


@pytest.mark.parametrize("name", [*SERVICES, "api"])
def test_a_service_starts_once_all_is_provisioned_and_is_given_time_to_finish(name: str) -> None:
    container = CONTAINERS[name]
    assert container["depends_on"] == {"provision": {"condition": "service_completed_successfully"}}
    assert int(container["stop_grace_period"].removesuffix("s")) > Settings().drain_seconds
    assert container["healthcheck"]["test"][0] == "CMD"


def test_provisioning_waits_for_what_it_provisions() -> None:
    assert {name: each["condition"] for name, each in CONTAINERS["provision"]["depends_on"].items()} == {
        name: "service_healthy" for name in ("localstack", "cognito", "simulator")
    }
    for name in ("localstack", "cognito", "simulator"):
        assert CONTAINERS[name]["healthcheck"]["test"]


def test_localstack_is_the_last_release_that_needs_no_account_unless_somebody_chooses() -> None:
    localstack = CONTAINERS["localstack"]
    assert localstack["image"] == "${LOCALSTACK_IMAGE:-localstack/localstack:4.14.0}"
    assert localstack["environment"]["LOCALSTACK_AUTH_TOKEN"] == "${LOCALSTACK_AUTH_TOKEN:-}"
    assert localstack["networks"]["inside"]["aliases"] == [compose.AWS_HOST]


def test_a_file_that_lost_its_marks_is_not_rewritten(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "compose.yml"
    broken.write_text(TEXT.replace("# generated: workers", "# workers"))
    monkeypatch.setattr(compose, "FILE", broken)
    with pytest.raises(ValueError, match="lost its marks"):
        compose.rendered(discover())
