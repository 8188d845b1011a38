"""Stops a stack when the process that started it ends, however it ends.

Only that process holds the other end of a pipe. When the kernel closes it, this process stops the
stack.
"""

import subprocess
import sys
from pathlib import Path


class ParentWatch:
    """Start a watcher for the stack in `directory`, in a separate process and session."""

    def __init__(self, directory: Path) -> None:
        self._watcher = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.parent_watch", str(directory)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Close the pipe; the watcher finds nothing to stop and ends."""
        if self._watcher.stdin:
            self._watcher.stdin.close()
        self._watcher.wait()


def main() -> None:
    """Wait for the end of standard input, then stop the processes of the directory in the only argument."""
    from deploy.local.supervisor import Supervisor

    sys.stdin.buffer.read()
    Supervisor(Path(sys.argv[1]), rows=()).down()


if __name__ == "__main__":
    main()
