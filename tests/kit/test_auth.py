"""Tokens: only what this user pool signed, as an access token, for this application, and not expired."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from libs.common.aws.auth import CognitoVerifier, Role
from libs.common.errors import Problem

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_example"
CLIENT = "client-of-the-dashboard"


@dataclass
class FakePool:
    """Publishes keys like Cognito, and counts the requests."""

    url: str = ""
    asked: int = 0
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    other: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def jwks(self) -> bytes:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [{**key, "kid": "k1", "alg": "RS256", "use": "sig"}]}).encode()

    def token(
        self, key: Any = None, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        claims = {
            "sub": "u-1", "iss": ISSUER, "client_id": CLIENT, "token_use": "access",
            "exp": int(time.time()) + 600, "cognito:groups": ["VIEWER", "OPERATOR", "something-else"],
        }  # fmt: skip
        claims.update(changes)
        claims = {k: v for k, v in claims.items() if v is not None}
        return jwt.encode(claims, key or self.key, algorithm=algorithm, headers={"kid": "k1", **(headers or {})})


@pytest.fixture(scope="module")
def pool() -> Iterator[FakePool]:
    pool = FakePool()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pool.asked += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pool.jwks())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    pool.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    yield pool
    server.shutdown()
    thread.join()


@pytest.fixture
def verifier(pool: FakePool) -> CognitoVerifier:
    pool.asked = 0
    return CognitoVerifier(ISSUER, CLIENT, pool.url)


async def test_a_good_token_gives_the_highest_role(pool: FakePool, verifier: CognitoVerifier) -> None:
    caller = await verifier.verify(pool.token())
    assert (caller.subject, caller.role, caller.actor) == ("u-1", Role.OPERATOR, "user:u-1")


async def test_it_tells_when_the_session_began(pool: FakePool, verifier: CognitoVerifier) -> None:
    caller = await verifier.verify(pool.token(auth_time=1_767_225_600))
    assert caller.signed_in_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (await verifier.verify(pool.token())).signed_in_at is None


async def test_a_user_without_a_group_has_no_role(pool: FakePool, verifier: CognitoVerifier) -> None:
    assert (await verifier.verify(pool.token(**{"cognito:groups": None}))).role is None


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 1},
        # Written down when tests are collected, which is long before the last of them runs.
        {"nbf": int(time.time()) + 86_400},
        {"exp": None},
        {"iss": ISSUER + "2"},
        {"client_id": "another"},
        {"client_id": None, "aud": CLIENT},
        {"token_use": "id"},
        {"token_use": None},
        {"sub": None},
    ],
    ids=lambda changes: "-".join(changes),
)
async def test_a_token_with_wrong_claims_is_refused(
    pool: FakePool, verifier: CognitoVerifier, changes: dict[str, Any]
) -> None:
    with pytest.raises(Problem) as refused:
        await verifier.verify(pool.token(**changes))
    assert refused.value.status == 401


def _unsigned(pool: FakePool) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').rstrip(b"=").decode()
    return f"{head}.{pool.token().split('.')[1]}."


def _hmac_with_public_key(pool: FakePool) -> str:
    import hashlib
    import hmac

    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=").decode()
    body = f"{head}.{pool.token().split('.')[1]}"
    mac = hmac.new(pool.jwks(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _forged(pool: FakePool) -> str:
    head, body, signature = pool.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["cognito:groups"] = ["ADMIN"]
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize(
    "attack",
    [
        _unsigned,
        _hmac_with_public_key,
        _forged,
        lambda pool: pool.token(key=pool.other),
        lambda pool: pool.token(key=pool.other, headers={"jku": "http://127.0.0.1:9/evil.json"}),
        lambda pool: pool.token(headers={"kid": "../../etc/passwd"}),
        lambda pool: "",
        lambda pool: "a.b.c",
        lambda pool: "x" * 10_000,
    ],
    ids=["alg-none", "hs256-with-the-public-key", "changed-claims", "other-key", "jku", "kid-traversal", "empty", "dots", "long"],
)  # fmt: skip
async def test_an_attack_is_refused(pool: FakePool, verifier: CognitoVerifier, attack: Any) -> None:
    with pytest.raises(Problem) as refused:
        await verifier.verify(attack(pool))
    assert refused.value.status == 401


async def test_a_flood_of_unknown_key_ids_asks_for_the_keys_once(pool: FakePool, verifier: CognitoVerifier) -> None:
    for n in range(50):
        with pytest.raises(Problem):
            await verifier.verify(pool.token(headers={"kid": f"k{n + 2}"}))
    await verifier.verify(pool.token())
    assert pool.asked == 1


async def test_when_the_keys_cannot_be_read_the_answer_is_try_again(pool: FakePool) -> None:
    with pytest.raises(Problem) as refused:
        await CognitoVerifier(ISSUER, CLIENT, "http://127.0.0.1:9/none").verify(pool.token())
    assert refused.value.status == 503
