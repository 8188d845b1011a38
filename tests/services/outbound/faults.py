"""A provider that misbehaves on the wire: a raw asyncio server that reads a request and does the one thing it was told.

``accepted`` counts requests that were taken, whether or not an answer went out: the oracle."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: WhatsApp's spelling, that of the other services, and Meta's own; a client reads the one that it knows.
GOOD = (
    b'{"messageId":"3f8f0b7e-2d0b-4a35-9c7e-5a1c0b6f1d01","MessageId":"3f8f0b7e-2d0b-4a35-9c7e-5a1c0b6f1d01",'
    b'"messages":[{"id":"wamid.SAMPLEOUTBOUND0000000000000000000001"}]}'
)


class FaultServer:
    """``fault``: ok, reset_before, reset_after, hang, half_body, bad_json, no_id, or an HTTP status with an error's name
    (``429 ThrottledRequestException``) or with Meta's number (``429 130429``); without either it has no words."""

    def __init__(self, fault: str = "ok") -> None:
        self.fault = fault
        self.accepted = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.fault == "reset_before":
                _reset(writer)
                return
            await _read(reader)
            await self._answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        head, _, name = self.fault.partition(" ")
        if head.isdecimal():
            status = int(head)
            # A server's error may come after the message was taken; a refusal never does.
            self.accepted += status >= 500
            said: dict[str, object] = {"message": "Simulated", "__type": name}
            if name.isdecimal():
                said = {"error": {"message": "Simulated", "type": "OAuthException", "code": int(name)}}
            writer.write(_http(status, json.dumps(said).encode(), name))
        else:
            self.accepted += 1
            if self.fault == "reset_after":
                _reset(writer)
                return
            if self.fault == "hang":
                await asyncio.sleep(30)
            body = {"bad_json": b'{"messageId": "3f8f', "no_id": b"{}", "half_body": GOOD}.get(self.fault, GOOD)
            whole = _http(200, body)
            writer.write(whole[: -len(body) // 2] if self.fault == "half_body" else whole)
        await writer.drain()


@asynccontextmanager
async def fault_server(fault: str) -> AsyncIterator[FaultServer]:
    """A server with one fault, on a port of its own."""
    faulty = FaultServer(fault)
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


async def _read(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))


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
