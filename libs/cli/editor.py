"""Edits a text in the user's editor (``VISUAL`` or ``EDITOR``)."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from libs.cli.api import fail
from libs.cli.show import can_ask


def edited(text: str) -> str:
    """Return the saved text. Ends the command if it is unchanged."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not command and not can_ask():
        fail("There is no terminal to edit in.", "Set EDITOR, or pass --data FILE.")
    command = command or "vi"
    # Readable by this user only, and deleted afterwards: it may contain personal data.
    with tempfile.TemporaryDirectory(prefix="wecare-") as folder:
        path = Path(folder) / "data.json"
        path.write_text(text + "\n")
        try:
            subprocess.run([*shlex.split(command), str(path)], check=True)  # noqa: S603 - their editor
        except (OSError, subprocess.CalledProcessError) as error:
            fail(f"The editor failed: {command} ({type(error).__name__})", "Set EDITOR, or pass --data FILE.")
        after = path.read_text()
    if after.strip() == text.strip():
        fail("Nothing was changed.")
    return after
