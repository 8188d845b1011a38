"""The child process of :mod:`libs.common.isolated`: runs one function after the other on what its parent sends.

A request is one pickle of ``(function, arguments, cpu_seconds)`` on stdin. An answer is any number of frames on stdout: one byte
of kind, four bytes of length, the payload. The last frame is not ``DATA``. Memory and CPU time are limited by the kernel where it
can (``RLIMIT_AS``, ``RLIMIT_CPU``), so that neither a loop in C nor a swallowed exception gets past them. Imports little: it
starts in about 50 ms.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from libs.common.errors import Unreadable

DATA, END, UNREADABLE, MEMORY, FAULT = b"d", b"e", b"u", b"m", b"f"
HEAD = struct.Struct(">cI")
#: Payloads of ``END``: whether this process takes another request.
MAY_BE_REUSED, USED_UP = b"1", b"0"
#: A process that once needed more than this ends after its answer.
MAX_REUSED_BYTES = 160 << 20
#: The first process to be killed when a container runs out of memory.
_FIRST_TO_GO = "1000"


def serve(memory_bytes: int) -> None:
    """Answer requests until stdin ends or a request has used the process up."""
    requests, answers = _streams()
    _limit_memory(memory_bytes)
    while True:
        try:
            function, arguments, cpu_seconds = pickle.load(requests)  # noqa: S301 - written by our own parent
            _limit_cpu(cpu_seconds)
            for data in function(*arguments):
                _write(answers, DATA, data)
            del arguments
            last = (END, MAY_BE_REUSED if _peak_bytes() <= MAX_REUSED_BYTES else USED_UP)
        except EOFError:
            return
        except Unreadable as why:
            last = (UNREADABLE, str(why).encode("utf-8", "replace"))
        except MemoryError:
            last = (MEMORY, b"")
        except Exception as error:
            # The name alone: what it says may hold a stranger's words.
            last = (FAULT, f"{type(error).__name__} at {_where(error)}".encode())
        _write(answers, *last)
        if last != (END, MAY_BE_REUSED):
            return


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Stdin and stdout for us alone: whoever prints writes to stderr."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return requests, answers


def _write(answers: BinaryIO, kind: bytes, payload: bytes) -> None:
    answers.write(HEAD.pack(kind, len(payload)))
    answers.write(payload)
    answers.flush()


def _limit_memory(memory_bytes: int) -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)


def _limit_cpu(seconds: int) -> None:
    """From now on; the kernel ends the process after that."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (round(used.ru_utime + used.ru_stime + seconds), hard))


def _peak_bytes() -> int:
    """The most that it ever held; where the system does not say, more than may be reused."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return MAX_REUSED_BYTES + 1


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"


if __name__ == "__main__":
    serve(int(sys.argv[1]))
