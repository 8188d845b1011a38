"""The code of the functions, as a directory that CDK zips: our sources, and beside them what they stand on.

Dependencies are wheels for Lambda's own machine, which `make function` fetches; synthesis does without them, so it needs
no network and no Docker.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from libs.common.declare.discover import ROOT

#: What `make function` fills.
DEPENDENCIES = ROOT / ".local" / "cdk" / "dependencies"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "testing", "*.md", "simulator", "cli", "cases", "exam.json")


def complete() -> bool:
    """Whether what is packed would run."""
    return (DEPENDENCIES / "mangum").is_dir()


def pack(directory: Path, *, bare: bool = False) -> Path:
    """Make `directory` what a function consists of; `bare`: our sources alone."""
    shutil.rmtree(directory, ignore_errors=True)
    if complete() and not bare:
        shutil.copytree(DEPENDENCIES, directory, ignore=shutil.ignore_patterns("__pycache__", "bin"))
    for name in ("libs", "services"):
        shutil.copytree(ROOT / name, directory / name, ignore=_LEFT_OUT)
    return directory
