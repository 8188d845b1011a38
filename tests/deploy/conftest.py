"""One AWS of each kind for all tests of this folder, on free ports."""

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The embedded AWS alone, with nothing provisioned."""
    with Stack(tmp_path_factory.mktemp("aws"), only=["aws"], provision=None) as stack:
        yield stack


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """LocalStack without Docker, and the embedded Cognito beside it."""
    directory = tmp_path_factory.mktemp("localstack")
    with Stack(directory, aws="localstack-host", only=["aws", "cognito"], provision=None) as stack:
        yield stack


@pytest.fixture(params=["aws", pytest.param("localstack", marks=pytest.mark.localstack)])
def cloud(request: pytest.FixtureRequest) -> Stack:
    """Each kind in turn; LocalStack only in `make test-localstack`."""
    stack: Stack = request.getfixturevalue(request.param)
    return stack
