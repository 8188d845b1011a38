"""``wecare dlq ls|groups|show``: look at dead letters."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from libs.cli.api import Api
from libs.cli.show import ago, as_json, back, out, say, short, table, when

HELP = """Dead letters: look, simulate, replay, edit, discard, watch.

What a service could not handle is kept here until somebody decides about it. Usually:

\b
  wecare dlq groups                           what died, where, how much
  wecare dlq ls --cause exhausted             which
  wecare dlq show LETTER                      one in full
  wecare dlq simulate --cause exhausted       what a replay would come to; changes nothing
  wecare dlq replay --cause exhausted --rate 20 --why "the table is back"
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)

DeadLetter = Annotated[str, typer.Argument(metavar="LETTER", help="id of a letter")]
State = Annotated[str, typer.Option(help="waiting, replaying, replayed, quarantined or discarded")]
Queue = Annotated[str | None, typer.Option(help="the queue it died on, e.g. messages or outbound-whatsapp-tx")]
Type = Annotated[str | None, typer.Option("--type", help="event type, e.g. messages.queued.v1")]
Channel = Annotated[str | None, typer.Option(help="whatsapp, sms, email, voice or rcs")]
Cause = Annotated[str | None, typer.Option(help="malformed, version, rejected, exhausted, unhandled or unpublishable")]
Newer = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="died within 90s, 15m, 2h, 3d")]
Older = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="died before that")]
Text = Annotated[str | None, typer.Option(help="words in the event, the error or an id")]
Limit = Annotated[int, typer.Option(min=1, help="at most so many")]
#: Columns of a terminal that take a dead letter in one line.
WIDE = 120
#: What somebody sees who looks and finds nothing.
NONE_FITS = "No {state} letters fit."
Json = Annotated[bool, typer.Option("--json", help="what the API answers, for programs")]
Why = Annotated[str, typer.Option(help="the reason; it goes on record")]


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
    """List dead letters, those that died last first."""
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
        say(NONE_FITS.format(state=state) if filters else f"No {state} letters.", "green" if state == "waiting" else "")
        return
    columns = ("letter", "died", "cause", "queue", "type", "deaths", "replays", "what it said")
    if out.width >= WIDE:
        table("", columns, rows, cut="what it said")
    else:
        table("", columns[:4], [row[:4] for row in rows])
        say(f"A terminal of {WIDE} columns shows more of each; so does wecare dlq show.", "dim")
    if cursor:
        say(f"There are more; say --limit {limit * 2}, or narrow the list.", "dim")


def _type(each: dict[str, Any]) -> str:
    return each.get("eventType") or "(no event)"


def _said(letter: dict[str, Any]) -> str:
    """The exception and its text, without the type, which stands beside it."""
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
    """Count waiting dead letters by cause and type, and tell the depth of each queue."""
    api: Api = ctx.obj
    answer = api.get("/api/dlq/groups", **filters_of(queue, type_, channel, cause, newer, older, None))
    as_json(answer) if as_json_ else show_groups(answer)


def show_groups(answer: dict[str, Any]) -> None:
    more = "" if answer["complete"] else " or more"
    if not answer["groups"] and not answer["queues"]:
        say("No dead letters wait.", "green")
        return
    groups = [
        (
            each["cause"], _type(each), each["count"], ago(each["oldestAt"]), ago(each["newestAt"]),
            ", ".join(sorted(map(_bare, each["queues"]))),
        )
        for each in answer["groups"]
    ]  # fmt: skip
    title = f"{answer['total']}{more} letters wait"
    table(title, ("cause", "type", "letters", "oldest", "newest", "queues"), groups) if groups else say(title, "bold")
    out.print()
    depths = [
        (_bare(each["queue"]), each["waiting"], each["quarantined"] or "", "ALARM" if each["alarm"] else "")
        for each in answer["queues"]
    ]
    table("All that is open", ("queue", "waiting", "quarantined", ""), depths)
    if alarms := [_bare(each["queue"]) for each in answer["queues"] if each["alarm"]]:
        say(f"Too many letters are open: {', '.join(alarms)}.", "bold red")


@app.command("show")
def show(ctx: typer.Context, letter: DeadLetter, as_json_: Json = False) -> None:
    """Show one dead letter in full: what died, every attempt, every decision, where its message stands."""
    api: Api = ctx.obj
    answer = api.get(f"/api/dlq/{letter}")
    if as_json_:
        as_json(answer)
        return
    facts = [
        ("letter", answer["dlqMessageId"]), ("state", answer["state"]), ("queue", answer["queue"]), ("cause", answer["cause"]),
        ("error", " ".join(filter(None, (answer["exception"], answer["text"])))), ("handler", f"{answer['service']} {answer['handler']}".strip()),
        ("build", answer["build"]), ("type", answer.get("eventType")), ("event", answer.get("eventId")),
        ("correlation", answer.get("correlationId")), ("trace", answer.get("traceparent")), ("contact", answer.get("contactId")),
    ]  # fmt: skip
    if message := answer.get("message"):
        # Where it stands now its own service knows; the dead letter knows what was said to it.
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
    table("What happened", ("when", ""), [(when(at), text) for at, text in sorted(timeline)])
    out.print()
    say("What died", "bold")
    say(_written(answer.get("event")) or answer.get("body", ""))
    if answer.get("editedEvent"):
        out.print()
        say("What a replay sends", "bold")
        say(_written(answer["editedEvent"]))


def _written(event: dict[str, Any] | None) -> str:
    return json.dumps(event, indent=2, ensure_ascii=False) if event else ""


def _attempt(each: dict[str, Any]) -> str:
    of = f"died of replay {each['replay']}" if each.get("replay") else "died"
    error = " ".join(filter(None, (each["exception"], each["text"])))
    since = f" since {when(each['firstReceivedAt'])}" if each.get("firstReceivedAt") else ""
    return f"{of}: {each['cause']}, received {each['receives']} time(s){since}, build {each['build'] or 'unknown'}; {error}"
