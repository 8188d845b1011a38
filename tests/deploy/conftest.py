"""One embedded AWS for all tests of this folder, on a free port."""

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The embedded AWS alone, with nothing provisioned."""
    with Stack(tmp_path_factory.mktemp("aws"), only=["aws"], provision=None) as stack:
        yield stack
