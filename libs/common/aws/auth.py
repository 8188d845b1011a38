"""Authenticates callers by Cognito access tokens. Every process verifies them itself; a gateway in front is not trusted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Protocol

import httpx
import jwt

from libs.common.clock import monotonic
from libs.common.errors import Problem

#: Limits the requests to Cognito that tokens with invented key ids cause.
JWKS_CACHE_SECONDS = 60


class Role(IntEnum):
    """Roles in ascending order; each includes the rights of the lower ones."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True)
class Caller:
    """A verified caller. ``subject`` is Cognito's ``sub``; ``role`` the highest of its groups, or None; ``signed_in_at``
    the start of this session, unchanged by token refreshes."""

    subject: str
    role: Role | None
    signed_in_at: datetime | None = None

    @property
    def actor(self) -> str:
        return f"user:{self.subject}"


def unauthorized(detail: str) -> Problem:
    return Problem(401, "UNAUTHORIZED", "A valid access token is needed", detail)


class Verifier(Protocol):
    """Turns a bearer token into a caller, or raises a 401 :class:`Problem`."""

    async def verify(self, token: str) -> Caller: ...


class CognitoVerifier:
    """Accepts RS256 with the pool's published keys only; checks ``iss``, ``client_id``, ``token_use=access`` and ``exp``.

    ``jwks_url`` is usually ``<issuer>/.well-known/jwks.json``; it differs for an emulated pool.
    """

    def __init__(self, issuer: str, client_id: str, jwks_url: str = "") -> None:
        if not issuer or not client_id:
            raise SystemExit("WECARE_COGNITO_ISSUER and WECARE_COGNITO_CLIENT_ID must be set for sign-in.")
        self._issuer = issuer
        self._client_id = client_id
        self._jwks_url = jwks_url or f"{issuer.rstrip('/')}/.well-known/jwks.json"
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = -float(JWKS_CACHE_SECONDS)
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> Caller:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise unauthorized("The token is not a JSON Web Token.") from None
        key_id = header.get("kid")
        if header.get("alg") != "RS256" or not isinstance(key_id, str):
            raise unauthorized("The token is not signed as this user pool signs.")
        key = await self._key(key_id)
        try:
            claims = jwt.decode(
                token,
                key=key,
                algorithms=["RS256"],
                issuer=self._issuer,
                options={"require": ["exp", "iss", "sub", "token_use", "client_id"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise unauthorized("The token has expired; sign in again or refresh it.") from None
        except jwt.InvalidTokenError:
            raise unauthorized("The token is not valid here.") from None
        if claims["token_use"] != "access":  # noqa: S105
            raise unauthorized("This is not an access token; send the access token, not the id token.")
        if claims["client_id"] != self._client_id:
            raise unauthorized("The token was issued to another application.")
        return Caller(str(claims["sub"]), _role(claims.get("cognito:groups")), _moment(claims.get("auth_time")))

    async def _key(self, key_id: str) -> jwt.PyJWK:
        if key_id not in self._keys:
            async with self._lock:
                if key_id not in self._keys and monotonic() - self._asked_at >= JWKS_CACHE_SECONDS:
                    self._asked_at = monotonic()
                    await self._fetch()
        try:
            return self._keys[key_id]
        except KeyError:
            raise unauthorized("The token is signed by a key that this user pool does not have.") from None

    async def _fetch(self) -> None:
        try:
            async with httpx.AsyncClient(timeout=5, follow_redirects=False, trust_env=False) as http:
                answer = await http.get(self._jwks_url)
                answer.raise_for_status()
                found = jwt.PyJWKSet.from_dict(answer.json())
        except (httpx.HTTPError, ValueError, jwt.PyJWTError):
            self._asked_at = monotonic() - JWKS_CACHE_SECONDS + 1
            raise Problem(503, "SIGN_IN_UNAVAILABLE", "The keys of the user pool cannot be read; try again") from None
        self._keys = {key.key_id: key for key in found.keys if key.key_id}


def _role(groups: Any) -> Role | None:
    held = [Role[name] for name in groups or () if name in Role.__members__]
    return max(held, default=None)


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
