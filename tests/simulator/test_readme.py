"""The README tells the truth: its examples run, and its routes, settings and faults are the ones there are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from libs.simulator import faults, magic_recipients
from libs.simulator.app import Simulator
from libs.simulator.behaviour import Behaviour
from tests.simulator.conftest import in_thread

README = Path("libs/simulator/README.md").read_text()


async def test_the_examples_run(simulator: Simulator) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    code = code.replace("http://127.0.0.1:4580", simulator.url)
    await in_thread(lambda: exec(compile(code, "README.md", "exec"), {}))


def test_every_control_route_is_documented_and_every_documented_one_exists() -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in Simulator().app().router.routes()
        if route.resource is not None
        and route.method not in ("*", "HEAD")
        and route.resource.canonical.startswith("/control/")
    }
    assert set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/control/[^`]+)`", README)) == routes


def test_every_setting_fault_and_magic_recipient_is_documented() -> None:
    assert [f.name for f in fields(Behaviour) if f"`{f.name}`" not in README] == []
    assert [kind for kind in faults.KINDS if f"`{kind}`" not in README] == []
    assert [name for name in magic_recipients.EMAILS if f"`{name}`" not in README] == []
    assert [
        number for number in magic_recipients.NUMBERS if number not in README and f"…{number[-4:]}" not in README
    ] == []
