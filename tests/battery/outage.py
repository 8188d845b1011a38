"""R21: a provider answers 503 for a minute while replies are sent continuously.

    python -m tests.battery.outage --replies 200 --per-second 4 --seconds 60

The real WhatsApp sender against the carrier simulator over HTTP, with a manual clock. No reply is used to probe the provider:
waiting messages are sent afterwards, once each; only messages in flight when the outage began may stay uncertain. Prints one
line of JSON, and exits 1 on a violation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from typing import Any

from libs.common.aws.clients import Aws
from libs.common.observe.log import configure
from libs.common.settings import Settings
from libs.common.testing.world import World
from libs.messaging.vocabulary import MessageClass, Status
from libs.simulator import demo
from libs.simulator.app import Simulator
from libs.simulator.core import Settings as SimulatorSettings
from services.outbound.channels.whatsapp.channel import WhatsApp
from services.outbound.ledger.model import Delivery
from services.outbound.limits.rates import Limits
from services.outbound.sending.channel_service import channel_service
from tests.services.outbound.kit import NAME, message, permission

#: Replies before the outage.
CALM = 20
AFTERWARDS_SECONDS = 180
KEYS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


async def outage(replies: int, per_second: int, seconds: int) -> dict[str, Any]:
    """One run; returns the row for ``battery.json``."""
    settings = Settings(stage="test", send_mode="LIVE", whatsapp_phone_number_ids=demo.PHONE_NUMBER_ID)
    service = channel_service(WhatsApp(), Limits(per_second=80), needs=[])
    async with Simulator(SimulatorSettings(seed="1", grace_s=0)) as simulator:
        simulator.core.behaviour.always_open_window = True
        environment = {**KEYS, "AWS_ENDPOINT_URL_SOCIALMESSAGING": simulator.url}
        async with (
            Aws(environment=environment) as aws,
            World([service], settings=settings, aws=aws, times=1) as world,
        ):
            await world.hear(permission(world.clock.now()))
            for n in range(replies):
                if n == CALM:
                    simulator.core.faults.add({"fault": "outage_503"})
                if n == CALM + per_second * seconds:
                    simulator.core.faults.remove(None)
                await world.hear(message(world.clock.now(), f"m{n}", MessageClass.REPLY))
                await world.advance(1 / per_second, step=1 / per_second)
            left = seconds - max(0, replies - CALM) / per_second
            await world.advance(max(0.0, left), step=1)
            simulator.core.faults.remove(None)
            await world.advance(AFTERWARDS_SECONDS, step=1)
            await world.tick(NAME)
            rows = [await world.row(NAME, Delivery, f"m{n}") for n in range(replies)]
            return _row(rows, simulator, world, per_second * seconds)


def _row(rows: list[Delivery | None], simulator: Simulator, world: World, during: int) -> dict[str, Any]:
    states = Counter("lost" if row is None else row.status.value for row in rows)
    sends = simulator.core.requests["socialmessaging.SendWhatsAppMessage"]
    accepted = simulator.core.ledger.summary()
    uncertain = states[Status.UNCERTAIN.value] + states[Status.UNKNOWN.value]
    violations = []
    if states["lost"] or world.letters():
        violations.append(f"lost: {states['lost']}, dead letters: {len(world.letters())}")
    if accepted["duplicates"] or accepted["accepted"] != states[Status.SENT.value]:
        violations.append(f"accepted {accepted['accepted']}, sent {states['sent']}, twice {accepted['duplicates']}")
    if uncertain > 1:
        violations.append(f"{uncertain} answers were spent on an outage of which one would have told")
    if states[Status.SENT.value] + uncertain != len(rows):
        violations.append(f"not all went out: {dict(states)}")
    figure = {
        "replies": len(rows), "duringOutage": min(during, len(rows) - CALM), "states": dict(states), "sends": sends,
        "probes": simulator.core.requests["socialmessaging.ListLinkedWhatsAppBusinessAccounts"],
    }  # fmt: skip
    return {"row": "R21", "runs": 1, "seeds": [1], "violations": violations, "figure": figure}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.battery.outage", description=__doc__)
    parser.add_argument("--replies", type=int, default=200)
    parser.add_argument("--per-second", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    configure("ERROR")
    row = asyncio.run(outage(chosen.replies, chosen.per_second, chosen.seconds))
    print(json.dumps(row))
    return 1 if row["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
