"""Events to SNS, in batches of ten, or to a webhook one by one, with retries: the carriers' side of "at least once"."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from contextlib import AsyncExitStack
from typing import Any

import structlog
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from libs.simulator.aws import session
from libs.simulator.form_encoding import encode_body
from libs.simulator.webhooks import Webhooks, is_webhook

log = structlog.get_logger("simulator.publisher")

MAX_BATCH_EVENTS = 10
MAX_BATCH_BYTES = 256 * 1024
PERMANENT = frozenset({"NotFound", "NotFoundException", "InvalidParameter", "AuthorizationError", "InvalidTopic"})
"""SNS errors that no retry fixes: the event is dropped and counted, as AWS drops it."""


class Publisher:
    """A queue per topic and up to `parallel` PublishBatch calls at a time.

    `endpoint` None publishes nothing (the events can still be read at /control/events); "aws" means the
    endpoints that botocore finds by itself.
    """

    def __init__(self, endpoint: str | None, parallel: int = 3, retry_for_s: float = 300.0) -> None:
        self.endpoint = endpoint
        self.retry_for_s = retry_for_s
        self.queues: dict[str, deque[str]] = defaultdict(deque)
        self.slots = asyncio.Semaphore(parallel)
        self.tasks: set[asyncio.Task[None]] = set()
        self.clients: dict[str, Any] = {}
        self.opening = asyncio.Lock()
        self.stack = AsyncExitStack()
        self.published = 0
        self.dropped = 0
        self.feeders: dict[str, asyncio.Task[None]] = {}
        self.webhooks = Webhooks()
        self.secrets = self.webhooks.secrets

    @property
    def waiting(self) -> int:
        """Events handed over and not yet taken by SNS."""
        return sum(map(len, self.queues.values())) + len(self.tasks) * MAX_BATCH_EVENTS

    def put(self, topic: str, message: str) -> None:
        if self.endpoint is None and not is_webhook(topic):
            self.dropped += 1
            return
        self.queues[topic].append(message)
        if topic not in self.feeders:
            self.feeders[topic] = asyncio.create_task(self._feed(topic))

    async def _feed(self, topic: str) -> None:
        queue = self.queues[topic]
        try:
            while queue:
                # While all slots are busy the queue grows, and the next batch is fuller: load aggregates itself.
                await self.slots.acquire()
                task = asyncio.create_task(self._send(topic, self._batch(queue)))
                self.tasks.add(task)
                task.add_done_callback(self._done)
        finally:
            self.feeders.pop(topic, None)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.slots.release()
        if not task.cancelled() and task.exception() is not None:
            log.error("publish_crashed", error=repr(task.exception()))

    @staticmethod
    def _batch(queue: deque[str]) -> list[str]:
        batch = [queue.popleft()]
        size = len(batch[0].encode())
        while queue and len(batch) < MAX_BATCH_EVENTS:
            size += len(queue[0].encode())
            if size > MAX_BATCH_BYTES:
                break
            batch.append(queue.popleft())
        return batch

    async def _send(self, topic: str, batch: list[str]) -> None:
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + self.retry_for_s, 0.1
        while batch:
            batch = await self._attempt(topic, batch)
            if batch and loop.time() > give_up:
                log.error("events_dropped", topic=topic, count=len(batch), cause="retries used up")
                self.dropped += len(batch)
                return
            if batch:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _attempt(self, topic: str, batch: list[str]) -> list[str]:
        """One PublishBatch; returns what has to be tried again."""
        if is_webhook(topic):
            left = [message for message in batch if not await self.webhooks.post(topic, message)]
            self.published += len(batch) - len(left)
            return left
        entries = [{"Id": str(i), "Message": message} for i, message in enumerate(batch)]
        try:
            client = await self._client(topic)
            answer = await client.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in PERMANENT:
                log.warning("events_dropped", topic=topic, count=len(batch), cause=code)
                self.dropped += len(batch)
                return []
            log.warning("publish_retry", topic=topic, cause=code)
            return batch
        except (BotoCoreError, OSError, TimeoutError) as error:
            log.warning("publish_retry", topic=topic, cause=type(error).__name__)
            return batch
        failed = {item["Id"]: bool(item.get("SenderFault")) for item in answer.get("Failed", [])}
        self.published += len(batch) - len(failed)
        self.dropped += sum(failed.values())
        return [message for i, message in enumerate(batch) if failed.get(str(i)) is False]

    async def _client(self, topic: str) -> Any:
        """One SNS client per region of the topics, made on first use."""
        region = topic.split(":")[3] if topic.count(":") >= 5 else "us-east-1"
        async with self.opening:
            if region not in self.clients:
                # Retries are ours: they must not be hidden in the SDK, where a batch would be sent again as a whole.
                config = AioConfig(
                    retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=15,
                    max_pool_connections=32, user_agent="wecare-simulator",
                )  # fmt: skip
                url = None if self.endpoint == "aws" else self.endpoint
                context = session().create_client("sns", region_name=region, endpoint_url=url, config=config)
                client = await self.stack.enter_async_context(context)
                client.meta.events.register("before-call.sns", encode_body)
                self.clients[region] = client
        return self.clients[region]

    async def drain(self, grace_s: float) -> None:
        """Wait until everything handed over was taken, at most `grace_s` seconds."""
        give_up = asyncio.get_running_loop().time() + grace_s
        while (self.feeders or self.tasks) and asyncio.get_running_loop().time() < give_up:
            await asyncio.wait([*self.feeders.values(), *self.tasks], timeout=0.1)

    async def close(self) -> None:
        pending = [*self.feeders.values(), *self.tasks]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self.stack.aclose()
        await self.webhooks.close()
