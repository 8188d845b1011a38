"""``python -m deploy.smoke``: exits 0 only if every step passed, and stops all processes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from deploy.containers.stack import a_stack
from deploy.smoke.client import Failed
from deploy.smoke.platform import Platform
from deploy.smoke.scenario import Scenario

#: Short claims, so that the step with the killed worker is fast.
QUICK = {"WECARE_WINDOW_SCALE": "0.1"}


def main() -> int:
    """Run the scenario on a new stack; print a line per step, then one line of JSON."""
    console = Console(highlight=False, soft_wrap=True)
    aws = os.environ.get("AWS") or "embedded"
    result: dict[str, object] = {"smoke": "failed", "aws": aws}
    begun = time.monotonic()

    def say(line: str) -> None:
        console.print(f"\n[bold]{line[2:]}[/bold]" if line.startswith("# ") else f"  [green]✓[/green] {line}")

    with tempfile.TemporaryDirectory(prefix="wecare-smoke-") as folder:
        try:
            with a_stack(Path(folder), aws=aws, env=QUICK) as stack:
                say(f"the platform is up (AWS={aws}) after {time.monotonic() - begun:.1f} s")
                with Platform(stack) as platform:
                    story = Scenario(platform, say)
                    try:
                        story.tell()
                        result = {"smoke": "ok", "aws": aws, **story.facts}
                    except Failed as failed:
                        console.print(f"  [red]✗[/red] {failed}")
                        result["why"] = str(failed)
                        _last_words(console, Path(folder))
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            console.print(f"  [red]✗[/red] {type(error).__name__}: {error}")
            result["why"] = f"{type(error).__name__}: {error}"
    result["seconds"] = round(time.monotonic() - begun, 1)
    print("\n" + json.dumps(result))
    return 0 if result["smoke"] == "ok" else 1


def _last_words(console: Console, folder: Path) -> None:
    """The last log lines of each process, to find the cause."""
    for log in sorted((folder / "logs").glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-15:]
        console.print(f"\n[bold]{log.name}[/bold]")
        for line in lines:
            console.print(f"  {line}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
