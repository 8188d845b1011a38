"""The command line: ``wecare dlq …``, ``wecare why …``, ``wecare messages …``, ``wecare contacts …``, ``wecare audit …``,
``wecare insights``, ``wecare login``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from libs.cli import audit, contacts, decide, dlq, insights, jobs, messages, why
from libs.cli.api import DEFAULT_URL, Api, fail, keep_token, kept_token
from libs.cli.show import say

app = typer.Typer(
    name="wecare",
    help="Messages, contacts, dead letters and delivery figures from the terminal. Every command takes --help.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(dlq.app, name="dlq")
app.add_typer(messages.app, name="messages")
app.add_typer(contacts.app, name="contacts")
app.add_typer(audit.app, name="audit")
decide.add_to(dlq.app)
jobs.add_to(dlq.app)


@app.callback()
def connect(
    ctx: typer.Context,
    url: Annotated[str, typer.Option("--api", envvar="WECARE_API_URL", help="address of the API")] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option("--token", envvar="WECARE_TOKEN", show_envvar=True, help="access token")
    ] = None,
) -> None:
    """Options for the API's address and the access token."""
    ctx.obj = Api(url, token or kept_token())


@app.command()
def login(
    ctx: typer.Context,
    token: Annotated[str, typer.Option("--access-token", help="`-` reads it from standard input")] = "-",  # noqa: S107
) -> None:
    """Store an access token for later commands, after the API accepted it. On your own stack:
    .venv/bin/python -m deploy.local token OPERATOR | wecare login"""
    if token == "-":  # noqa: S105 - the usual name of standard input
        token = typer.prompt("Access token", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    token = token.strip()
    if not token:
        fail("Standard input contains no token.", "Pipe an access token in, or set WECARE_TOKEN.")
    api: Api = ctx.obj
    Api(api.url, token).get("/api/contacts", limit=1)
    say(f"Logged in to {api.url}; the token is in {keep_token(token)} and is valid as long as its issuer says.")


app.command("why")(why.why)
app.command("insights")(insights.insights)


def main() -> None:
    """The entry point."""
    app(prog_name="wecare")
