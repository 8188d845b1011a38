"""Stops a stack when the process that brought it up dies, however it dies.

The other end of a pipe is held open by that process alone. When the kernel closes it, this one wakes and
cleans up.
"""

import subprocess
import sys
from pathlib import Path


class ParentWatch:
    """Watches over the stack in `directory` from now on, from a process and a session of its own."""

    def __init__(self, directory: Path) -> None:
        self._watcher = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.parent_watch", str(directory)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Let go; the watcher finds nothing left to stop and ends."""
        if self._watcher.stdin:
            self._watcher.stdin.close()
        self._watcher.wait()


def main() -> None:
    """Wait for the end of standard input, then stop what runs in the directory that the only argument names."""
    from deploy.local.supervisor import Supervisor

    sys.stdin.buffer.read()
    Supervisor(Path(sys.argv[1]), rows=()).down()


if __name__ == "__main__":
    main()
