"""From POST to ``read``, and once: whatever the provider does."""

from __future__ import annotations

import signal
import time

import pytest

from deploy.smoke.client import until
from deploy.smoke.platform import TEMPLATE, Platform

SEND = {"service": "socialmessaging", "operation": "SendWhatsAppMessage"}


def test_a_template_message_goes_out_once_and_ends_read(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    message = on.send_when_known(contact, TEMPLATE)
    on.reaches(message, "read")
    assert len(on.accepted(message_id=message)) == 1


def test_the_same_idempotency_key_sends_once(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    first = on.send_when_known(contact, TEMPLATE)
    on.reaches(first, "read")
    body = {"contactId": contact, "channel": "whatsapp", "content": TEMPLATE}
    answers = [on.operator.call("POST", "/api/messages", body, expect=202, key=f"k-{phone}") for _ in range(3)]
    assert len({a["messageId"] for a in answers}) == 1
    on.reaches(answers[0]["messageId"], "read")
    assert len(on.accepted(to=phone)) == 2


@pytest.mark.parametrize("fault", ["accept_then_reset", "accept_then_500", "accept_then_503", "half_body", "bad_json"])
def test_a_send_whose_answer_is_lost_is_accepted_once_and_ends_in_its_true_state(
    on: Platform, phone: str, fault: str
) -> None:
    contact = on.contact(phone, "Ann Example")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": fault, "to": phone, "times": 1})
    message = on.send_when_known(contact, TEMPLATE)
    on.reaches(message, "read")
    assert len(on.accepted(message_id=message)) == 1


def test_a_provider_that_hangs_after_accepting_costs_no_second_message(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": "accept_then_hang", "to": phone, "times": 1})
    message = on.send_when_known(contact, TEMPLATE)
    on.reaches(message, "read")
    assert len(on.accepted(message_id=message)) == 1


def test_a_throttled_send_is_deferred_and_goes_out_later(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": "throttle_429", "to": phone, "times": 2})
    message = on.send_when_known(contact, TEMPLATE)
    on.reaches(message, "read")
    assert len(on.accepted(message_id=message)) == 1


def test_what_the_provider_rejects_fails_with_a_code_and_what_to_do(on: Platform) -> None:
    contact = on.contact("+12025550189", "Ann Example")
    message = on.send_when_known(contact, TEMPLATE)
    on.reaches(message, "failed")
    reported = on.operator.get(f"/api/messages/{message}")
    assert reported["errorCode"] == "invalid_recipient"


def test_a_worker_killed_in_the_middle_of_a_send_costs_neither_a_loss_nor_a_second_message(
    on: Platform, phone: str
) -> None:
    contact = on.contact(phone, "Ann Example")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": "accept_then_hang", "to": phone, "times": 1})
    message = on.send_when_known(contact, TEMPLATE)
    until("the acceptance", lambda: on.accepted(message_id=message))
    on.stack.kill("workers", signal.SIGKILL)
    on.stack.start("workers")
    on.reaches(message, "read")
    assert len(on.accepted(message_id=message)) == 1


def test_what_is_accepted_while_the_workers_are_down_goes_out_when_they_are_back(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    on.stack.kill("workers", signal.SIGKILL)
    messages = [on.send(contact, TEMPLATE)["messageId"] for _ in range(3)]
    on.stack.start("workers")
    for message in messages:
        on.reaches(message, "read")
        assert len(on.accepted(message_id=message)) == 1


def test_nothing_is_lost_while_the_provider_is_away(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.simulator.call("POST", "/control/faults", {**SEND, "fault": "throttle_429", "to": phone, "times": 4})
    messages = [on.send_when_known(contact, TEMPLATE) for _ in range(2)]
    for message in messages:
        on.reaches(message, "read")
        assert len(on.accepted(message_id=message)) == 1


def test_nothing_is_lost_while_aws_does_not_answer(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    messages = [on.send(contact, TEMPLATE)["messageId"] for _ in range(2)]
    on.stack.kill("aws", signal.SIGSTOP)
    try:
        time.sleep(3)  # the outage itself: there is no condition to wait for
    finally:
        on.stack.kill("aws", signal.SIGCONT)
    for message in messages:
        on.reaches(message, "read")
        assert len(on.accepted(message_id=message)) == 1
