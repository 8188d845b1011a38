"""``wecare contacts``: find, create, record consent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from libs.cli.api import Api
from libs.cli.dlq import Json, Limit
from libs.cli.show import as_json, say, table

app = typer.Typer(help="Contacts: find, create, record consent.", no_args_is_help=True, rich_markup_mode=None)


@app.command("ls")
def list_contacts(
    ctx: typer.Context,
    search: Annotated[str | None, typer.Option(help="prefix of a name, number or e-mail address")] = None,
    limit: Limit = 20,
    as_json_: Json = False,
) -> None:
    """List contacts, newest first, or search for contacts."""
    api: Api = ctx.obj
    limit = min(limit, 200)
    answer = api.get("/api/contacts/search", q=search, limit=limit) if search else api.get("/api/contacts", limit=limit)
    if as_json_:
        as_json(answer)
        return
    rows = [
        (each["contactId"], each.get("name"), each.get("phone"), each.get("email"), _channels(each))
        for each in answer["items"]
    ]
    table("", ("contact", "name", "phone", "e-mail", "opted in to"), rows)


def _channels(contact: dict[str, Any]) -> str:
    return ", ".join(sorted(name for name, consent in contact["consents"].items() if consent["optedIn"])) or "nothing"


@app.command("create")
def create(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Option()] = None,
    phone: Annotated[str | None, typer.Option(help="with + and country code")] = None,
    email: Annotated[str | None, typer.Option()] = None,
    as_json_: Json = False,
) -> None:
    """Create a contact. It has no consent."""
    api: Api = ctx.obj
    answer = api.post("/api/contacts", {"name": name, "phone": phone, "email": email})
    as_json(answer) if as_json_ else say(f"Contact {answer['contactId']} is created without consent.")


@app.command("consent")
def consent(
    ctx: typer.Context,
    contact: Annotated[str, typer.Argument(metavar="CONTACT")],
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    words: Annotated[str, typer.Option(help="the text that was spoken or shown; it is the evidence")],
    how: Annotated[str, typer.Option(help="where: form, phone, paper …")] = "form",
    opted_in: Annotated[bool, typer.Option("--opt-in/--opt-out", help="opt in or opt out")] = True,
    as_json_: Json = False,
) -> None:
    """Record an opt-in or opt-out with its evidence."""
    api: Api = ctx.obj
    body = {"optedIn": opted_in, "how": how, "words": words}
    answer = api.put(f"/api/contacts/{contact}/consents/{channel}", body)
    as_json(answer) if as_json_ else say(f"Contact {contact} is opted in to: {_channels(answer)}.")
