"""A bulk job from the file to the last receipt, on real processes; codes pass in front."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from deploy.smoke.client import Failed, until
from deploy.smoke.platform import TEMPLATE, Platform

COUNT = 30
_ENDED = ("sent", "delivered", "read", "failed", "skipped", "cancelled")


#: Numbers of fiction in an area code that no other test uses.
NUMBERS = [f"+13035550{n}" for n in range(100, 100 + COUNT)]


@pytest.fixture
def numbers(on: Platform) -> list[str]:
    """People who said yes, made by the first test that needs them."""
    for n, number in enumerate(NUMBERS):
        try:
            on.contact(number, f"Person {n}")
        except Failed as failed:
            if "CONTACT_EXISTS" not in str(failed):
                raise
            break
    return NUMBERS


def job_of(on: Platform, numbers: list[str], **more: Any) -> str:
    """A planned job to these people."""
    lines = ["Phone;Name", *(f"{number};Person {n}" for n, number in enumerate(numbers))]
    body = "\n".join(lines).encode()
    made = on.operator.call("POST", "/api/bulk/uploads", {"filename": "people.csv", "size": len(body)}, expect=201)
    httpx.put(made["url"], content=body, trust_env=False).raise_for_status()
    asked = {
        "name": "A flow", "channel": "whatsapp", "purpose": "service", "content": {**TEMPLATE, "variables": {"2": "A-17"}},
        "audience": {"uploadId": made["uploadId"]}, "mapping": {"variables": {"1": "Name"}}, "hold": True, **more,
    }  # fmt: skip

    job = str(on.operator.call("POST", "/api/bulk/jobs", asked, expect=202)["jobId"])
    reported = until("the plan", lambda: (each := look(on, job))["state"] != "planning" and each)
    # Contacts that were made just now are known: the plan waits for what was said of them before.
    assert reported["counts"]["pending"] == len(numbers), reported
    return job


def look(on: Platform, job: str) -> Any:
    reported = on.operator.get(f"/api/bulk/jobs/{job}")
    if reported["state"] != "planning":
        assert sum(reported["counts"].values()) == reported["planned"], json.dumps(reported["counts"])
    return reported


def approve(on: Platform, job: str) -> None:
    plan = on.operator.get(f"/api/bulk/jobs/{job}/plan")
    on.operator.call("PUT", f"/api/bulk/jobs/{job}/approve", {"hash": plan["hash"]})


def test_a_job_reaches_everybody_once_and_each_is_told_of(on: Platform, numbers: list[str]) -> None:
    job = job_of(on, numbers)
    before = {number: len(on.accepted(to=number)) for number in numbers}
    approve(on, job)
    reported = until("everybody to have read it", lambda: (each := look(on, job))["counts"]["read"] == COUNT and each)
    assert reported["planned"] == COUNT
    for number in numbers:
        assert len(on.accepted(to=number)) == before[number] + 1
    shown = on.operator.get(f"/api/bulk/jobs/{job}/recipients", status="read")["items"]
    assert {each["address"] for each in shown} == set(numbers)
    message = on.operator.get(f"/api/messages/{shown[0]['messageId']}")
    assert (message["status"], message["jobId"]) == ("read", job)
    report = until("the report", lambda: _report(on, job))
    assert httpx.get(report["csv"]["url"], trust_env=False).text.count("\n") == COUNT + 1


def _report(on: Platform, job: str) -> Any:
    reported = on.operator.get(f"/api/bulk/jobs/{job}")
    return on.operator.get(f"/api/bulk/jobs/{job}/report") if reported.get("reportAt") else None


def test_a_paused_job_sends_nothing_more_until_it_is_resumed(on: Platform, numbers: list[str]) -> None:
    job = job_of(on, numbers, throttlePerSecond=2)
    before = {number: len(on.accepted(to=number)) for number in numbers}
    approve(on, job)
    until("some to be sent", lambda: look(on, job)["counts"]["pending"] < COUNT)
    on.operator.call("POST", f"/api/bulk/jobs/{job}/pause", {"why": "a test"})
    time.sleep(5)  # what a pause may take
    accepted = sum(len(on.accepted(to=number)) for number in numbers)
    time.sleep(2)  # during which nothing may happen: there is no condition to wait for
    assert sum(len(on.accepted(to=number)) for number in numbers) == accepted
    assert look(on, job)["why"] == "a test"
    on.operator.call("POST", f"/api/bulk/jobs/{job}/resume")
    until("everybody to have got it", lambda: sum(look(on, job)["counts"][word] for word in _ENDED) == COUNT)
    for number in numbers:
        assert len(on.accepted(to=number)) == before[number] + 1


def test_a_code_does_not_wait_behind_a_job(on: Platform, numbers: list[str], phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    job = job_of(on, numbers, throttlePerSecond=1)  # half a minute in all: the code is through long before
    approve(on, job)
    until("the job to send", lambda: look(on, job)["counts"]["pending"] < COUNT)
    code = {"kind": "template", "name": "otp_code", "language": "en_US", "variables": {"1": "123456"}}
    message = on.send(contact, code, messageClass="otp")["messageId"]
    until("the code to be sent", lambda: on.accepted(message_id=message))
    counts = look(on, job)["counts"]
    assert counts["pending"] + counts["claimed"] > 0
    on.operator.call("POST", f"/api/bulk/jobs/{job}/cancel", {})
    reported = until("the job to be over", lambda: (each := look(on, job))["state"] == "cancelled" and each)
    assert reported["counts"]["cancelled"] > 0


def test_contacts_made_in_a_crowd_and_a_job_planned_at_once_nobody_is_dropped(on: Platform) -> None:
    """Each contact is created and opted in by requests of their own; the job is asked for with the last answer."""
    crowd = [f"+1{area}5550{n}" for area in (404, 406, 408, 412) for n in range(100, 180)]
    with ThreadPoolExecutor(8) as pool:
        contacts = list(pool.map(lambda number: on.contact(number, "Person"), crowd))
    asked = {
        "name": "A crowd", "channel": "whatsapp", "purpose": "service", "content": {**TEMPLATE, "variables": {"2": "A"}},
        "audience": {"contactIds": contacts}, "mapping": {"fallbacks": {"1": "you"}}, "hold": True,
    }  # fmt: skip
    job = str(on.operator.call("POST", "/api/bulk/jobs", asked, expect=202)["jobId"])
    until("the plan", lambda: look(on, job)["state"] != "planning")
    plan = on.operator.get(f"/api/bulk/jobs/{job}/plan")
    assert (plan["toSend"], plan["changesUnderWay"]) == (len(crowd), 0), plan
    on.operator.call("POST", f"/api/bulk/jobs/{job}/cancel", {})
