"""``wecare why``: the delivery timeline of one message."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from libs.cli.api import Api
from libs.cli.dlq import Json
from libs.cli.show import as_json, out, say, table, when

#: What to do next, by status; the advice of an error has priority.
NEXT = {
    "queued": "Nothing; it waits for its sender. If it stays queued: wecare dlq ls --text {id}",
    "deferred": "Nothing; it is retried automatically.",
    "claimed": "Nothing; its sender is processing it.",
    "uncertain": "Wait for the provider's report, or resend it: wecare messages resend {id}",
    "unknown": "Ask the recipient, or resend it: wecare messages resend {id}",
    "sent": "Nothing; the provider has it and will report.",
    "delivered": "Nothing; it arrived.",
    "read": "Nothing; it was read.",
}


def why(
    ctx: typer.Context,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="id of a message")],
    as_json_: Json = False,
) -> None:
    """Show the delivery timeline of a message: consent, window, delays, attempts, provider reports, and what to do."""
    api: Api = ctx.obj
    timeline = api.get(f"/api/messages/{message}/timeline")
    if as_json_:
        as_json(timeline)
        return
    head = api.get(f"/api/messages/{message}")
    by = f", requested by {head['createdBy']}" if head.get("createdBy") else ""
    say(f"Message {message} ({head['channel']} {head['direction']}{by}) is {timeline['status']}.", "bold")
    out.print()
    table("", ("when", "what", "who", ""), [_line(step) for step in timeline["steps"]])
    out.print()
    say(f"Next: {_next(timeline)}", "bold")


def _line(step: dict[str, Any]) -> tuple[str, str, str, str]:
    says = [step["says"]]
    says += [f"· {note}" for note in step.get("notes", [])]
    if step.get("code"):
        says.append(f"{step['code']}: {step.get('means', '')}")
    provider = " ".join(filter(None, (step.get("providerStatus"), step.get("providerCode"))))
    if provider or step.get("detail"):
        says.append("; ".join(filter(None, (provider and f"provider: {provider}", step.get("detail")))))
    if step.get("notBefore"):
        says.append(f"not before {when(step['notBefore'])}")
    attempt = f" (attempt {step['attempt']})" if (step.get("attempt") or 0) > 1 else ""
    return when(step["at"]), step["what"] + attempt, step.get("actor") or step["source"], "\n".join(says)


def _next(timeline: dict[str, Any]) -> str:
    advice = [step["do"] for step in timeline["steps"] if step.get("do")]
    if timeline["status"] in ("failed", "suppressed", "expired") and advice:
        return str(advice[-1])
    return NEXT.get(timeline["status"], "Nothing.").format(id=timeline["messageId"])
