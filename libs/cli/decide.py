"""``wecare dlq simulate|replay|edit|discard``: decide about dead letters."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.cli import editor, progress, show
from libs.cli.api import Api, fail
from libs.cli.dlq import (
    NONE_FITS,
    Cause,
    Channel,
    DeadLetter,
    Json,
    Limit,
    Newer,
    Older,
    Queue,
    Text,
    Type,
    Why,
    filters_of,
)
from libs.cli.show import as_json, out, say, table

#: Different reasons that are shown of one outcome, and dead letters that are shown one by one.
MAX_REASONS, MAX_SHOWN = 3, 30

Ids = Annotated[list[str] | None, typer.Argument(metavar="LETTER", help="ids of letters; none: use the filters")]
Needed = Annotated[str, typer.Option("--why", help="the reason; it goes on record")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]


def add_to(app: typer.Typer) -> None:
    """Put these commands among the others of ``dlq``."""
    for name, function in (("simulate", simulate), ("replay", replay), ("edit", edit), ("discard", discard)):
        app.command(name)(function)


def _selection(ids: list[str] | None, filters: dict[str, Any], limit: int) -> dict[str, Any]:
    if ids and filters:
        fail("Give either ids of letters or filters.")
    if not ids and not filters:
        names = "--queue, --type, --cause, --channel, --newer-than, --older-than or --text"
        fail("Which letters?", f"Give their ids, or narrow by {names}.")
    return {"ids": ids, "limit": limit} if ids else {"filter": filters, "limit": limit}


def simulate(
    ctx: typer.Context, ids: Ids = None, queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 100,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """Tell what would happen if dead letters were replayed now. Changes nothing."""
    api: Api = ctx.obj
    selection = _selection(ids, filters_of(queue, type_, channel, cause, newer, older, text), limit)
    answer = api.post("/api/dlq/simulate", selection)
    if as_json_:
        as_json(answer)
        return
    show_outcomes(answer)
    items = answer["items"][:MAX_SHOWN]
    if items:
        out.print()
        rows = [(each["dlqMessageId"], each["outcome"], each["detail"]) for each in items]
        table("", ("letter", "outcome", "why"), rows, cut="why")
    if answer["total"] > len(items):
        say(f"… and {answer['total'] - len(items)} more (--json shows up to 200).", "dim")


def show_outcomes(answer: dict[str, Any]) -> None:
    """The sums, with what stands behind each."""
    if not answer["total"]:
        say(NONE_FITS.format(state="waiting"))
        return
    details: dict[str, dict[str, None]] = {}
    for each in answer["items"]:
        details.setdefault(each["outcome"], {})[each["detail"]] = None
    codes = Counter(answer["refusals"])
    refused = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    rows = [
        (outcome, count, _why(list(details.get(outcome, ())), refused if outcome == "refused" else ""))
        for outcome, count in sorted(answer["outcomes"].items(), key=lambda each: -each[1])
    ]
    table(f"If {answer['total']} letter(s) were replayed now", ("outcome", "letters", "why"), rows)


def _why(details: list[str], codes: str) -> str:
    shown = [codes] if codes else []
    shown += details[: MAX_REASONS if len(details) <= MAX_REASONS else MAX_REASONS - 1]
    if len(details) > MAX_REASONS:
        shown.append(f"… and {len(details) - MAX_REASONS + 1} other reasons")
    return "\n".join(shown)


def replay(
    ctx: typer.Context, ids: Ids = None, queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 100,
    rate: Annotated[float, typer.Option(help="letters a second, 0.5 to 500")] = 10.0, why: Why = "",
    force: Annotated[bool, typer.Option("--force", help="take quarantined letters along (by id, with --why)")] = False,
    yes: Yes = False, wait: Annotated[bool, typer.Option(help="follow it until it is done")] = True, as_json_: Json = False,
) -> None:  # fmt: skip
    """Replay dead letters to the queues they died on, those that died first before the others. Simulates first, and asks.

    By ids, or by filters:

    \b
      wecare dlq replay LETTER LETTER --why "fixed in build 42"
      wecare dlq replay --queue outbound-whatsapp-tx --newer-than 2h --limit 500 --rate 20
    """
    api: Api = ctx.obj
    selection = _selection(ids, filters_of(queue, type_, channel, cause, newer, older, text), limit)
    if not yes:
        _somebody(as_json_)
        answer = api.post("/api/dlq/simulate", selection)
        show_outcomes(answer)
        if not answer["total"] or not typer.confirm(f"Replay {answer['total']} letter(s) at {rate:g} a second?"):
            raise typer.Exit(1)
    job = api.post("/api/dlq/replay", {**selection, "rate": rate, "why": why, "force": force})
    if wait:
        job = progress.follow(api, job, quiet=as_json_)
    if as_json_:
        as_json(job)
    else:
        progress.tell(job)


def edit(
    ctx: typer.Context, letter: DeadLetter, why: Needed,
    data: Annotated[str | None, typer.Option(metavar="FILE", help="JSON of the event's data; `-`: standard input; none: your editor")] = None,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """Change what a replay sends (ADMIN). The original is kept; whom it is for cannot be changed.

    \b
      wecare dlq edit LETTER --why "a mistyped date"                 # opens $EDITOR
      wecare dlq edit LETTER --why "a mistyped date" --data new.json
    """
    api: Api = ctx.obj
    if data is not None:
        answer = _put(api, letter, sys.stdin.read() if data == "-" else _file(data), why)
    else:
        known = api.get(f"/api/dlq/{letter}")
        event = known.get("editedEvent") or known.get("event") or fail("This is no event, so it cannot be edited.")
        answer = _by_hand(api, letter, json.dumps(event.get("data"), indent=2, ensure_ascii=False), why)
    as_json(answer) if as_json_ else say(f"Letter {letter} is edited; `wecare dlq replay {letter}` sends it.", "green")


def _by_hand(api: Api, letter: str, text: str, why: str) -> Any:
    """In an editor, as often as it takes: what was refused is not typed again."""
    while True:
        after = editor.edited(text)
        try:
            return _put(api, letter, after, why)
        except typer.Exit:
            if not show.can_ask() or not typer.confirm("Open it once more?", default=True):
                raise
        text = after


def _put(api: Api, letter: str, text: str, why: str) -> Any:
    try:
        wanted = json.loads(text)
    except ValueError as error:
        fail("That is no JSON.", str(error))
    if not isinstance(wanted, dict):
        fail("The data of an event is a JSON object.")
    return api.post(f"/api/dlq/{letter}/edit", {"data": wanted, "why": why})


def _file(name: str) -> str:
    try:
        return Path(name).read_text()
    except OSError as error:
        fail(f"Cannot read {name}: {error.strerror}")


def discard(
    ctx: typer.Context, ids: Annotated[list[str], typer.Argument(metavar="LETTER", help="ids of letters")], why: Needed,
    yes: Yes = False, as_json_: Json = False,
) -> None:  # fmt: skip
    """Decide that dead letters are not replayed (ADMIN). Their records stay for seven days."""
    if not yes:
        _somebody(as_json_)
        if not typer.confirm(f"Discard {len(ids)} letter(s)?"):
            raise typer.Exit(1)
    api: Api = ctx.obj
    answer = api.post("/api/dlq/discard", {"ids": ids, "why": why})
    as_json(answer) if as_json_ else say(f"{len(answer['items'])} letter(s) discarded.", "green")


def _somebody(for_programs: bool) -> None:
    """Ends the command where nobody can be asked."""
    if for_programs or not show.can_ask():
        fail(
            "Nobody can be asked here.",
            "Say --yes if you are sure; `wecare dlq simulate` tells what would come of a replay.",
        )
