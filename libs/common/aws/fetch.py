"""The only client for URLs from third parties: a GET that cannot reach internal networks (protection against SSRF).

* https only, on port 443, without credentials in the address;
* each connection is checked when its socket is opened, by the IP address that is connected to: this covers names, literals
  in any notation, and names whose DNS answer changes;
* redirects are followed explicitly, each checked like the first URL;
* no proxy, no cookies, no decompression; body size and total time are limited.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

MAX_REDIRECTS = 3
TIMEOUT_SECONDS = 20.0
#: Prefixes that carry an IPv4 address inside an IPv6 one (RFC 6052, NAT64); ``::ffff``, 6to4 and Teredo are known to
#: :mod:`ipaddress`.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The URL is refused permanently. The text contains no address."""


class Unreachable(Exception):
    """A transient failure: no connection, a timeout, a 5xx or 429."""


class _NotPublic(OSError):
    """Raised instead of opening a socket."""


@dataclass(frozen=True)
class Fetched:
    """``content_type`` is the server's claim and not trusted."""

    content_type: str
    body: bytes


def _reserved(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is unassigned: for IPv6 all but the global unicast range and the prefix that translates to IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        return not any(address in given for given in _GIVEN)
    return address.is_reserved


_GIVEN = (ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("64:ff9b::/96"))


def is_public_address(address: str) -> bool:
    """Whether an IP address, and the IPv4 address inside it if there is one, belongs to the public internet."""
    return all(
        known.is_global and not known.is_multicast and not _reserved(known)
        for known in _inside(ipaddress.ip_address(address))
    )


def _inside(address: Address) -> list[Address]:
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return [address.ipv4_mapped]
        if address.sixtofour:
            found.append(address.sixtofour)
        if address.teredo:
            found += list(address.teredo)
        if address in _NAT64:
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found


class Fetcher:
    """Fetches by GET. Only tests pass ``allow`` (permitted addresses), ``port`` and ``tls``."""

    def __init__(
        self,
        allow: Callable[[str], bool] = is_public_address,
        *,
        port: int = 443,
        tls: ssl.SSLContext | None = None,
        resolver: aiohttp.abc.AbstractResolver | None = None,
    ) -> None:
        self._allow = allow
        self._port = port
        self._tls = tls
        self._resolver = resolver

    async def get(self, url: str, maximum: int, seconds: float = TIMEOUT_SECONDS) -> Fetched:
        """The body, at most ``maximum`` bytes, within ``seconds`` over all redirects. Raises Refused or Unreachable."""
        try:
            async with asyncio.timeout(seconds), self._session() as session:
                for _ in range(MAX_REDIRECTS + 1):
                    fetched, onward = await self._once(session, url, maximum)
                    if fetched is not None:
                        return fetched
                    url = urljoin(url, onward)
        except _NotPublic:
            raise Refused("the address is not a public one") from None
        except aiohttp.ClientConnectorError as error:
            if _blocked(error):
                raise Refused("the address is not a public one") from None
            raise Unreachable(type(error).__name__) from None
        except (aiohttp.InvalidURL, ValueError):
            # ValueError: an invalid host name (UnicodeError), a port that is not a number.
            raise Refused("not an address") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(type(error).__name__) from None
        raise Refused(f"more than {MAX_REDIRECTS} redirects")

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=self._tls or True,
            resolver=self._resolver,
            use_dns_cache=False,
            force_close=True,
            socket_factory=self._socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=10),
            headers={"Accept-Encoding": "identity", "User-Agent": "wecare"},
        )

    def _socket(self, where: Any) -> socket.socket:
        """The connector; every connection is opened here."""
        family, kind, protocol, _, address = where
        if family not in (socket.AF_INET, socket.AF_INET6) or not self._allow(str(address[0]).partition("%")[0]):
            raise _NotPublic("not a public address")
        return socket.socket(family, kind, protocol)

    async def _once(self, session: aiohttp.ClientSession, url: str, maximum: int) -> tuple[Fetched | None, str]:
        self._check(url)
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status in _REDIRECTS:
                return None, answer.headers.get("Location", "")
            if answer.status >= 500 or answer.status == 429:
                raise Unreachable(f"status {answer.status}")
            if answer.status != 200:
                raise Refused(f"it answered {answer.status}")
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise Refused("the body is compressed although the request did not accept it")
            if (answer.content_length or 0) > maximum:
                raise Refused(f"more than {maximum} bytes")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > maximum:
                    raise Refused(f"more than {maximum} bytes")
            return Fetched(answer.content_type, bytes(body)), ""

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError:
            raise Refused("not an address") from None
        if parts.scheme != "https" or not parts.hostname:
            raise Refused("only https addresses are fetched")
        if parts.username is not None or parts.password is not None:
            raise Refused("an address with a password in it")
        if port != self._port:
            raise Refused("only the usual port is fetched from")


def _blocked(error: aiohttp.ClientConnectorError) -> bool:
    """Whether this module refused the address, also if the library wrapped the error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, _NotPublic) or isinstance(getattr(seen, "os_error", None), _NotPublic):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


__all__ = ["Fetched", "Fetcher", "Refused", "Unreachable", "is_public_address"]
