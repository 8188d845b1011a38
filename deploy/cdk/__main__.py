"""`python -m deploy.cdk --hosts lambda --stage dev`: templates from the declarations, without an account (`make synth`)."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from libs.common.declare.discover import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.cdk", description=__doc__)
    parser.add_argument("--hosts", choices=("lambda", "ecs"), default="lambda", help="what runs the services")
    parser.add_argument("--stage", default="dev", help="part of every name; `prod` keeps its data")
    parser.add_argument("--public-url", default="", metavar="URL", help="where people and providers find the API")
    parser.add_argument("--certificate", default="", metavar="ARN", help="the address's certificate (ecs)")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="a JSON object of WECARE_… variables for all processes"
    )
    parser.add_argument("--out", type=Path, help="where the templates go; .local/cdk/<stage>-<hosts> by default")
    chosen = parser.parse_args()
    if not shutil.which("node"):
        sys.exit("CDK needs Node 20 or newer on the PATH (its Python library speaks to a Node process); install it")
    _synthesise(chosen)


def _synthesise(chosen: argparse.Namespace) -> None:
    from deploy.cdk import code, summary
    from deploy.cdk.app import build
    from deploy.cdk.plan import plan

    wanted = plan(
        chosen.hosts,
        chosen.stage,
        public_url=chosen.public_url,
        certificate=chosen.certificate,
        given=_settings(chosen.settings),
    )
    out = (chosen.out or ROOT / ".local" / "cdk" / f"{chosen.stage}-{chosen.hosts}").resolve()
    shutil.rmtree(out, ignore_errors=True)
    packed = code.pack(out.parent / "function") if chosen.hosts == "lambda" else None
    build(wanted, out, packed).synth()
    for line in summary.lines(out):
        print(line)
    if packed and not code.complete():
        print(
            "The functions' code is our sources alone; `make function` adds what they stand on. Do that before you deploy."
        )


def _settings(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        read: Any = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"--settings {file}: {error}")
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        sys.exit(f"--settings {file}: a JSON object is wanted, of variables (WECARE_…) and their texts")
    return read


if __name__ == "__main__":
    main()
