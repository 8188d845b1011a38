"""Meta's webhook deliveries: a signed POST, repeated until it is answered with a 2xx (facts 2.14)."""

from __future__ import annotations

import hashlib
import hmac

import aiohttp
import structlog

log = structlog.get_logger("simulator.publisher")

TIMEOUT_SECONDS = 15


def is_webhook(place: str) -> bool:
    """Whether an event destination is a URL and not a topic."""
    return place.startswith(("http://", "https://"))


class Webhooks:
    """`secrets` by URL: the app's secret for `X-Hub-Signature-256`."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.session: aiohttp.ClientSession | None = None

    async def post(self, url: str, message: str) -> bool:
        """Whether the delivery was answered with a 2xx."""
        if self.session is None:
            self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
        body = message.encode()
        mac = hmac.new(self.secrets.get(url, "").encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={mac}"}
        try:
            async with self.session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                taken = 200 <= answer.status < 300
                cause = str(answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            taken, cause = False, type(error).__name__
        if not taken:
            log.warning("publish_retry", webhook=url, cause=cause)
        return taken

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None
