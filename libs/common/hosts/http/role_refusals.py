"""Publishes refusals by role as events, at a limited rate: many refusals must not cause as many events."""

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

#: Refusals that a process publishes per minute, per caller and in total. Further ones are counted; the caller's next event
#: contains their number.
MAX_PER_CALLER, MAX_PER_PROCESS = 10, 100
#: The maximum number of callers whose unpublished refusals are counted.
MAX_CALLERS = 1000
#: The caller waits for the 403 during this time.
PUBLISH_TIMEOUT_SECONDS = 2.0

log = structlog.get_logger()


class RoleRefusals:
    """The refusals of one process. ``runtime`` is not used before the first refusal."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._minute = 0
        self._published: Counter[str] = Counter()
        self._unpublished: Counter[str] = Counter()

    async def note(self, service: str, route: Route, caller: Caller, parameters: Mapping[str, Any]) -> None:
        """Publish the refusal, or count it. Never raises: the 403 does not depend on it."""
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
