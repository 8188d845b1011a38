"""`make logs`: the log files of a stack in one stream, each line under the name of its process."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_COLOURS = (36, 33, 35, 32, 34, 31)


class Tail:
    """The new lines of one file since the last read; starts with its last lines."""

    def __init__(self, path: Path, lines: int) -> None:
        self.path = path
        self._rest = b""
        self._at = _start_of_last(path, lines)

    def new_lines(self) -> Iterator[str]:
        """Whole lines only; a file that became shorter is read from its beginning."""
        if self.path.stat().st_size < self._at:
            self._at, self._rest = 0, b""
        with open(self.path, "rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")


def _start_of_last(path: Path, lines: int) -> int:
    data = path.read_bytes()
    at = len(data)
    for _ in range(lines + 1):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    return at + 1


def show(folder: Path, names: Sequence[str] = (), *, follow: bool = True, lines: int = 20) -> None:
    """Print the last `lines` of each log (of those named, if any) and, with `follow`, new lines until Ctrl-C."""
    tails: dict[Path, Tail] = {}
    while True:
        for path in sorted(folder.glob("*.log")):
            if path not in tails and (not names or path.stem in names):
                tails[path] = Tail(path, lines)
        for number, (path, tail) in enumerate(tails.items()):
            for line in tail.new_lines():
                print(_prefix(path.stem, number) + line, flush=True)
        if not follow:
            return
        time.sleep(0.2)


def _prefix(name: str, number: int) -> str:
    label = f"{name:<12}| "
    return f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{label}\x1b[0m" if sys.stdout.isatty() else label
