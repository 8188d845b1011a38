"""What a process writes: its log to stderr, its metrics to stdout."""

from __future__ import annotations

from libs.common.observe import log, metrics
from libs.common.settings import Settings


def configure_output(ours: Settings) -> None:
    """Set up both, before anything else is done. A host's first act."""
    log.configure(ours.log_level)
    metrics.configure(ours.metrics)
