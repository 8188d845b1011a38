"""``wecare dlq``: look at dead letters, simulate, replay, edit, discard."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.cli import editor, progress
from libs.cli.api import Api, fail
from libs.cli.show import ago, as_json, back, out, say, short, table, when

app = typer.Typer(
    help="Dead letters: look, simulate, replay, edit, discard, watch.", no_args_is_help=True, rich_markup_mode=None
)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[LETTER]...", help="ids of letters; none: use the filters")]
State = Annotated[str, typer.Option(help="waiting, replaying, replayed, quarantined or discarded")]
Queue = Annotated[str | None, typer.Option(help="the queue it died on, e.g. messages or outbound-whatsapp-tx")]
Type = Annotated[str | None, typer.Option("--type", help="event type, e.g. messages.queued.v1")]
Channel = Annotated[str | None, typer.Option(help="whatsapp, sms, email, voice or rcs")]
Cause = Annotated[str | None, typer.Option(help="malformed, version, rejected, exhausted or unhandled")]
Newer = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="died within 90s, 15m, 2h, 3d")]
Older = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="died before that")]
Text = Annotated[str | None, typer.Option(help="words in the event, the error or an id")]
Limit = Annotated[int, typer.Option(min=1, help="at most so many")]
Json = Annotated[bool, typer.Option("--json", help="what the API answers, for programs")]
Why = Annotated[str, typer.Option(help="the reason; it goes on record")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]


def _filters(
    queue: str | None, type_: str | None, channel: str | None, cause: str | None, newer: str | None, older: str | None,
    text: str | None,
) -> dict[str, Any]:  # fmt: skip
    given = {
        "queue": queue, "eventType": type_, "channel": channel, "cause": cause, "since": back(newer), "until": back(older),
        "text": text,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def _selection(ids: list[str] | None, filters: dict[str, Any], limit: int) -> dict[str, Any]:
    if ids and filters:
        fail("Give either ids of letters or filters.")
    if not ids and not filters:
        fail(
            "Which letters?", "Give their ids, or narrow by --queue, --type, --cause, --channel, --older-than, --text."
        )
    return {"ids": ids, "limit": limit} if ids else {"filter": filters, "limit": limit}


@app.command("ls")
def list_letters(
    ctx: typer.Context, state: State = "waiting", queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 50,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """List dead letters, those that died last first."""
    api: Api = ctx.obj
    filters = _filters(queue, type_, channel, cause, newer, older, text)
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
            each["dlqMessageId"], ago(each["diedAt"]), each["cause"], each.get("eventType") or "(unreadable)", _bare(each["queue"]),
            each["deaths"], each["replays"], short(f"{each['exception']}: {each['text']}" if each["exception"] else each["text"]),
        )
        for each in items
    ]  # fmt: skip
    if not rows:
        say(f"No {state} letters fit." if filters else f"No {state} letters.", "green" if state == "waiting" else "")
        return
    table("", ("letter", "died", "cause", "type", "queue", "deaths", "replays", "what it said"), rows)
    if cursor:
        say(f"There are more; say --limit {limit * 2}, or narrow the list.", "dim")


def _bare(queue: str) -> str:
    """Without ``wecare-<stage>-``."""
    return queue.split("-", 2)[-1]


@app.command("groups")
def groups(ctx: typer.Context, as_json_: Json = False) -> None:
    """Count waiting letters by cause and type, and tell the depth of each queue."""
    api: Api = ctx.obj
    told = api.get("/api/dlq/groups")
    as_json(told) if as_json_ else show_groups(told)


def show_groups(told: dict[str, Any]) -> None:
    more = "" if told["complete"] else " or more"
    if not told["groups"] and not told["queues"]:
        say("No dead letters wait.", "green")
        return
    table(
        f"{told['total']}{more} letters wait",
        ("cause", "type", "letters", "oldest", "newest", "queues"),
        [
            (
                each["cause"], each.get("eventType") or "(unreadable)", each["count"], ago(each["oldestAt"]), ago(each["newestAt"]),
                ", ".join(sorted(map(_bare, each["queues"]))),
            )
            for each in told["groups"]
        ],
    )  # fmt: skip
    out.print()
    depths = [(_bare(each["queue"]), each["waiting"], each["quarantined"] or "") for each in told["queues"]]
    table("", ("queue", "waiting", "quarantined"), depths)


@app.command("show")
def show(ctx: typer.Context, letter: str, as_json_: Json = False) -> None:
    """Show one letter in full: what died, every attempt, every decision, where its message stands."""
    api: Api = ctx.obj
    told = api.get(f"/api/dlq/{letter}")
    if as_json_:
        as_json(told)
        return
    facts = [
        ("letter", told["dlqMessageId"]), ("state", told["state"]), ("queue", told["queue"]), ("cause", told["cause"]),
        ("error", " ".join(filter(None, (told["exception"], told["text"])))), ("handler", f"{told['service']} {told['handler']}"),
        ("build", told["build"]), ("type", told.get("eventType")), ("event", told.get("eventId")),
        ("correlation", told.get("correlationId")), ("trace", told.get("traceparent")), ("contact", told.get("contactId")),
    ]  # fmt: skip
    if message := told.get("message"):
        facts.append(
            ("message", f"{message['messageId']} {message.get('status', '')}; wecare why {message['messageId']}")
        )
    table("", ("", ""), [(name, value) for name, value in facts if value])
    out.print()
    story = [(each["at"], _attempt(each)) for each in told["attempts"]]
    story += [
        (each["at"], f"{each['what']} by {each['by']}" + (f": {each['why']}" if each["why"] else ""))
        for each in told["history"]
    ]
    table("What happened", ("when", ""), [(when(at), text) for at, text in sorted(story)])
    out.print()
    say("What died" + (" (as edited)" if told.get("editedEvent") else ""), "bold")
    event = told.get("editedEvent") or told.get("event")
    say(json.dumps(event, indent=2, ensure_ascii=False) if event else told.get("body", ""))


def _attempt(each: dict[str, Any]) -> str:
    of = f"died of replay {each['replay']}" if each.get("replay") else "died"
    told = " ".join(filter(None, (each["exception"], each["text"])))
    return f"{of}: {each['cause']}, received {each['receives']} time(s), build {each['build'] or 'unknown'}; {told}"


@app.command("simulate")
def simulate(
    ctx: typer.Context, ids: Ids = None, queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 100,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """Tell what would happen if letters were replayed now. Changes nothing."""
    api: Api = ctx.obj
    selection = _selection(ids, _filters(queue, type_, channel, cause, newer, older, text), limit)
    told = api.post("/api/dlq/simulate", selection)
    if as_json_:
        as_json(told)
        return
    show_outcomes(told)
    out.print()
    items = told["items"][:30]
    table("", ("letter", "outcome", "why"), [(each["dlqMessageId"], each["outcome"], each["detail"]) for each in items])
    if told["total"] > len(items):
        say(f"… and {told['total'] - len(items)} more (--json shows up to 200).", "dim")


def show_outcomes(told: dict[str, Any]) -> None:
    rows = sorted(told["outcomes"].items(), key=lambda each: -each[1])
    codes = Counter(told["refusals"])
    why = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    shown = [(outcome, count, why if outcome == "refused" else "") for outcome, count in rows]
    table(f"If {told['total']} letter(s) were replayed now", ("outcome", "letters", ""), shown)


@app.command("replay")
def replay(
    ctx: typer.Context, ids: Ids = None, queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 100,
    rate: Annotated[float, typer.Option(help="letters a second")] = 10.0, why: Why = "",
    force: Annotated[bool, typer.Option(help="take quarantined letters along (by id, with --why)")] = False,
    yes: Yes = False, wait: Annotated[bool, typer.Option(help="follow it until it is done")] = True, as_json_: Json = False,
) -> None:  # fmt: skip
    """Replay letters to the queues they died on. Simulates first, and asks."""
    api: Api = ctx.obj
    selection = _selection(ids, _filters(queue, type_, channel, cause, newer, older, text), limit)
    if not yes:
        if as_json_ or not sys.stdin.isatty():
            fail("Nobody can be asked here.", "Look at `wecare dlq simulate` with the same selection, then say --yes.")
        told = api.post("/api/dlq/simulate", selection)
        show_outcomes(told)
        if not told["total"] or not typer.confirm(f"Replay {told['total']} letter(s) at {rate:g} a second?"):
            raise typer.Exit(1)
    job = api.post("/api/dlq/replay", {**selection, "rate": rate, "why": why, "force": force})
    if wait:
        job = progress.follow(api, job, quiet=as_json_)
    if as_json_:
        as_json(job)
    else:
        progress.tell(job)


@app.command("edit")
def edit(
    ctx: typer.Context, letter: str, why: Annotated[str, typer.Option(help="the reason; it goes on record")],
    data: Annotated[str | None, typer.Option(metavar="FILE", help="JSON of the event's data; `-`: standard input; none: your editor")] = None,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """Change what a replay sends (ADMIN). The original is kept; whom it is for cannot be changed."""
    api: Api = ctx.obj
    if data is None:
        told = api.get(f"/api/dlq/{letter}")
        event = told.get("editedEvent") or told.get("event") or fail("This is no event, so it cannot be edited.")
        text = editor.edited(json.dumps(event.get("data"), indent=2, ensure_ascii=False))
    else:
        text = sys.stdin.read() if data == "-" else _file(data)
    try:
        wanted = json.loads(text)
    except ValueError as error:
        fail("That is no JSON.", str(error))
    if not isinstance(wanted, dict):
        fail("The data of an event is a JSON object.")
    told = api.post(f"/api/dlq/{letter}/edit", {"data": wanted, "why": why})
    as_json(told) if as_json_ else say(f"Letter {letter} is edited; `wecare dlq replay {letter}` sends it.", "green")


def _file(name: str) -> str:
    try:
        return Path(name).read_text()
    except OSError as error:
        fail(f"Cannot read {name}: {error.strerror}")


@app.command("discard")
def discard(
    ctx: typer.Context, ids: Annotated[list[str], typer.Argument(metavar="LETTER...")],
    why: Annotated[str, typer.Option(help="the reason; it goes on record")], yes: Yes = False, as_json_: Json = False,
) -> None:  # fmt: skip
    """Decide that letters are not replayed (ADMIN). Their records stay for seven days."""
    if not yes and not typer.confirm(f"Discard {len(ids)} letter(s)?"):
        raise typer.Exit(1)
    api: Api = ctx.obj
    told = api.post("/api/dlq/discard", {"ids": ids, "why": why})
    as_json(told) if as_json_ else say(f"{len(told['items'])} letter(s) discarded.", "green")
