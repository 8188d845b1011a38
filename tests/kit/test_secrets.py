"""Secrets: only declared ones, from Secrets Manager with a cache; never in a log."""

from __future__ import annotations

import pytest

from libs.common.aws.clients import Aws
from libs.common.aws.secrets import CACHE_SECONDS, AwsSecrets
from libs.common.declare.service import Secret, Service
from libs.common.declare.topology import topology
from libs.common.testing.world import World

OWNER = Service("keeper", needs=[Secret("keys")])
GUEST = Service("guest", needs=[Secret("keys", owner="keeper")])


async def test_a_secret_is_asked_for_once_in_a_while_and_its_rotation_is_noticed(emulator: dict[str, str]) -> None:
    now = 1000.0
    async with Aws(environment=emulator) as aws:
        manager = await aws.client("secretsmanager")
        await manager.create_secret(Name="wecare-kit/keeper/keys", SecretString="first")
        secrets = AwsSecrets(aws, lambda: now)
        assert [await secrets.get("wecare-kit/keeper/keys") for _ in range(3)] == ["first"] * 3
        assert aws.calls["secrets-manager", "GetSecretValue"] == 1
        await manager.put_secret_value(SecretId="wecare-kit/keeper/keys", SecretString="second")
        assert await secrets.get("wecare-kit/keeper/keys") == "first"
        now += CACHE_SECONDS
        assert await secrets.get("wecare-kit/keeper/keys") == "second"


async def test_a_secret_that_is_not_there_is_an_error_and_not_an_empty_one(emulator: dict[str, str]) -> None:
    async with Aws(environment=emulator) as aws:
        with pytest.raises(Exception, match="ResourceNotFoundException"):
            await AwsSecrets(aws).get("wecare-kit/nobody/nothing")


async def test_two_services_that_share_a_secret_read_the_same_one_and_others_none() -> None:
    async with World([OWNER, GUEST]) as world:
        contexts = [world.runtime.context(world.service(name)) for name in ("keeper", "guest")]
        first, second = [await ctx.secret("keys") for ctx in contexts]
        assert first == second
        with pytest.raises(LookupError):
            await contexts[0].secret("other")


def test_a_shared_secret_is_made_once_and_each_may_read_it() -> None:
    whole = topology([OWNER, GUEST], "p")
    assert whole.secrets == ("p/keeper/keys",)
    granted = [grant for grant in whole.grants if grant.resources == ("secret:p/keeper/keys",)]
    assert [(grant.service, grant.actions) for grant in granted] == [
        ("keeper", ("secretsmanager:GetSecretValue",)),
        ("guest", ("secretsmanager:GetSecretValue",)),
    ]
