"""``wecare insights``: today's delivery figures by channel."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from libs.cli.api import Api
from libs.cli.dlq import Json
from libs.cli.show import as_json, say, short, table, when

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 10
HOURS = 24

Channel = Annotated[str | None, typer.Option(help="whatsapp, sms, email, voice or rcs; none: all")]


def insights(ctx: typer.Context, channel: Channel = None, as_json_: Json = False) -> None:
    """Show today and yesterday until the same time, the last hours, and alarms. Days are UTC."""
    api: Api = ctx.obj
    answer = api.get("/api/insights/overview")
    # The first call, so that an unknown channel is refused.
    hours = _sent_by_hour(api, channel, answer["at"])
    shown = [each for each in answer["channels"] if channel in (None, each["channel"])]
    if as_json_:
        as_json({**answer, "channels": shown})
        return
    rows = [_row(each, hours[each["channel"]]) for each in shown]
    columns = (
        "channel", "sent", "yesterday", "delivered", "", "failed", "lately", "uncertain", "received", f"sent in {HOURS} h",
    )  # fmt: skip
    table(f"{answer['day']}, until {when(answer['at'])[11:]} UTC", columns, rows)
    for each in shown:
        for error in each["errors"]:
            about = f"{error['means']} {error['action']}"
            say(f"{each['channel']}: {error['count']} {error['code']}. {short(about, 160)}")
    for each in shown:
        rate = each["errorRate"]
        if rate["raised"]:
            now = f"{rate['failed']} of {rate['tried']} in {rate['minutes']} minutes"
            say(f"ALARM {each['channel']}: too many messages fail ({now}), since {when(rate['since'])}", "bold red")
    for each in answer["letters"]:
        count = each["waiting"] + each["quarantined"]
        say(f"ALARM {each['queue']}: {count} dead letters, since {when(each['since'])}", "bold red")


def _row(each: dict[str, Any], hours: list[int]) -> tuple[Any, ...]:
    today, yesterday, rate = each["today"], each["yesterday"], each["errorRate"]
    lately = f"{rate['rate']:.1%} of {rate['tried']}" if rate["tried"] else ""
    return (
        each["channel"],
        today["sent"],
        _beside(today["sent"], yesterday["sent"]),
        _percent(today.get("deliveredShare")),
        _bar(today.get("deliveredShare")),
        _percent(today.get("failedShare")),
        f"{lately} ALARM" if rate["raised"] else lately,
        each["uncertain"] or "",
        today["received"] or "",
        sparkline(hours),
    )


def _beside(today: int, yesterday: int) -> str:
    change = f" ({(today - yesterday) / yesterday:+.0%})" if yesterday else ""
    return f"{yesterday}{change}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _bar(share: float | None) -> str:
    """A bar of ten characters; a share above 1 is shown as full."""
    if share is None:
        return ""
    full = round(min(1.0, share) * WIDTH)
    return "█" * full + "░" * (WIDTH - full)


def sparkline(counts: list[int]) -> str:
    """One character per count; a space for zero."""
    maximum = max(counts, default=0)
    return "".join(BARS[max(0, -(-n * len(BARS) // maximum) - 1)] if n > 0 else " " for n in counts)


def _sent_by_hour(api: Api, channel: str | None, at: str) -> dict[str, list[int]]:
    """Sent messages of the last hours by channel, oldest first, up to this hour."""
    last = datetime.fromisoformat(at).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    begin = last - timedelta(hours=HOURS - 1)
    found: dict[str, list[int]] = defaultdict(lambda: [0] * HOURS)
    query = {"from": _text(begin), "to": _text(last + timedelta(hours=1)), "by": "hour", "channel": channel}
    cursor = None
    while True:
        page = api.get("/api/insights/delivery", **query, cursor=cursor)
        for item in page["items"]:
            hour = (datetime.fromisoformat(item["start"]) - begin) // timedelta(hours=1)
            found[item["channel"]][hour] += item["sent"]
        cursor = page.get("cursor")
        if cursor is None:
            return found


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
