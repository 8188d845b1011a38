"""The simulator's AWS clients (SNS and S3): one session per process, because models are slow to load."""

from __future__ import annotations

from functools import cache

from aiobotocore.session import AioSession, get_session


@cache
def session() -> AioSession:
    return get_session()
