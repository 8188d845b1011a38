"""`python -m libs.simulator --port 4580`: run the carrier simulator."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import structlog
import uvloop

from libs.simulator.app import Simulator
from libs.simulator.core import Settings

EPILOG = """\
Clients use it through AWS_ENDPOINT_URL_SOCIALMESSAGING, AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2 and
AWS_ENDPOINT_URL_SESV2. Events are published to SNS and media read from S3 at the endpoints below; without one the
events are only available at GET /control/events, so that nothing reaches a real AWS account by accident.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m libs.simulator", description=__doc__, epilog=EPILOG)
    made.add_argument("--port", type=int, default=4580, help="port to listen on, 0 for a free one (default 4580)")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    made.add_argument("--seed", help="makes delays, losses and ids repeatable (default: drawn at start)")
    made.add_argument("--ledger", type=Path, metavar="FILE", help="keep acceptances in this JSON lines file")
    made.add_argument("--region", default=_region(), help="region in ARNs (default: AWS_REGION, or us-east-1)")
    made.add_argument(
        "--sns-endpoint", default=_endpoint("SNS"), metavar="URL",
        help='where events go; "aws" for the real SNS (default: AWS_ENDPOINT_URL_SNS or AWS_ENDPOINT_URL)',
    )  # fmt: skip
    made.add_argument(
        "--s3-endpoint", default=_endpoint("S3"), metavar="URL",
        help='where media are; "aws" for the real S3 (default: AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL)',
    )  # fmt: skip
    made.add_argument(
        "--grace", type=float, default=5.0, metavar="SECONDS", help="time to drain at SIGTERM (default 5)"
    )
    return made


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _endpoint(service: str) -> str | None:
    return os.environ.get(f"AWS_ENDPOINT_URL_{service}") or os.environ.get("AWS_ENDPOINT_URL")


async def serve(arguments: argparse.Namespace) -> None:
    settings = Settings(
        seed=arguments.seed,
        region=arguments.region,
        ledger=arguments.ledger,
        sns_endpoint=arguments.sns_endpoint,
        s3_endpoint=arguments.s3_endpoint,
        grace_s=arguments.grace,
    )
    log = structlog.get_logger("simulator")
    simulator = Simulator(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    url = await simulator.start(arguments.port, arguments.host)
    log.info("ready", url=url, seed=simulator.core.seed, sns=settings.sns_endpoint, s3=settings.s3_endpoint)
    if settings.sns_endpoint is None:
        log.warning("events_not_published", cause="no SNS endpoint; see --sns-endpoint")
    await stop.wait()
    log.info("stopping", pending=len(simulator.core.emitter.heap))
    await simulator.stop()
    log.info("stopped", accepted=len(simulator.core.ledger.entries))


def main() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # The ledger stays in memory, so garbage collection need not scan it.
    gc.set_threshold(50_000, 50, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser().parse_args()))


if __name__ == "__main__":
    main()
