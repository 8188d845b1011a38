"""Role breaches are said as facts, as far as they can be: a flood of refusals must not become a flood of events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog

from libs.common.auth import Caller
from libs.common.clock import drawn_id
from libs.common.event import following, root_cause
from libs.common.handled import RequestRefused, action_of, ids_in, resource_of
from libs.common.hosts.routes import Route
from libs.common.runtime import Runtime

#: Refusals that a process says within a minute, of one caller and of all. The rest is counted, and the caller's next one tells
#: how many there were.
OF_ONE, OF_ALL = 10, 100
#: Callers whose refusals are counted while they are not said.
MOST_CALLERS = 1000
#: Somebody waits for their 403 meanwhile.
SECONDS = 2.0

log = structlog.get_logger()


class Breaches:
    """Of one process. ``runtime`` is not touched before the first breach."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._minute = 0
        self._said: Counter[str] = Counter()
        self._unsaid: Counter[str] = Counter()

    async def note(self, service: str, route: Route, caller: Caller, parameters: Mapping[str, Any]) -> None:
        """Say it, or count it. Never raises: the refusal itself does not depend on it."""
        if not self._may_say(caller.actor):
            if caller.actor in self._unsaid or len(self._unsaid) < MOST_CALLERS:
                self._unsaid[caller.actor] += 1
            return
        unsaid = self._unsaid.pop(caller.actor, 0)
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
        cause = root_cause("refused", drawn_id(), actor=caller.actor)
        try:
            said = following(cause, [fact], source=service, now=now)
            await asyncio.wait_for(self._runtime.bus.publish(said), SECONDS)
        except Exception as error:
            self._unsaid[caller.actor] += unsaid + 1
            log.warning("a refusal could not be said", action=fact.action, error=type(error).__name__)

    def _may_say(self, actor: str) -> bool:
        minute = int(self._runtime.clock.now().timestamp() // 60)
        if minute != self._minute:
            self._minute = minute
            self._said.clear()
        if self._said[actor] >= OF_ONE or self._said.total() >= OF_ALL:
            return False
        self._said[actor] += 1
        return True
