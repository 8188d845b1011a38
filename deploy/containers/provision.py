"""`python -m deploy.containers.provision`: the container that creates everything in AWS before the others start.

It does what `make up` does on the host, from inside, and writes the results to the volume /provisioned.
"""

import os
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from localstack_client.session import Session

from deploy.containers.run_provisioned import FILE
from deploy.local import environment
from deploy.local.provision import everything
from deploy.local.supervisor import write_json


class Inside:
    """The stack as seen by its containers, by the variables of docker-compose.localstack.yml."""

    rows = ("simulator",)

    @property
    def env(self) -> dict[str, str]:
        """The endpoints of AWS and the carriers."""
        return dict(os.environ)

    @property
    def api_url(self) -> str:
        """The address of the API for a browser."""
        return os.environ["WECARE_PUBLIC_URL"]

    @property
    def api_url_for_carriers(self) -> str:
        """The address of the API for the simulator's container."""
        return f"http://api:{urlsplit(self.api_url).port}"

    @property
    def cognito_url(self) -> str:
        """The address of the sign-in pages for a browser."""
        return os.environ["SIGN_IN_URL"]

    @cached_property
    def _localstack(self) -> Session:
        return Session(region_name=os.environ["AWS_REGION"])

    def client(self, service: str) -> Any:
        """A LocalStack client for services of LocalStack; the carriers and Cognito have other endpoints."""
        if environment.endpoint(self.env, service) == os.environ["AWS_ENDPOINT_URL"]:
            return self._localstack.client(service)
        return environment.client(self.env, service)


def main() -> None:
    """Provision, and save the variables for the other containers."""
    place = Inside()
    known = dict(everything(place))
    # The keys are read by our API, not by a browser.
    inside = environment.endpoint(place.env, "cognito-idp")
    known["WECARE_COGNITO_JWKS_URL"] = known["WECARE_COGNITO_JWKS_URL"].replace(place.cognito_url, inside, 1)
    write_json(FILE, known)
    print(f"provisioned: {', '.join(sorted(known))}")


if __name__ == "__main__":
    main()
