"""S10: URLs from third parties. Every refusal is checked at the network: a test server listens at the forbidden address,
and it gets no connection."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from libs.common.aws.fetch import Fetcher, Refused, Unreachable, is_public_address

NAMES = ["files.example.com", "other.example.com"]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context, for a certificate made for this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAMES[0])])
    alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in NAMES]
    alternatives += [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder: Path = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


class Names(AbstractResolver):
    """Returns the given answers in order, the last one repeatedly; counts the requests."""

    def __init__(self, port: int, *answers: str) -> None:
        self.port = port
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        kind = socket.AF_INET6 if ":" in found else socket.AF_INET
        return [ResolveResult(hostname=host, host=found, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        pass


class Server:
    """An https server of one behaviour; ``knocks`` counts connections, before TLS."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[str] = []
        self.knocks = 0


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext) -> AsyncIterator[Server]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.knocks += 1
        try:
            await writer.start_tls(tls)
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            running.requests.append(request)
            await serve(reader, writer, request.split(" ")[1])
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    running = Server(server.sockets[0].getsockname()[1])
    async with server:
        yield running


def answers(body: bytes = b"hello", status: str = "200 OK", length: int | None = None, **headers: str) -> Serve:
    async def serve(reader: Any, writer: asyncio.StreamWriter, path: str) -> None:
        lines = {"Content-Type": "text/plain", "Content-Length": str(len(body) if length is None else length)}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    return serve


def fetcher(
    server: Server, client: ssl.SSLContext, *answers: str, allow: Callable[[str], bool] | None = None
) -> Fetcher:
    """Allows connections to the test's server, unless configured otherwise."""
    resolver = Names(server.port, *(answers or ("127.0.0.1",)))
    return Fetcher(allow or (lambda address: True), port=server.port, tls=client, resolver=resolver)


Tls = tuple[ssl.SSLContext, ssl.SSLContext]


async def test_a_public_file_is_fetched_without_cookies_or_compression(tls: Tls) -> None:
    async with serving(answers(b"hello", Set_Cookie="a=b"), tls[0]) as server:
        found = await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/a", 100)
    assert (found.body, found.content_type) == (b"hello", "text/plain")
    assert "Accept-Encoding: identity" in server.requests[0]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2002:a9fe:a9fe::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_of_our_own_network_is_not_public(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize("address", ["4000::1", "e000::1", "::2", "100::1", "240.0.0.1"])
def test_a_range_that_is_given_to_nobody_is_not_public(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public_address(address)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"],
)  # fmt: skip
async def test_every_spelling_of_this_machine_is_refused_before_anything_is_sent(host: str, tls: Tls) -> None:
    """With the resolver of the system, as in earnest; where it does not know a spelling, that is no connection either."""
    async with serving(answers(), tls[0]) as server:
        with pytest.raises((Refused, Unreachable)):
            await Fetcher(port=server.port, tls=tls[1]).get(f"https://{host}:{server.port}/", 100)
    assert server.knocks == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_it_is_the_address_that_is_refused_and_not_some_other_mishap(host: str, tls: Tls) -> None:
    async with serving(answers(), tls[0]) as server:
        with pytest.raises(Refused, match="not a public one"):
            await Fetcher(port=server.port, tls=tls[1]).get(f"https://{host}:{server.port}/", 100)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_inside_is_refused(address: str, tls: Tls) -> None:
    async with serving(answers(), tls[0]) as server:
        inside = fetcher(server, tls[1], address, allow=is_public_address)
        with pytest.raises(Refused, match="not a public one"):
            await inside.get(f"https://files.example.com:{server.port}/", 100)
    assert server.knocks == 0


async def test_a_name_that_answers_differently_the_second_time_is_checked_at_each_connection(tls: Tls) -> None:
    """Rebinding: the first answer is allowed, the next one leads to the metadata service."""
    async with serving(answers(b"", "302 Found", Location="/again"), tls[0]) as server:
        rebinding = fetcher(
            server, tls[1], "127.0.0.1", "169.254.169.254", allow=lambda address: address == "127.0.0.1"
        )
        with pytest.raises(Refused, match="not a public one"):
            await rebinding.get(f"https://files.example.com:{server.port}/", 100)
    assert server.knocks == 1


async def test_what_is_connected_to_is_what_was_checked_and_the_name_is_not_asked_again(tls: Tls) -> None:
    async with serving(answers(), tls[0]) as server:
        seen: list[str] = []
        once = fetcher(server, tls[1], "127.0.0.1", "10.0.0.1", allow=lambda address: not seen.append(address))
        await once.get(f"https://files.example.com:{server.port}/", 100)
    assert seen == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://files.example.com/", "https"),
        ("file:///etc/passwd", "https"),
        ("gopher://files.example.com/", "https"),
        ("https://user:secret@files.example.com/", "password"),
        ("https://files.example.com:22/", "port"),
    ],
)
async def test_a_redirect_is_checked_like_the_first_address(location: str, why: str, tls: Tls) -> None:
    async with serving(answers(b"", "302 Found", Location=location), tls[0]) as server:
        with pytest.raises(Refused, match=why):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 100)
    assert server.knocks == 1


async def test_a_redirect_to_a_literal_inside_is_refused(tls: Tls) -> None:
    async with serving(answers(), tls[0]) as inside:
        target = f"https://127.0.0.1:{inside.port}/"
        async with serving(answers(b"", "307 Temporary Redirect", Location=target), tls[0]) as server:
            allowed = iter([True])
            guarded = fetcher(server, tls[1], allow=lambda address: next(allowed, False))
            guarded._port = server.port
            with pytest.raises(Refused):
                await guarded.get(f"https://files.example.com:{server.port}/", 100)
    assert inside.knocks == 0


async def test_redirects_end(tls: Tls) -> None:
    async with serving(answers(b"", "301 Moved", Location="/on"), tls[0]) as server:
        with pytest.raises(Refused, match="redirects"):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 100)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.com/", "ftp://files.example.com/", "//files.example.com/", "files.example.com", "",
        "https://", "https://a:b@files.example.com/", "https://files.example.com:8443/", "https://files.example.com:99999/",
        "https://[::1", "https://exa mple.com:1/", "data:text/plain,hi",
    ],
)  # fmt: skip
async def test_what_is_no_plain_https_address_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        await Fetcher(lambda address: False).get(url, 100)


async def test_an_endless_body_is_cut_off(tls: Tls) -> None:
    async def endless(reader: Any, writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)  # once the other side has hung up nothing else lets it be noticed

    async with serving(endless, tls[0]) as server:
        with pytest.raises(Refused, match="more than 1000000 bytes"):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 1_000_000)


async def test_a_body_that_says_it_is_too_long_is_not_read(tls: Tls) -> None:
    async with serving(answers(b"", length=10**12), tls[0]) as server:
        with pytest.raises(Refused, match="more than 100 bytes"):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 100)


async def test_a_body_shorter_than_it_says_is_not_taken(tls: Tls) -> None:
    async with serving(answers(b"half", length=50), tls[0]) as server:
        with pytest.raises(Unreachable):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 100)


async def test_a_body_that_trickles_is_given_up(tls: Tls) -> None:
    async def trickle(reader: Any, writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(trickle, tls[0]) as server:
        with pytest.raises(Unreachable):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 10_000, seconds=0.5)


async def test_a_compressed_body_is_refused_and_never_unpacked(tls: Tls) -> None:
    async with serving(answers(b"\x1f\x8b" + bytes(50), Content_Encoding="gzip"), tls[0]) as server:
        with pytest.raises(Refused, match="compressed"):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 100)


@pytest.mark.parametrize(("status", "kind"), [("404 Not Found", Refused), ("403 No", Refused), ("503 Busy", Unreachable), ("429 Slow", Unreachable), ("204 Nothing", Refused)])  # fmt: skip
async def test_a_status_says_whether_to_try_again(status: str, kind: type[Exception], tls: Tls) -> None:
    async with serving(answers(b"", status), tls[0]) as server:
        with pytest.raises(kind):
            await fetcher(server, tls[1]).get(f"https://files.example.com:{server.port}/", 100)


async def test_a_certificate_that_we_do_not_know_is_not_trusted(tls: Tls) -> None:
    async with serving(answers(), tls[0]) as server:
        resolver = Names(server.port, "127.0.0.1")
        strict = Fetcher(lambda address: True, port=server.port, resolver=resolver)
        with pytest.raises(Unreachable):
            await strict.get(f"https://files.example.com:{server.port}/", 100)
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 64}.example.com/",
        "https://[::1",
        "https://a..b/",
        "https://example.com:x/",
    ],
)
async def test_a_name_that_no_host_can_have_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        await Fetcher(lambda address: True).get(url, 100)
