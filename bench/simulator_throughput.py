"""How many sends per second the carrier simulator takes, with their status events published to a stand-in for SNS.

    python bench/simulator_throughput.py [--sends 20000] [--parallel 64] [--without-sns]

Three processes: this one sends (hand-made requests, so that the simulator is measured and not an SDK), one is the
simulator, one is the stand-in. Prints sends/s, events/s and the simulator's CPU seconds per thousand sends.
"""

# ruff: noqa: S603, T201 - a script that starts our own programs and prints what it measured

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

TOPIC = "arn:aws:sns:us-east-1:111122223333:whatsapp-events"
WABA = "waba-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
NUMBER = "phone-number-id-1a2b3c4d5e6f708192a3b4c5d6e7f809"
ENTRY = re.compile(rb"PublishBatchRequestEntries\.member\.\d+\.Id=(\w+)")


async def take(request: web.Request) -> web.Response:
    ids = ENTRY.findall(await request.read())
    done = "".join(f"<member><Id>{i.decode()}</Id><MessageId>m</MessageId></member>" for i in ids)
    return web.Response(
        content_type="text/xml",
        text=f"<PublishBatchResponse><PublishBatchResult><Successful>{done}</Successful><Failed/></PublishBatchResult>"
        "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>",
    )


def serve_sns(port: int) -> None:
    app = web.Application(client_max_size=1 << 22)
    app.router.add_post("/", take)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def request_body(i: int) -> bytes:
    message = {
        "messaging_product": "whatsapp", "to": f"+1415{5550000 + i % 1000000}", "type": "template",
        "template": {"name": "order_update", "language": {"code": "en_US"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Alex"}, {"type": "text", "text": str(i)}]},
        ]},
        "biz_opaque_callback_data": f"bench-{i}",
    }  # fmt: skip
    blob = base64.b64encode(json.dumps(message).encode()).decode()
    return json.dumps({"originationPhoneNumberId": NUMBER, "message": blob, "metaApiVersion": "v23.0"}).encode()


async def wait_for(session: aiohttp.ClientSession, url: str) -> None:
    for _ in range(200):
        try:
            async with session.get(url):
                return
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


async def send_all(session: aiohttp.ClientSession, url: str, sends: int, parallel: int) -> float:
    numbers = iter(range(sends))

    async def worker() -> None:
        for i in numbers:
            async with session.post(url + "/v1/whatsapp/send", data=request_body(i)) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(parallel)))
    return time.perf_counter() - started


async def settled(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    while True:
        async with session.get(url + "/control/events/pending?wait_s=30") as answer:
            left = await answer.json()
        if not left["pending"] and not left["waiting"]:
            async with session.get(url + "/control/health") as answer:
                health: dict[str, Any] = await answer.json()
                return health


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(arguments: argparse.Namespace, url: str, pid: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await wait_for(session, url + "/control/health")
        destinations = {"id": WABA, "eventDestinations": [{"eventDestinationArn": TOPIC}]}
        async with session.put(url + "/v1/whatsapp/waba/eventdestinations", json=destinations) as answer:
            assert answer.status == 200
        before = cpu_seconds(pid)
        started = time.perf_counter()
        took = await send_all(session, url, arguments.sends, arguments.parallel)
        health = await settled(session, url)
        whole = time.perf_counter() - started
        cpu = cpu_seconds(pid) - before
    events = health["events"]
    print(f"{arguments.sends} sends in {took:.1f} s = {arguments.sends / took:,.0f}/s accepted")
    print(
        f"{events['published']} events published by {whole:.1f} s = {arguments.sends / whole:,.0f} sends/s with events"
    )
    print(f"{cpu / arguments.sends * 1000:.2f} CPU s per 1,000 sends; dropped {events['dropped']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sends", type=int, default=20_000)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--without-sns", action="store_true", help="publish nothing")
    parser.add_argument("--serve-sns", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=45801)
    arguments = parser.parse_args()
    if arguments.serve_sns:
        serve_sns(arguments.serve_sns)
        return
    environment = os.environ | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    command = [sys.executable, "-m", "libs.simulator", "--port", str(arguments.port), "--seed", "bench"]
    children = []
    if not arguments.without_sns:
        children.append(subprocess.Popen([sys.executable, __file__, "--serve-sns", str(arguments.port + 1)]))
        command += ["--sns-endpoint", f"http://127.0.0.1:{arguments.port + 1}"]
    children.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    try:
        asyncio.run(measure(arguments, f"http://127.0.0.1:{arguments.port}", children[-1].pid))
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
            child.wait(10)


if __name__ == "__main__":
    main()
