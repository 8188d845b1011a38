"""A stack for bulk, and a job on it from the file to the last receipt; for the demo, the benchmark and the battery."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from deploy.demo_bulk import recipients
from deploy.local.environment import REGION
from deploy.local.process import Process
from deploy.local.provision import everything
from deploy.local.stack import Stack
from deploy.smoke.client import Http, until
from deploy.smoke.platform import TEMPLATE
from libs.common.declare.names import Names

PREFIX = "wecare-local"
STATUS_NAMES = ("pending", "claimed", "uncertain", "sent", "delivered", "read", "failed", "skipped", "cancelled")
SIGN_IN_TIMEOUT_SECONDS = 300.0
#: Every recipient has come to an end by then, if the simulator's people read what they get.
LAST = ("read", "failed", "skipped", "cancelled")


def fast(per_second: float) -> Callable[[Stack], Mapping[str, str]]:
    """Provision as always, with a higher rate for the WhatsApp number: Meta raises it up to 1,000 a second."""

    def provision(stack: Stack) -> Mapping[str, str]:
        known = dict(everything(stack))
        senders = json.loads(known.get("WECARE_SENDERS") or "{}")
        for identity in senders.get("whatsapp", {}).get("identities", []):
            identity["perSecond"] = per_second
        return {**known, "WECARE_SENDERS": json.dumps(senders)}

    return provision


class BulkStack:
    """A private stack. ``per_second`` is what its WhatsApp number may send."""

    def __init__(
        self,
        directory: Path,
        per_second: float = 1000,
        processes: Sequence[Process] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        quiet = {
            "WECARE_LOG_LEVEL": "WARNING",
            "WECARE_WHATSAPP_DAILY_RECIPIENTS": "0",
            "WECARE_CONCURRENCY": "400",
            "WECARE_POLL_SECONDS": "20",
        }
        self.stack = Stack(directory, env={**quiet, **(env or {})}, provision=fast(per_second), processes=processes)
        self._exit = ExitStack()
        self._signed_in = 0.0

    def __enter__(self) -> Self:
        try:
            self._exit.enter_context(self.stack)
            self.api = self._exit.enter_context(Http(self.stack.api_url))
            self.sign_in()
            self.simulator = self._exit.enter_context(Http(self.stack.simulator_url))
            # Carriers and telephones take a second or so; receipts within milliseconds are for the tests of ordering.
            self.simulator.call("PATCH", "/control/behaviour", {"delay_ms": [400, 1200]})
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit.close()

    def sign_in(self) -> None:
        """A token lasts a quarter of an hour; a large job longer."""
        self.api.bears(self.stack.token("OPERATOR"))
        self._signed_in = time.monotonic()

    def people(self, count: int) -> None:
        """Publish the permissions of so many people, and wait until each service has stored them."""
        account = self.stack.client("sts").get_caller_identity()["Account"]
        topic = f"arn:aws:sns:{REGION}:{account}:{Names(PREFIX).topic('contacts')}"
        recipients.publish(self.stack.client("sns"), topic, count)
        names = Names(PREFIX)
        queues = [names.queue("bulk", "people"), names.queue("outbound-whatsapp"), names.queue("messages")]
        until("everybody to be known", lambda: not any(map(self.depth, queues)), 600)

    def depth(self, queue: str) -> int:
        sqs = self.stack.client("sqs")
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        return sum(map(int, found.values()))

    def upload(self, count: int) -> str:
        """A file of the first so many people."""
        return self.upload_text("\n".join(recipients.csv(count)))

    def upload_text(self, text: str) -> str:
        body = text.encode()
        made = self.api.call("POST", "/api/bulk/uploads", {"filename": "people.csv", "size": len(body)}, expect=201)
        httpx.put(made["url"], content=body, timeout=60, trust_env=False).raise_for_status()
        return str(made["uploadId"])

    def create(self, upload: str, *, key: str | None = None, **more: Any) -> str:
        body = {
            "name": "demo", "channel": "whatsapp", "purpose": "service", "audience": {"uploadId": upload},
            "content": {**TEMPLATE, "variables": {}},
            "mapping": {"address": "Phone", "variables": {"1": "First name", "2": "Order"}}, **more,
        }  # fmt: skip
        return str(self.api.call("POST", "/api/bulk/jobs", body, expect=202, key=key)["jobId"])

    def job(self, job_id: str) -> Any:
        if time.monotonic() - self._signed_in > SIGN_IN_TIMEOUT_SECONDS:
            self.sign_in()
        return self.api.get(f"/api/bulk/jobs/{job_id}")

    def planned(self, job_id: str) -> Any:
        """The plan, once it is made."""
        until("the plan", lambda: self.job(job_id)["state"] != "planning", 900)
        return self.api.get(f"/api/bulk/jobs/{job_id}/plan")

    def approve(self, job_id: str, plan_hash: str) -> None:
        self.api.call("PUT", f"/api/bulk/jobs/{job_id}/approve", {"hash": plan_hash})

    def calls(self) -> Counter[str]:
        """Requests to AWS by service and operation, over all worker processes that run now."""
        found: Counter[str] = Counter()
        for name, row in self.stack.rows.items():
            if name.startswith("workers") and row.port:
                reported = httpx.get(f"http://127.0.0.1:{self.stack.ports[row.port]}/", trust_env=False).json()
                found.update(reported["calls"])
        return found

    def cpu(self) -> dict[str, float]:
        """Seconds of processor time of each process."""
        tick = os.sysconf("SC_CLK_TCK")
        found = {}
        for record in self.stack.records():
            fields = Path(f"/proc/{record.pid}/stat").read_text().rpartition(") ")[2].split()
            found[record.name] = round((int(fields[11]) + int(fields[12])) / tick, 2)
        return found

    def memory(self) -> dict[str, float]:
        """MiB that each process has had in memory at most."""
        found = {}
        for record in self.stack.records():
            status = Path(f"/proc/{record.pid}/status").read_text()
            kib = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
            found[record.name] = round(kib / 1024, 1)
        return found


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def is_send(operation: str) -> bool:
    """Whether it is the provider's own send, which no budget can save."""
    return operation.split(".")[0] in (
        "socialmessaging",
        "social-messaging",
        "sesv2",
        "ses",
        "pinpoint-sms-voice-v2",
        "sms-voice",
    )
