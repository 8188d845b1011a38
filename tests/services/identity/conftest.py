"""People and roles with a real (emulated) user pool and its real tokens, in a world where everything arrives twice."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local import cognito, environment
from libs.common.aws.auth import CognitoVerifier
from libs.common.aws.clients import Aws
from libs.common.hosts.http.api import create_app
from libs.common.settings import Settings
from libs.common.testing.fault_proxy import FaultProxy, Rule
from libs.common.testing.world import World
from services.identity.service import service


@dataclass
class Office:
    """``boto`` is an administrator's console, ``config`` what the provisioning of the pool told."""

    world: World
    boto: Any
    config: dict[str, str]
    proxy: FaultProxy
    opened: list[httpx.AsyncClient] = field(default_factory=list)
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @property
    def pool(self) -> str:
        return self.config["WECARE_COGNITO_USER_POOL_ID"]

    def signs_in(self, group: str = "ADMIN") -> httpx.AsyncClient:
        """A client of the demo person of that group, by a token that the pool signed."""
        if group not in self._clients:
            token = cognito.sign_in(self.boto, self.config["WECARE_COGNITO_CLIENT_ID"], group)["AccessToken"]
            self._clients[group] = self.client(token)
        return self._clients[group]

    def client(self, token: str) -> httpx.AsyncClient:
        ours = self.world.settings
        verifier = CognitoVerifier(ours.cognito_issuer, ours.cognito_client_id, ours.cognito_jwks_url)
        app = create_app(self.world.runtime, self.world.services, verifier)
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers)
        self.opened.append(client)
        return client

    async def asked(self, method: str, path: str = "", body: Any = None, expect: int = 200, as_: str = "ADMIN") -> Any:
        answer = await self.signs_in(as_).request(method, f"/api/users{path}", json=body)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def done(self, method: str, path: str = "", body: Any = None, as_: str = "ADMIN") -> Any:
        """Accepted, and all that follows from it."""
        answer = await self.asked(method, path, body, expect=202, as_=as_)
        await self.world.settle()
        return answer

    async def reads_the_pool(self) -> None:
        """Time passes until the next reading, and the pool is read."""
        self.world.clock.advance(301)
        await self.world.tick("identity", "sync")

    async def users(self) -> dict[str, Any]:
        """By address."""
        page = await self.asked("GET", "?limit=100")
        return {each["email"]: each for each in page["items"]}

    async def id_of(self, group: str) -> str:
        return str((await self.users())[f"{group.lower()}@example.com"]["userId"])

    def groups(self, email: str) -> list[str]:
        found = self.boto.admin_list_groups_for_user(UserPoolId=self.pool, Username=email)["Groups"]
        return [group["GroupName"] for group in found]

    def in_pool(self, email: str) -> Any:
        """The person as Cognito has them, or None."""
        try:
            return self.boto.admin_get_user(UserPoolId=self.pool, Username=email)
        except self.boto.exceptions.UserNotFoundException:
            return None

    def made_by_hand(self, email: str, group: str | None = None, confirmed: bool = True) -> None:
        """Somebody makes a person in the console."""
        self.boto.admin_create_user(
            UserPoolId=self.pool,
            Username=email,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": email}],
        )
        if confirmed:
            self.boto.admin_set_user_password(
                UserPoolId=self.pool, Username=email, Password="Made-By-Hand-1", Permanent=True
            )
        if group:
            self.boto.admin_add_user_to_group(UserPoolId=self.pool, Username=email, GroupName=group)

    def fails(self, *rules: Rule) -> None:
        self.proxy.rules[:] = rules


@pytest.fixture
async def office(emulator: dict[str, str]) -> AsyncIterator[Office]:
    if os.environ.get("WECARE_TEST_AWS_URL"):
        pytest.skip("the AWS that was named may have no Cognito")
    boto = environment.client(emulator, "cognito-idp")
    url = emulator["AWS_ENDPOINT_URL"]
    config = cognito.provision(boto, f"t{uuid4().hex[:8]}", url, "http://localhost:8080")
    settings = Settings(
        stage="test",
        user_sync_seconds=30,
        cognito_issuer=config["WECARE_COGNITO_ISSUER"],
        cognito_client_id=config["WECARE_COGNITO_CLIENT_ID"],
        cognito_jwks_url=config["WECARE_COGNITO_JWKS_URL"],
    )
    async with (
        FaultProxy(url) as proxy,
        Aws(environment={**emulator, "AWS_ENDPOINT_URL": proxy.url}) as aws,
        World([service], settings=settings, aws=aws) as world,
    ):
        office = Office(world, boto, config, proxy)
        await world.tick("identity", "sync")
        yield office
        for client in office.opened:
            await client.aclose()


def fields(answer: Any) -> Sequence[str]:
    return [error["field"] for error in answer["errors"]]
