"""``wecare dlq ls|groups|show``: read dead letters."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from libs.cli.api import Api
from libs.cli.show import ago, as_json, back, out, say, short, table, when

HELP = """Dead letters: list, show, simulate, replay, edit, discard, watch.

A dead letter is a message that a service could not handle. Typical commands:

\b
  wecare dlq groups                           count by cause, type and queue
  wecare dlq ls --cause exhausted             list them
  wecare dlq show ID                          show one in full
  wecare dlq simulate --cause exhausted       predict the result of a replay; changes nothing
  wecare dlq replay --cause exhausted --rate 20 --why "the table is back"
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)

DeadLetter = Annotated[str, typer.Argument(metavar="ID", help="id of a dead letter")]
State = Annotated[str, typer.Option(help="waiting, replaying, replayed, quarantined or discarded")]
Queue = Annotated[str | None, typer.Option(help="its source queue, e.g. messages or outbound-whatsapp-tx")]
Type = Annotated[str | None, typer.Option("--type", help="event type, e.g. messages.queued.v1")]
Channel = Annotated[str | None, typer.Option(help="whatsapp, sms, email, voice or rcs")]
Cause = Annotated[str | None, typer.Option(help="malformed, version, rejected, exhausted, unhandled or unpublishable")]
Newer = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="failed within 90s, 15m, 2h, 3d")]
Older = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="failed before that")]
Text = Annotated[str | None, typer.Option(help="text in the event, the error or an id")]
Limit = Annotated[int, typer.Option(min=1, help="maximum number")]
#: Width of a terminal that fits a dead letter in one line.
WIDE = 120
NONE_FITS = "No {state} dead letters match."
Json = Annotated[bool, typer.Option("--json", help="print the API's answer, for programs")]
Why = Annotated[str, typer.Option(help="the reason; it is recorded")]


def filters_of(
    queue: str | None, type_: str | None, channel: str | None, cause: str | None, newer: str | None, older: str | None,
    text: str | None,
) -> dict[str, Any]:  # fmt: skip
    given = {
        "queue": queue, "eventType": type_, "channel": channel, "cause": cause, "since": back(newer), "until": back(older),
        "text": text,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


@app.command("ls")
def list_letters(
    ctx: typer.Context, state: State = "waiting", queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 50,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """List dead letters, latest failure first."""
    api: Api = ctx.obj
    filters = filters_of(queue, type_, channel, cause, newer, older, text)
    items: list[dict[str, Any]] = []
    cursor = None
    while len(items) < limit:
        page = api.get("/api/dlq", state=state, cursor=cursor, limit=min(100, limit - len(items)), **filters)
        items += page["items"]
        cursor = page.get("cursor")
        if cursor is None:
            break
    if as_json_:
        as_json({"items": items, "cursor": cursor} if cursor else {"items": items})
        return
    rows = [
        (
            each["dlqMessageId"], ago(each["diedAt"]), each["cause"], _bare(each["queue"]), _type(each), each["deaths"],
            each["replays"], _said(each),
        )
        for each in items
    ]  # fmt: skip
    if not rows:
        say(
            NONE_FITS.format(state=state) if filters else f"No {state} dead letters.",
            "green" if state == "waiting" else "",
        )
        return
    columns = ("dead letter", "failed", "cause", "queue", "type", "failures", "replays", "error")
    if out.width >= WIDE:
        table("", columns, rows, cut="error")
    else:
        table("", columns[:4], [row[:4] for row in rows])
        say(f"A terminal of {WIDE} columns shows more; so does wecare dlq show.", "dim")
    if cursor:
        say(f"There are more; pass --limit {limit * 2} or more filters.", "dim")


def _type(each: dict[str, Any]) -> str:
    return each.get("eventType") or "(no event)"


def _said(letter: dict[str, Any]) -> str:
    """The exception and its text, without the event type, which has its own column."""
    text = letter["text"].removeprefix(f"{letter.get('eventType')}: ")
    return short(": ".join(filter(None, (letter["exception"], text))), 200)


def _bare(queue: str) -> str:
    """Without ``wecare-<stage>-``."""
    return queue.split("-", 2)[-1]


@app.command("groups")
def groups(
    ctx: typer.Context, queue: Queue = None, type_: Type = None, channel: Channel = None, cause: Cause = None,
    newer: Newer = None, older: Older = None, as_json_: Json = False,
) -> None:  # fmt: skip
    """Count waiting dead letters by cause and type, and show the depth of each queue."""
    api: Api = ctx.obj
    answer = api.get("/api/dlq/groups", **filters_of(queue, type_, channel, cause, newer, older, None))
    as_json(answer) if as_json_ else show_groups(answer)


def show_groups(answer: dict[str, Any]) -> None:
    more = "" if answer["complete"] else " or more"
    if not answer["groups"] and not answer["queues"]:
        say("No dead letters are waiting.", "green")
        return
    groups = [
        (
            each["cause"], _type(each), each["count"], ago(each["oldestAt"]), ago(each["newestAt"]),
            ", ".join(sorted(map(_bare, each["queues"]))),
        )
        for each in answer["groups"]
    ]  # fmt: skip
    title = f"{answer['total']}{more} dead letters are waiting"
    table(title, ("cause", "type", "count", "oldest", "newest", "queues"), groups) if groups else say(title, "bold")
    out.print()
    depths = [
        (_bare(each["queue"]), each["waiting"], each["quarantined"] or "", "ALARM" if each["alarm"] else "")
        for each in answer["queues"]
    ]
    table("Open dead letters by queue", ("queue", "waiting", "quarantined", ""), depths)
    if alarms := [_bare(each["queue"]) for each in answer["queues"] if each["alarm"]]:
        say(f"Too many open dead letters: {', '.join(alarms)}.", "bold red")


@app.command("show")
def show(ctx: typer.Context, letter: DeadLetter, as_json_: Json = False) -> None:
    """Show one dead letter in full: its event, every attempt, every decision, the status of its message."""
    api: Api = ctx.obj
    answer = api.get(f"/api/dlq/{letter}")
    if as_json_:
        as_json(answer)
        return
    facts = [
        ("dead letter", answer["dlqMessageId"]), ("state", answer["state"]), ("queue", answer["queue"]), ("cause", answer["cause"]),
        ("error", " ".join(filter(None, (answer["exception"], answer["text"])))), ("handler", f"{answer['service']} {answer['handler']}".strip()),
        ("build", answer["build"]), ("type", answer.get("eventType")), ("event", answer.get("eventId")),
        ("correlation", answer.get("correlationId")), ("trace", answer.get("traceparent")), ("contact", answer.get("contactId")),
    ]  # fmt: skip
    if message := answer.get("message"):
        # `messages` has the current status; the dead letter has the status that was reported to `dlq-replay`.
        now = api.find(message["href"]) or message
        facts.append(
            ("message", f"{message['messageId']}: {now.get('status', 'not known')}; wecare why {message['messageId']}")
        )
    table("", ("", ""), [(name, value) for name, value in facts if value])
    out.print()
    timeline = [(each["at"], _attempt(each)) for each in answer["attempts"]]
    timeline += [
        (each["at"], f"{each['what']} by {each['by']}" + (f": {each['why']}" if each["why"] else ""))
        for each in answer["history"]
    ]
    table("Timeline", ("when", ""), [(when(at), text) for at, text in sorted(timeline)])
    out.print()
    say("Event", "bold")
    say(_written(answer.get("event")) or answer.get("body", ""))
    if answer.get("editedEvent"):
        out.print()
        say("Edited event (sent by a replay)", "bold")
        say(_written(answer["editedEvent"]))


def _written(event: dict[str, Any] | None) -> str:
    return json.dumps(event, indent=2, ensure_ascii=False) if event else ""


def _attempt(each: dict[str, Any]) -> str:
    of = f"failed after replay {each['replay']}" if each.get("replay") else "failed"
    error = " ".join(filter(None, (each["exception"], each["text"])))
    since = f" since {when(each['firstReceivedAt'])}" if each.get("firstReceivedAt") else ""
    return f"{of}: {each['cause']}, received {each['receives']} time(s){since}, build {each['build'] or 'unknown'}; {error}"
