"""Role breaches are said as facts, as far as they can be: a flood of refusals must not become a flood of events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog

from libs.common.aws.auth import Caller
from libs.common.clock import random_id
from libs.common.declare.event import following, root_cause
from libs.common.declare.request_events import RequestRefused, action_of, ids_in, resource_of
from libs.common.handle.runtime import Runtime
from libs.common.hosts.http.routes import Route

#: Refusals that a process says within a minute, of one caller and of all. The rest is counted, and the caller's next one tells
#: how many there were.
MAX_PER_CALLER, MAX_PER_PROCESS = 10, 100
#: Callers whose refusals are counted while they are not said.
MAX_CALLERS = 1000
#: Somebody waits for their 403 meanwhile.
PUBLISH_TIMEOUT_SECONDS = 2.0

log = structlog.get_logger()


class RoleRefusals:
    """Of one process. ``runtime`` is not touched before the first breach."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._minute = 0
        self._published: Counter[str] = Counter()
        self._unpublished: Counter[str] = Counter()

    async def note(self, service: str, route: Route, caller: Caller, parameters: Mapping[str, Any]) -> None:
        """Say it, or count it. Never raises: the refusal itself does not depend on it."""
        if not self._may_publish(caller.actor):
            if caller.actor in self._unpublished or len(self._unpublished) < MAX_CALLERS:
                self._unpublished[caller.actor] += 1
            return
        unsaid = self._unpublished.pop(caller.actor, 0)
        now = self._runtime.clock.now()
        kept = ids_in(parameters)
        fact = RequestRefused(
            service=service,
            action=action_of(service, route.function),
            role=caller.role.name if caller.role else None,
            needs=route.role.name if route.role else "",
            method=route.method,
            route=route.path,
            parameters=kept,
            resource=resource_of(kept),
            unsaid=unsaid,
            at=now,
        )
        cause = root_cause("refused", random_id(), actor=caller.actor)
        try:
            envelopes = following(cause, [fact], source=service, now=now)
            await asyncio.wait_for(self._runtime.bus.publish(envelopes), PUBLISH_TIMEOUT_SECONDS)
        except Exception as error:
            self._unpublished[caller.actor] += unsaid + 1
            log.warning("a refusal could not be published", action=fact.action, error=type(error).__name__)

    def _may_publish(self, actor: str) -> bool:
        minute = int(self._runtime.clock.now().timestamp() // 60)
        if minute != self._minute:
            self._minute = minute
            self._published.clear()
        if self._published[actor] >= MAX_PER_CALLER or self._published.total() >= MAX_PER_PROCESS:
            return False
        self._published[actor] += 1
        return True
