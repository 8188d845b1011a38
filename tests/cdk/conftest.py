"""Both kinds of host, synthesised once. Without aws-cdk-lib (`make test`) nothing here is collected."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cdk.templates import Synthesised

collect_ignore_glob = [] if importlib.util.find_spec("aws_cdk") else ["test_*.py"]
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="session")
def on_lambda(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    from deploy.cdk.plan import plan
    from tests.cdk.templates import synthesised

    return synthesised(plan("lambda", "dev"), tmp_path_factory.mktemp("lambda"))


@pytest.fixture(scope="session")
def on_ecs(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """In production, so that both kinds of stage are seen."""
    from deploy.cdk.plan import plan
    from tests.cdk.templates import synthesised

    made = plan("ecs", "prod", public_url="https://messages.example.com", certificate=CERTIFICATE)
    return synthesised(made, tmp_path_factory.mktemp("ecs"))


@pytest.fixture(params=["on_lambda", "on_ecs"])
def made(request: pytest.FixtureRequest) -> Synthesised:
    found: Synthesised = request.getfixturevalue(request.param)
    return found
