"""A stand-in for SNS: takes Publish and PublishBatch over HTTP and keeps what came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web


class FakeSns:
    """`url` after start; `messages` holds (topic, parsed message); `until` waits for what a test needs."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any]] = []
        self.batches: list[int] = []
        self.refuse_next = 0
        self.fail_first_entry_next = 0
        self.changed = asyncio.Condition()
        self.runner: web.AppRunner | None = None
        self.url = ""

    def forget(self) -> None:
        self.messages.clear()
        self.batches.clear()
        self.refuse_next = self.fail_first_entry_next = 0

    async def __aenter__(self) -> FakeSns:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/", self._handle)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.runner is not None
        await self.runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        if self.refuse_next > 0:
            self.refuse_next -= 1
            return web.Response(
                status=500, text="<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>"
            )
        prefix = "PublishBatchRequestEntries.member."
        entries = []
        number = 1
        while f"{prefix}{number}.Id" in form:
            entries.append((form[f"{prefix}{number}.Id"], form[f"{prefix}{number}.Message"]))
            number += 1
        failed = [entries.pop(0)[0]] if self.fail_first_entry_next > 0 else []
        self.fail_first_entry_next -= len(failed)
        async with self.changed:
            self.batches.append(len(entries))
            self.messages += [(form["TopicArn"], parsed(message)) for _, message in entries]
            self.changed.notify_all()
        done = "".join(f"<member><Id>{i}</Id><MessageId>m{i}</MessageId></member>" for i, _ in entries)
        lost = "".join(
            f"<member><Id>{i}</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>" for i in failed
        )
        return web.Response(
            content_type="text/xml",
            text=(
                '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>'
                f"<Successful>{done}</Successful><Failed>{lost}</Failed>"
                "</PublishBatchResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"
            ),
        )

    def on(self, topic: str) -> list[Any]:
        return [message for t, message in self.messages if t == topic]

    async def until(self, ready: Callable[[FakeSns], object], timeout: float = 5.0) -> None:
        """Wait until `ready(self)` holds; fails with what came so far."""
        async with self.changed:
            try:
                await asyncio.wait_for(self.changed.wait_for(lambda: bool(ready(self))), timeout)
            except TimeoutError:
                raise AssertionError(f"not in {timeout} s; {len(self.messages)} came: {self.messages[-3:]}") from None


def parsed(message: str) -> Any:
    try:
        return json.loads(message)
    except ValueError:
        return message


def whatsapp(message: Any) -> dict[str, Any]:
    """The `value` of the one change in a WhatsApp envelope."""
    value: dict[str, Any] = json.loads(message["whatsAppWebhookEntry"])["changes"][0]["value"]
    return value


def statuses(sns: FakeSns, topic: str) -> list[dict[str, Any]]:
    values = [whatsapp(m) for m in sns.on(topic)]
    return [item for value in values for item in value.get("statuses", [])]
