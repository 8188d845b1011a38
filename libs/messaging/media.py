"""Which files each channel supports. Pure."""

from __future__ import annotations

from libs.messaging.channels import Channel


def unsupported_reason(channel: Channel, kind: str | None, content_type: str, size: int) -> str | None:
    """Returns why the channel does not support such a file, as text for users; None if it does. ``kind``: image, video,
    audio, document or sticker; None: any kind."""
    limits = channel.traits.files
    named = [limit for limit in limits if limit.kind == kind] or list(limits)
    fitting = [limit for limit in named if content_type in limit.types]
    if not limits:
        return f"{channel} carries no files."
    if not fitting:
        as_kind = f" as {kind}" if kind and named != list(limits) else ""
        taken = ", ".join(sorted({each for limit in named for each in limit.types}))
        return f"{channel} does not take {content_type}{as_kind}; it takes {taken}."
    maximum = max(limit.maximum for limit in fitting)
    if size > maximum:
        return f"{size} bytes are more than the {maximum} that {channel} takes of {content_type}."
    return None


def fits(content_type: str, size: int) -> tuple[Channel, ...]:
    """Returns the channels that support such a file as any kind."""
    return tuple(channel for channel in Channel if unsupported_reason(channel, None, content_type, size) is None)
