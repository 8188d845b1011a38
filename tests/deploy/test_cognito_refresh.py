"""The embedded Cognito keeps `auth_time` and `cognito:groups` over a refresh, because the launcher fixes it.

The last test runs MiniStack as it is: when it fails, an upgrade has fixed a fault itself, and the fix in
`deploy/local/emulator.py` for it can go.
"""

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from deploy.local import cognito
from deploy.local.cognito import DEMO_PEOPLE
from deploy.local.process import Process
from deploy.local.stack import Stack

REDIRECT = "http://localhost:8080/auth/callback/"
OPERATOR = DEMO_PEOPLE[1]
PLAIN = Process(
    "aws",
    ("{root}/.venv-emulator/bin/python", "-m", "ministack"),
    port="aws",
    health="/_ministack/health",
    after_provisioning=False,
    uses_aws=False,
    env={
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": "{aws}",
        "IOT_MTLS_ENABLED": "0",
        "SERVICES": "cognito-idp",
        "TMPDIR": "{stack}/tmp",
    },
)


class Session:
    """A person signed in as a browser does: hosted page, code, PKCE."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.cognito = stack.client("cognito-idp")
        self.config = cognito.provision(self.cognito, "wecare-test", stack.cognito_url, "http://localhost:8080")
        self.client_id = self.config["WECARE_COGNITO_CLIENT_ID"]
        self.http = httpx.Client(base_url=stack.aws_url, trust_env=False)
        self.tokens = self._sign_in()
        self.by_api = cognito.sign_in(self.cognito, self.client_id, "OPERATOR")
        self.signed_in = time.monotonic()
        keys = self.http.get(f"/{self.config['WECARE_COGNITO_USER_POOL_ID']}/.well-known/jwks.json").json()["keys"]
        self.keys = {key["kid"]: jwt.PyJWK(key) for key in keys}

    def _sign_in(self) -> dict[str, Any]:
        verifier = "a-verifier-of-at-least-forty-three-characters-0123456789"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "scope": "openid email profile",
            "state": "s",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        page = self.http.get("/oauth2/authorize", params=asked, follow_redirects=True)
        form = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
        form |= {"username": OPERATOR.email, "password": OPERATOR.password}
        answer = self.http.post("/login", data=form)
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        return self.token(grant_type="authorization_code", code=code, redirect_uri=REDIRECT, code_verifier=verifier)

    def token(self, **form: str) -> dict[str, Any]:
        answer = self.http.post("/oauth2/token", data={"client_id": self.client_id} | form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def pause(self) -> None:
        """Until a second after the sign-in: `auth_time` counts whole seconds."""
        time.sleep(max(0.0, self.signed_in + 1.1 - time.monotonic()))

    def refreshed(self) -> dict[str, Any]:
        """Tokens of a refresh as a browser does it."""
        self.pause()
        return self.token(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])

    def claims(self, token: str) -> dict[str, Any]:
        """What a verified token says."""
        key = self.keys[jwt.get_unverified_header(token)["kid"]]
        issuer = self.config["WECARE_COGNITO_ISSUER"]
        return dict(jwt.decode(token, key, ["RS256"], issuer=issuer, options={"verify_aud": False}))


@pytest.fixture(scope="module")
def session(aws: Stack) -> Session:
    return Session(aws)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("plain"), processes=[PLAIN], provision=None) as stack:
        yield stack


def test_the_hosted_page_signs_a_person_in_with_their_group(session: Session) -> None:
    access = session.claims(session.tokens["access_token"])
    assert access["cognito:groups"] == ["OPERATOR"]
    assert access["token_use"] == "access"
    assert access["client_id"] == session.client_id
    assert access["exp"] - access["iat"] == cognito.ACCESS_TOKEN_MINUTES * 60
    assert session.claims(session.tokens["id_token"])["email"] == OPERATOR.email


def test_a_refresh_keeps_auth_time_and_groups_in_both_tokens(session: Session) -> None:
    refreshed = session.refreshed()
    for kind in ("access_token", "id_token"):
        before, after = session.claims(session.tokens[kind]), session.claims(refreshed[kind])
        assert after["auth_time"] == before["auth_time"]
        assert after["cognito:groups"] == ["OPERATOR"]
        assert after["iat"] > before["iat"]


def test_a_refresh_by_the_api_keeps_them_too(session: Session) -> None:
    session.pause()
    refreshed = session.cognito.initiate_auth(
        ClientId=session.client_id,
        AuthFlow="REFRESH_TOKEN_AUTH",
        AuthParameters={"REFRESH_TOKEN": session.by_api["RefreshToken"]},
    )["AuthenticationResult"]
    before, after = session.claims(session.by_api["AccessToken"]), session.claims(refreshed["AccessToken"])
    assert (after["auth_time"], after["cognito:groups"]) == (before["auth_time"], ["OPERATOR"])


def test_a_change_of_group_shows_at_the_next_refresh(session: Session) -> None:
    who = {"UserPoolId": session.config["WECARE_COGNITO_USER_POOL_ID"], "Username": OPERATOR.email}
    session.cognito.admin_add_user_to_group(**who, GroupName="ADMIN")
    try:
        groups = session.claims(session.refreshed()["access_token"])["cognito:groups"]
        assert sorted(groups) == ["ADMIN", "OPERATOR"]
    finally:
        session.cognito.admin_remove_user_from_group(**who, GroupName="ADMIN")


def test_without_the_launcher_both_faults_are_still_there(plain: Stack) -> None:
    session = Session(plain)
    refreshed = session.refreshed()
    before, after = session.claims(session.tokens["access_token"]), session.claims(refreshed["access_token"])
    assert after["auth_time"] > before["auth_time"]
    assert "cognito:groups" not in after
