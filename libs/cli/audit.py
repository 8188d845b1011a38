"""``wecare audit``: list, export and verify audit entries. For administrators."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from libs.cli.api import Api, fail
from libs.cli.dlq import Json, Limit
from libs.cli.show import as_json, back, say, short, table, when

app = typer.Typer(help="Who did what: list, export, verify.", no_args_is_help=True, rich_markup_mode=None)

Actor = Annotated[str | None, typer.Option(help="user:<sub>, customer, provider or system:<service>")]
Action = Annotated[str | None, typer.Option(help="e.g. contacts.delete_contact")]
Resource = Annotated[str | None, typer.Option(help="id of the changed resource")]
Kind = Annotated[str | None, typer.Option(help="request, refusal or fact")]
Newer = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="within 90s, 15m, 2h, 3d")]
Older = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="before that")]


@app.command("ls")
def list_entries(
    ctx: typer.Context, actor: Actor = None, action: Action = None, resource: Resource = None, kind: Kind = None,
    newer: Newer = None, older: Older = None, limit: Limit = 50, as_json_: Json = False,
) -> None:  # fmt: skip
    """List entries, newest first."""
    api: Api = ctx.obj
    wanted = {
        "actor": actor,
        "action": action,
        "resource": resource,
        "kind": kind,
        "since": back(newer),
        "until": back(older),
    }
    items: list[dict[str, Any]] = []
    cursor = None
    while len(items) < limit:
        answer = api.get("/api/audit", **wanted, limit=min(100, limit - len(items)), cursor=cursor)
        items += answer["items"]
        cursor = answer.get("cursor")
        if cursor is None:
            break
    if as_json_:
        as_json({"items": items})
    elif not items:
        say("No entries match.")
    else:
        rows = [
            (each["logId"], when(each["at"]), each["kind"], each["actor"], each["action"], each.get("resource"), _news(each))
            for each in items
        ]  # fmt: skip
        table("", ("entry", "when", "kind", "who", "what", "resource", "changes"), rows, cut="changes")


def _news(entry: dict[str, Any]) -> str:
    if entry["kind"] == "refusal":
        more = f", {entry['unsaid']} more before" if entry.get("unsaid") else ""
        return f"needs {entry['needs']}, is {entry.get('role') or 'nothing'}{more}"
    before, after = entry.get("before") or {}, entry.get("after") or {}
    return short(
        ", ".join(
            f"{name}: {before[name]} -> {new}" if name in before else f"{name}: {new}" for name, new in after.items()
        )
    )


@app.command("export")
def export(
    ctx: typer.Context, actor: Actor = None, action: Action = None, resource: Resource = None, kind: Kind = None,
    newer: Newer = None, older: Older = None, as_json_: Json = False,
) -> None:  # fmt: skip
    """Write entries to a CSV file and print a download link that is valid for five minutes."""
    api: Api = ctx.obj
    wanted = {
        "actor": actor,
        "action": action,
        "resource": resource,
        "kind": kind,
        "since": back(newer),
        "until": back(older),
    }
    made = api.post("/api/audit/exports", wanted)
    answer = api.get(f"/api/audit/exports/{made['exportId']}")
    if as_json_:
        as_json(answer)
        return
    whole = "" if answer["complete"] else "; there are more, choose a shorter period"
    say(f"{answer['rows']} entries{whole}. Fetch them within five minutes:")
    typer.echo(answer["url"])


@app.command("verify")
def verify(
    ctx: typer.Context,
    day: Annotated[str | None, typer.Option(help="YYYY-MM-DD (UTC); none: today and the days before")] = None,
    days: Annotated[int, typer.Option(min=1, max=180, help="how many days, up to today")] = 2,
    as_json_: Json = False,
) -> None:
    """Verify the hash chains and name the first broken link; the exit code is then 1."""
    api: Api = ctx.obj
    today = datetime.now(UTC).date()
    wanted = [day] if day else [str(today - timedelta(days=n)) for n in reversed(range(days))]
    found = [_verified(api, each) for each in wanted]
    if as_json_:
        as_json({"days": found})
    else:
        rows = [
            (each["day"], "well" if each["ok"] else "BROKEN", each["entries"], each["waiting"], each["late"], when(each.get("anchored")))
            for each in found
        ]  # fmt: skip
        table("", ("day", "", "linked", "waiting", "late", "anchored"), rows)
    broken = next((each["broken"] for each in found if not each["ok"]), None)
    if broken is not None:
        where = ", ".join(f"{name} {broken[key]}" for name, key in _WHERE if broken.get(key) is not None)
        fail(f"{broken['what']}: {broken['detail']}", f"{where}. What to do: docs/OPERATIONS.md, The audit log.")


_WHERE = (("chain", "chain"), ("block", "block"), ("entry no.", "position"), ("log id", "logId"))


def _verified(api: Api, day: str) -> dict[str, Any]:
    """The pages of a day, merged."""
    answer: dict[str, Any] = api.get("/api/audit/verify", day=day)
    whole = dict(answer)
    while answer["ok"] and answer.get("cursor"):
        answer = api.get("/api/audit/verify", day=day, cursor=answer["cursor"])
        sums = {name: whole[name] + answer[name] for name in ("entries", "listed", "waiting", "late")}
        whole = {**whole, **answer, **sums}
    whole.pop("cursor", None)
    return whole
