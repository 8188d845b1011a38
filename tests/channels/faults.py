"""A provider that misbehaves on the wire: a raw asyncio server that reads a request and does the one thing it was told."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.channels.senders import Client

#: WhatsApp's spelling, and that of the other AWS services; a client reads the one that it knows.
AWS_ACCEPTED = {name: "3f8f0b7e-2d0b-4a35-9c7e-5a1c0b6f1d01" for name in ("messageId", "MessageId")}


class FaultServer:
    """``fault``: ok, reset_before, reset_after, hang, half_body, bad_json, no_id, or an HTTP status with an error's code in the
    words of the client's provider (``429 ThrottledRequestException``, ``429 130429``); without a code it has no words."""

    def __init__(self, fault: str, client: Client) -> None:
        self.fault = fault
        self.good = client.accepted or AWS_ACCEPTED
        self.refused = client.refused
        #: What was accepted, as it came.
        self.bodies: list[bytes] = []
        #: Whether the request after the next is answered well again.
        self.once = False
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.fault == "reset_before":
                _reset(writer)
                return
            await self._answer(await _read(reader), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        fault, self.fault = self.fault, "ok" if self.once else self.fault
        head, _, name = fault.partition(" ")
        # A server's error may come after the message was taken; a refusal never does.
        if not head.isdecimal() or int(head) >= 500:
            self.bodies.append(body)
        if head.isdecimal():
            words = json.dumps(self.refused if name and self.refused else {"message": "Simulated", "__type": "{code}"})
            code = name if name.isdecimal() else json.dumps(name)
            writer.write(_http(int(head), words.replace('"{code}"', code).encode(), name))
        elif fault == "reset_after":
            _reset(writer)
            return
        else:
            if fault == "hang":
                await asyncio.sleep(30)
            said = {"bad_json": b'{"messageId": "3f8f', "no_id": b"{}"}.get(fault, json.dumps(self.good).encode())
            whole = _http(200, said)
            writer.write(whole[: -len(said) // 2] if fault == "half_body" else whole)
        await writer.drain()

    @property
    def accepted(self) -> int:
        """How many requests were taken, whether or not an answer went out: the oracle."""
        return len(self.bodies)


@asynccontextmanager
async def fault_server(fault: str, client: Client) -> AsyncIterator[FaultServer]:
    """A server with one fault, on a port of its own."""
    faulty = FaultServer(fault, client)
    server = await asyncio.start_server(faulty.serve, "127.0.0.1", 0)
    faulty.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield faulty
    finally:
        server.close()


@asynccontextmanager
async def full_listener() -> AsyncIterator[str]:
    """An address where a connection is never answered: the queue of the listener is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    filling = []
    for _ in range(3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
        filling.append(client)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for each in (*filling, listener):
            each.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _read(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return await reader.readexactly(int(line.split(b":")[1]))
    return b""


def _http(status: int, body: bytes, error: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    if error:
        lines.append(f"x-amzn-ErrorType: {error}")
    if status == 429:
        lines.append("Retry-After: 7")
    return ("\r\n".join([*lines, "Connection: close", "", ""])).encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
