"""``wecare dlq jobs|pause|resume|cancel|watch``: replay jobs."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from libs.cli import progress
from libs.cli.api import Api
from libs.cli.dlq import Json, Why, show_groups
from libs.cli.show import ago, as_json, local_time, out, say, table

Job = Annotated[str, typer.Argument(metavar="JOB", help="id of a replay job")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to ``dlq``."""
    app.command("jobs")(list_jobs)
    app.command("watch")(watch)
    for name, function in (("pause", pause), ("resume", resume), ("cancel", cancel)):
        app.command(name)(function)


def list_jobs(ctx: typer.Context, as_json_: Json = False) -> None:
    """List replay jobs, newest first."""
    api: Api = ctx.obj
    answer = api.get("/api/dlq/jobs")
    if as_json_:
        as_json(answer)
    elif not answer["items"]:
        say("Nothing was replayed yet.")
    else:
        rows = [
            (
                each["jobId"], each["state"], f"{each['position']}/{each['total']}", each["sent"], each["skipped"],
                f"{each['rate']:g}/s", ago(each["createdAt"]), each["by"], each["why"],
            )
            for each in answer["items"]
        ]  # fmt: skip
        table("", ("job", "state", "done", "sent", "skipped", "rate", "created", "by", "why"), rows)


def pause(ctx: typer.Context, job: Job, why: Why = "") -> None:
    """Pause a replay; dead letters that it has claimed are still sent."""
    _move(ctx, job, "pause", why)


def resume(ctx: typer.Context, job: Job, why: Why = "") -> None:
    """Resume a paused replay."""
    _move(ctx, job, "resume", why)


def cancel(ctx: typer.Context, job: Job, why: Why = "") -> None:
    """Cancel a replay; dead letters that it has not reached keep waiting."""
    _move(ctx, job, "cancel", why)


def _move(ctx: typer.Context, job: str, move: str, why: str) -> None:
    api: Api = ctx.obj
    answer = api.post(f"/api/dlq/jobs/{job}/{move}", {"why": why})
    say(f"Job {job} is {answer['state']}.")


def watch(
    ctx: typer.Context,
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="a replay job; none: the waiting dead letters")
    ] = None,
    every: Annotated[float, typer.Option(min=0.5, help="seconds between polls")] = 2.0,
    times: Annotated[int, typer.Option(min=0, help="number of polls; 0: until Ctrl-C")] = 0,
) -> None:
    """Follow a replay job with a progress bar, or the waiting dead letters by cause and type."""
    api: Api = ctx.obj
    if job is not None:
        progress.tell(progress.follow(api, api.get(f"/api/dlq/jobs/{job}")))
        return
    looks = 0
    try:
        while True:
            answer = api.get("/api/dlq/groups")
            if out.is_terminal:
                out.clear()
            show_groups(answer)
            if out.is_terminal:
                say(f"Updated at {local_time()}, every {every:g} s; Ctrl-C stops.", "dim")
            looks += 1
            if looks == times:
                return
            time.sleep(every)
    except KeyboardInterrupt:
        return
