"""The code of the functions, as a directory that CDK zips: our sources and their dependencies.

Dependencies are wheels for Lambda's architecture, which `make function` fetches; synthesis does without them, so it needs
no network and no Docker.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from libs.common.declare.discover import ROOT

#: The directory that `make function` fills.
DEPENDENCIES = ROOT / ".local" / "cdk" / "dependencies"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "testing", "*.md", "simulator", "cli", "cases", "exam.json")


def complete() -> bool:
    """Whether the package contains all dependencies."""
    return (DEPENDENCIES / "mangum").is_dir()


def pack(directory: Path, *, bare: bool = False) -> Path:
    """Write the content of a function to `directory`; `bare`: our sources only."""
    shutil.rmtree(directory, ignore_errors=True)
    if complete() and not bare:
        shutil.copytree(DEPENDENCIES, directory, ignore=shutil.ignore_patterns("__pycache__", "bin"))
    for name in ("libs", "services"):
        shutil.copytree(ROOT / name, directory / name, ignore=_LEFT_OUT)
    return directory
