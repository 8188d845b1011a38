"""Whatever builds and runs containers here: docker, podman or buildah, behind the few words that the tests need.

Two variables help where images cannot be fetched or a build needs more to reach the network:
``WECARE_IMAGE_BASE`` (an image that is here) and ``WECARE_BUILD_OPTIONS`` (for example a mount with certificates).
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from libs.common.declare.discover import ROOT

BASE = os.environ.get("WECARE_IMAGE_BASE", "python:3.13-slim")
OPTIONS = shlex.split(os.environ.get("WECARE_BUILD_OPTIONS", ""))


class CannotBuild(RuntimeError):
    """The build failed; the text is the end of what the engine said."""


@dataclass
class Engine:
    """``docker`` or ``podman``, on the network of this machine, with the restrictions of the compose file."""

    name: str
    _left: list[str] = field(default_factory=list)

    def has_base(self) -> bool:
        """Whether the base image is here or can be fetched."""
        return not _fails([self.name, *self._inspect(), BASE]) or not _fails([self.name, "pull", BASE])

    def build(self, target: str) -> str:
        """Build a target of the Dockerfile; returns the image's name."""
        tag = f"localhost/wecare-test/{target}"
        argv = [self.name, "build", *self._format(), *OPTIONS, "--build-arg", f"BASE={BASE}", "--target", target]
        done = subprocess.run([*argv, "--tag", tag, str(ROOT)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBuild((done.stdout + done.stderr)[-2000:])
        return tag

    def command(self, image: str, words: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """What starts ``words`` (a program and its arguments, not a role) in a container of the image."""
        reported = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        hardened = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        run = [self.name, "run", "--rm", "--network", "host", *hardened, *reported, "--entrypoint", words[0]]
        return [*run, image, *words[1:]]

    def stop(self, running: subprocess.Popen[bytes]) -> None:
        """SIGTERM to what runs in the container, and wait for its end."""
        running.terminate()  # both pass it on
        running.wait(30)

    def close(self) -> None:
        """Remove what is left."""

    def _format(self) -> list[str]:
        return []

    def _inspect(self) -> list[str]:
        return ["image", "inspect"]


class Buildah(Engine):
    """buildah: it has no read-only root and shares this machine's network, so less is shown with it."""

    def _format(self) -> list[str]:
        return ["--layers", "--format", "docker"]

    def _inspect(self) -> list[str]:
        return ["inspect", "--type", "image"]

    def command(self, image: str, words: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        made = subprocess.run([self.name, "from", image], capture_output=True, text=True, check=True).stdout.strip()
        self._left.append(made)
        reported = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        return [self.name, "run", "--network", "host", *reported, made, "--", *words]

    def stop(self, running: subprocess.Popen[bytes]) -> None:
        # buildah kills what it runs when it is reported to end; so the process at the end of its line is told instead.
        last = running.pid
        while children := " ".join(each.read_text() for each in Path(f"/proc/{last}/task").glob("*/children")).split():
            last = int(children[0])
        os.kill(last, signal.SIGTERM)
        running.wait(30)

    def close(self) -> None:
        for container in self._left:
            subprocess.run([self.name, "rm", container], capture_output=True, check=False)


def find() -> Engine | None:
    """The first that can work here; None when there is none."""
    for name in ("docker", "podman"):
        if shutil.which(name) and not _fails([name, "version", "--format", "{{.Server.Version}}"]):
            return Engine(name)
    return Buildah("buildah") if shutil.which("buildah") else None


def _fails(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode != 0
