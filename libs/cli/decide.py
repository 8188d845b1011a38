"""``wecare dlq simulate|replay|edit|discard``: act on dead letters."""

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

#: Reasons shown per outcome, and dead letters listed one by one.
MAX_REASONS, MAX_SHOWN = 3, 30

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="ids of dead letters; none: use the filters")]
Needed = Annotated[str, typer.Option("--why", help="the reason; it is recorded")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask for confirmation")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to ``dlq``."""
    for name, function in (("simulate", simulate), ("replay", replay), ("edit", edit), ("discard", discard)):
        app.command(name)(function)


def _selection(ids: list[str] | None, filters: dict[str, Any], limit: int) -> dict[str, Any]:
    if ids and filters:
        fail("Give either ids of dead letters or filters.")
    if not ids and not filters:
        names = "--queue, --type, --cause, --channel, --newer-than, --older-than or --text"
        fail("No dead letters were selected.", f"Give their ids, or filter by {names}.")
    return {"ids": ids, "limit": limit} if ids else {"filter": filters, "limit": limit}


def simulate(
    ctx: typer.Context, ids: Ids = None, queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 100,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """Predict the result of replaying dead letters now. Changes nothing."""
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
        table("", ("dead letter", "outcome", "why"), rows, cut="why")
    if answer["total"] > len(items):
        say(f"… and {answer['total'] - len(items)} more (--json shows up to 200).", "dim")


def show_outcomes(answer: dict[str, Any]) -> None:
    """Print the number of dead letters per outcome, with the reasons."""
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
    table(f"Predicted result of replaying {answer['total']} dead letter(s) now", ("outcome", "count", "why"), rows)


def _why(details: list[str], codes: str) -> str:
    shown = [codes] if codes else []
    shown += details[: MAX_REASONS if len(details) <= MAX_REASONS else MAX_REASONS - 1]
    if len(details) > MAX_REASONS:
        shown.append(f"… and {len(details) - MAX_REASONS + 1} other reasons")
    return "\n".join(shown)


def replay(
    ctx: typer.Context, ids: Ids = None, queue: Queue = None, type_: Type = None, channel: Channel = None,
    cause: Cause = None, newer: Newer = None, older: Older = None, text: Text = None, limit: Limit = 100,
    rate: Annotated[float, typer.Option(help="dead letters per second, 0.5 to 500")] = 10.0, why: Why = "",
    force: Annotated[bool, typer.Option("--force", help="include quarantined dead letters (by id, with --why)")] = False,
    yes: Yes = False, wait: Annotated[bool, typer.Option(help="follow the job until it is done")] = True, as_json_: Json = False,
) -> None:  # fmt: skip
    """Replay dead letters to their source queues, oldest failure first. Simulates first and asks for confirmation.

    By ids, or by filters:

    \b
      wecare dlq replay ID ID --why "fixed in build 42"
      wecare dlq replay --queue outbound-whatsapp-tx --newer-than 2h --limit 500 --rate 20
    """
    api: Api = ctx.obj
    selection = _selection(ids, filters_of(queue, type_, channel, cause, newer, older, text), limit)
    if not yes:
        _somebody(as_json_)
        answer = api.post("/api/dlq/simulate", selection)
        show_outcomes(answer)
        if not answer["total"] or not typer.confirm(f"Replay {answer['total']} dead letter(s) at {rate:g} per second?"):
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
    data: Annotated[str | None, typer.Option(metavar="FILE", help="JSON of the event's data; `-`: standard input; none: open your editor")] = None,
    as_json_: Json = False,
) -> None:  # fmt: skip
    """Edit the event that a replay sends (ADMIN). The original is kept. The recipient cannot be changed.

    \b
      wecare dlq edit ID --why "a mistyped date"                 # opens $EDITOR
      wecare dlq edit ID --why "a mistyped date" --data new.json
    """
    api: Api = ctx.obj
    if data is not None:
        answer = _put(api, letter, sys.stdin.read() if data == "-" else _file(data), why)
    else:
        known = api.get(f"/api/dlq/{letter}")
        event = (
            known.get("editedEvent")
            or known.get("event")
            or fail("This dead letter contains no event, so it cannot be edited.")
        )
        answer = _by_hand(api, letter, json.dumps(event.get("data"), indent=2, ensure_ascii=False), why)
    as_json(answer) if as_json_ else say(
        f"Dead letter {letter} is edited; `wecare dlq replay {letter}` sends it.", "green"
    )


def _by_hand(api: Api, letter: str, text: str, why: str) -> Any:
    """Edit in an editor; after a refusal the editor opens again with the refused text."""
    while True:
        after = editor.edited(text)
        try:
            return _put(api, letter, after, why)
        except typer.Exit:
            if not show.can_ask() or not typer.confirm("Open the editor again?", default=True):
                raise
        text = after


def _put(api: Api, letter: str, text: str, why: str) -> Any:
    try:
        wanted = json.loads(text)
    except ValueError as error:
        fail("The text is not valid JSON.", str(error))
    if not isinstance(wanted, dict):
        fail("The data of an event must be a JSON object.")
    return api.post(f"/api/dlq/{letter}/edit", {"data": wanted, "why": why})


def _file(name: str) -> str:
    try:
        return Path(name).read_text()
    except OSError as error:
        fail(f"Cannot read {name}: {error.strerror}")


def discard(
    ctx: typer.Context, ids: Annotated[list[str], typer.Argument(metavar="ID", help="ids of dead letters")], why: Needed,
    yes: Yes = False, as_json_: Json = False,
) -> None:  # fmt: skip
    """Discard dead letters, so that they are not replayed (ADMIN). Their records are kept for seven days."""
    if not yes:
        _somebody(as_json_)
        if not typer.confirm(f"Discard {len(ids)} dead letter(s)?"):
            raise typer.Exit(1)
    api: Api = ctx.obj
    answer = api.post("/api/dlq/discard", {"ids": ids, "why": why})
    as_json(answer) if as_json_ else say(f"{len(answer['items'])} dead letter(s) discarded.", "green")


def _somebody(for_programs: bool) -> None:
    """End the command if it cannot ask for confirmation."""
    if for_programs or not show.can_ask():
        fail(
            "There is no terminal to ask for confirmation.",
            "Pass --yes to confirm; `wecare dlq simulate` predicts the result of a replay.",
        )
