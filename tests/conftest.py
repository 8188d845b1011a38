"""What all tests share: one embedded AWS for the whole run, started when the first test asks for it.

``WECARE_TEST_AWS_URL`` names another endpoint instead (LocalStack).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from deploy.local.supervisor import ROOT
from tests.provider_samples import Samples


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--samples", action="store_true", help="which test handled which recorded sample of a provider")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--samples"):
        config.pluginmanager.register(Samples())


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of an empty AWS, as ``Aws(environment=…)`` takes them."""
    credentials = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    given = os.environ.get("WECARE_TEST_AWS_URL")
    if given:
        yield {"AWS_ENDPOINT_URL": given, **credentials}
        return
    if not (ROOT / ".venv-emulator/bin/python").exists():
        pytest.skip("no .venv-emulator: make venv")
    with Stack(tmp_path_factory.mktemp("emulator"), only=["aws"], provision=None) as stack:
        yield {"AWS_ENDPOINT_URL": stack.aws_url, **credentials}
