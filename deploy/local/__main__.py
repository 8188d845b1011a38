"""The commands behind `make up`, `down`, `status`, `logs` and `env`, for the stack of this working copy, in `.local/main` or `STACK_DIRECTORY`."""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.containers.stack import a_stack
from deploy.local import process
from deploy.local.cognito import DEMO_PEOPLE
from deploy.local.health import NotHealthy
from deploy.local.ports import PortTaken
from deploy.local.processes import DEFAULT_PORTS, table
from deploy.local.resources import Mismatch
from deploy.local.stack import Stack
from deploy.local.supervisor import ROOT, BadRequest, read_json

MAIN = ROOT / ".local" / "main"
_ROLES = {
    "VIEWER": "reads",
    "OPERATOR": "writes to people, starts jobs, replays",
    "ADMIN": "people, settings, discards",
}


def chosen_ports(environ: Mapping[str, str], saved: Mapping[str, int]) -> dict[str, int]:
    """The variables AWS_PORT, API_PORT... first, then the ports of what runs (`saved`), then the defaults."""
    given: dict[str, int] = {}
    for name in DEFAULT_PORTS:
        text = environ.get(f"{name.upper()}_PORT", "")
        if text and not (text.isdigit() and 0 < int(text) < 65536):
            raise BadRequest(f"{name.upper()}_PORT={text} is no port: give a number from 1 to 65535")
        given |= {name: int(text)} if text else {}
    return DEFAULT_PORTS | dict(saved) | given


def the_stack() -> Stack:
    """The stack that the environment describes, or the running one."""
    directory = Path(os.environ.get("STACK_DIRECTORY") or MAIN)
    saved = read_json(directory / "stack.json")
    runs = any((directory / "run").glob("[!.]*.json")) or saved.get("aws") == "localstack"
    aws = os.environ.get("AWS") or (saved.get("aws") if runs else None) or "embedded"
    ports = chosen_ports(os.environ, saved.get("ports", {}) if runs else {})
    keep = os.environ.get("KEEP", "") not in ("", "0") or bool(runs and saved.get("keeps"))
    return a_stack(directory, aws=aws, ports=ports, **({"processes": table(aws, keep=True)} if keep else {}))


def up(options: argparse.Namespace) -> int:
    """Start, provision, and print all addresses."""
    begun = time.monotonic()
    stack = the_stack().up()
    print(f"\nWECARE is up after {time.monotonic() - begun:.1f} s (AWS={stack.aws})\n")
    if "api" in stack.rows:
        print(f"  dashboard and API   {stack.api_url}")
    if "simulator" in stack.rows:
        print(f"  carrier simulator   {stack.simulator_url}")
    print(f"  AWS                 {stack.aws_url}")
    print(f"  sign-in pages       {stack.cognito_url}\n")
    for person in DEMO_PEOPLE:
        print(f"  {person.email:<22}{person.password:<18}{person.group:<10}{_ROLES[person.group]}")
    print(f"\n  {_whether_kept(stack)}")
    print('  make logs · make status · make down · eval "$(make -s env)" points the AWS CLI here\n')
    return 0


def down(options: argparse.Namespace) -> int:
    """Stop everything."""
    stack = the_stack()
    running = stack.running()
    stack.down()
    print(f"stopped: {', '.join(running)}\n{_whether_kept(stack)}" if running else "nothing was running")
    return 0


def _whether_kept(stack: Stack) -> str:
    if stack.keeps:
        return f"`make down` keeps what is in AWS in {stack.directory / 'kept'}; `make up KEEP=1` goes on with it"
    return "`make down` keeps nothing; after `make up KEEP=1` (AWS=embedded) it keeps what is in AWS"


def status(options: argparse.Namespace) -> int:
    """One line per process; the exit code is 1 unless all are ready."""
    stack, bad = the_stack(), 0
    for name, row in stack.rows.items():
        record, trouble = stack.record(name), stack.problem(name)
        bad += trouble is not None
        port = stack.ports[row.port] if row.port else ""
        age = f"{time.time() - record.started:.0f} s" if record and process.is_alive(record) else ""
        pid = f"pid {record.pid}" if record else ""
        print(f"{name:<14}{trouble or 'ready':<24}{port:<8}{pid:<12}{age}")
    return 1 if bad else 0


def follow(options: argparse.Namespace) -> int:
    """Logs."""
    the_stack().follow(options.names, follow=not options.no_follow, lines=options.lines)
    return 0


def env(options: argparse.Namespace) -> int:
    """Lines for a shell that point every AWS SDK, the AWS CLI and `wecare` at this stack."""
    stack = the_stack()
    for name, value in {**stack.env, "WECARE_API_URL": stack.api_url}.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def token(options: argparse.Namespace) -> int:
    """Print an access token of a demo person, for `Authorization: Bearer`."""
    stack = the_stack()
    if trouble := stack.problem("aws"):
        raise BadRequest(f"AWS is not up ({trouble}); run `make up` first")
    print(stack.token(options.group))
    return 0


def main() -> int:
    """Run one command; expected errors are printed without a traceback."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(required=True)
    table: dict[str, Callable[[argparse.Namespace], int]] = {
        "up": up, "down": down, "status": status, "logs": follow, "env": env, "token": token,
    }  # fmt: skip
    for name, function in table.items():
        command = commands.add_parser(name, help=function.__doc__)
        command.set_defaults(function=function)
        if name == "token":
            command.add_argument("group", nargs="?", default="ADMIN", choices=list(_ROLES))
        if name == "logs":
            command.add_argument("names", nargs="*", help="processes (all)")
            command.add_argument("--no-follow", action="store_true", help="print and end")
            command.add_argument("--lines", type=int, default=20, help="how many of each to begin with")
    options = parser.parse_args()
    # A signal during `up` raises, so that it stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return int(options.function(options))
    except KeyboardInterrupt:
        return 130
    except (BadRequest, NotHealthy, PortTaken, Mismatch) as error:
        print(f"\n{error}\n", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
