"""The declaration of ``bulk``."""

from __future__ import annotations

from libs.common.service import Service
from libs.messaging.events.bulk import ChunkReleased, JobChanged

service = Service("bulk", says=[JobChanged, ChunkReleased])
