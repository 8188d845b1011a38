"""``wecare messages``: send one, list them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from libs.cli.api import Api, fail
from libs.cli.dlq import Json, Limit
from libs.cli.show import ago, as_json, say, short, table

Message = Annotated[str, typer.Argument(metavar="MESSAGE", help="id of a message")]

app = typer.Typer(help="Messages: send one, list them.", no_args_is_help=True, rich_markup_mode=None)


@app.command("send")
def send(
    ctx: typer.Context,
    contact: Annotated[str, typer.Argument(metavar="CONTACT", help="id of a contact")],
    channel: Annotated[str, typer.Option(help="name of a channel")] = "whatsapp",
    text: Annotated[str | None, typer.Option(help="free text")] = None,
    template: Annotated[str | None, typer.Option(help="name of a template")] = None,
    language: Annotated[str, typer.Option(help="the template's language")] = "en_US",
    var: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="a variable of the template")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key: the same key never sends twice")] = None,
    as_json_: Json = False,
) -> None:
    """Send one message."""
    if (text is None) == (template is None):
        fail("Give either --text or --template.")
    variables = {}
    for each in var or []:
        name, equals, value = each.partition("=")
        if not equals:
            fail(f"--var {each}: write NAME=VALUE.")
        variables[name] = value
    content: dict[str, Any] = {"kind": "text", "body": text}
    if template is not None:
        content = {"kind": "template", "name": template, "language": language, "variables": variables}
    api: Api = ctx.obj
    answer = api.post("/api/messages", {"contactId": contact, "channel": channel, "content": content}, key)
    as_json(answer) if as_json_ else say(
        f"Message {answer['messageId']} is {answer['status']}: wecare why {answer['messageId']}"
    )


@app.command("ls")
def list_messages(
    ctx: typer.Context,
    contact: Annotated[str | None, typer.Option(help="of this contact")] = None,
    channel: Annotated[str | None, typer.Option(help="on this channel")] = None,
    status: Annotated[str | None, typer.Option(help="with this status")] = None,
    limit: Limit = 20,
    as_json_: Json = False,
) -> None:
    """List messages, newest first."""
    api: Api = ctx.obj
    answer = api.get("/api/messages", contactId=contact, channel=channel, status=status, limit=min(limit, 100))
    if as_json_:
        as_json(answer)
        return
    rows = [
        (
            each["messageId"], ago(each["createdAt"]), each["channel"], each["direction"], each["status"], each.get("errorCode"),
            short((each.get("content") or {}).get("body") or (each.get("content") or {}).get("name"), 40),
        )
        for each in answer["items"]
    ]  # fmt: skip
    table("", ("message", "created", "channel", "", "status", "error", "content"), rows)


@app.command("resend")
def resend(ctx: typer.Context, message: Message) -> None:
    """Send a message with an unknown outcome again. It may reach the recipient twice."""
    _decide(ctx, message, "resend")


@app.command("cancel")
def cancel(ctx: typer.Context, message: Message) -> None:
    """Request the cancellation of a waiting message."""
    _decide(ctx, message, "cancel")


def _decide(ctx: typer.Context, message: str, what: str) -> None:
    api: Api = ctx.obj
    answer = api.post(f"/api/messages/{message}/{what}", {})
    say(f"Requested to {what} message {message}; its status is {answer['status']}: wecare why {message}")
