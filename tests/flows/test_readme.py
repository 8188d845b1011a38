"""The README's walk, pasted as one block into a shell, does what it says."""

from __future__ import annotations

import os
import re
import subprocess

from deploy.local.supervisor import ROOT
from deploy.smoke.client import until
from deploy.smoke.platform import Platform

_PHONE = "+12025550111"


def _block() -> str:
    """The one block of the README that writes to somebody."""
    (found,) = (
        each for each in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "curl" in each
    )
    return str(found)


def test_the_walk_of_the_readme_works_as_one_block_and_again(on: Platform) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WECARE_", "MAKE"))}
    env = {**inherited, "STACK_DIRECTORY": str(on.stack.directory), "COLUMNS": "240"}
    # The block shows what became of the contact's id and the message's in its own variables.
    script = f'set -euo pipefail\n{_block()}\necho; echo "walked $CONTACT $MESSAGE"\n'
    messages = set()
    for _ in range(2):
        ran = subprocess.run(
            ["bash"], input=script, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        contact, message = ran.stdout.split()[-2:]
        messages.add(message)
        assert "queued" in ran.stdout
        on.reaches(message, "read")
        assert len(on.accepted(message_id=message)) == 1
    assert len(messages) == 2
    assert on.operator.get(f"/api/contacts/{contact}")["phone"] == _PHONE
    until("the answer", lambda: _answers(on, contact) == ["Thanks!"] * 2)


def _answers(on: Platform, contact: str) -> list[str]:
    reported = on.operator.get("/api/messages", contactId=contact)["items"]
    return [each["content"]["body"] for each in reported if each["direction"] == "inbound"]
