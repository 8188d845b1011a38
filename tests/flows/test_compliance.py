"""What people ask of us by a word is done, and answered once, on a whole platform."""

from __future__ import annotations

import json
import time
from typing import Any

from deploy.smoke.client import Failed, until
from deploy.smoke.platform import TEMPLATE, Platform


def _answers(on: Platform, phone: str) -> list[str]:
    """The texts that were accepted for this number, in order."""
    entries = [entry for entry in on.accepted(to=phone) if entry["kind"] == "text"]
    return [json.dumps(entry["payload"], ensure_ascii=False) for entry in entries]


def _next_second() -> None:
    """WhatsApp's times are whole seconds, and within one second STOP wins."""
    second = int(time.time())
    until("the next second", lambda: int(time.time()) > second)


def test_stop_start_and_help_are_each_answered_once(on: Platform, phone: str) -> None:
    on.contact(phone, "Ann Example")
    on.writes_in(phone, "STOP", times=3)
    until("the confirmation", lambda: len(_answers(on, phone)) == 1)
    on.writes_in(phone, "stop!!")
    _next_second()
    on.writes_in(phone, "START", times=3)
    until("the second answer", lambda: len(_answers(on, phone)) == 2)
    on.writes_in(phone, "HELP", times=2)
    until("the third answer", lambda: len(_answers(on, phone)) == 3)
    on.writes_in(phone, "Thank you")
    stop, start, help_text = _answers(on, phone)
    assert "unsubscribed" in stop
    assert "subscribed again" in start
    assert "Reply STOP" in help_text


def test_who_stops_our_marketing_at_meta_gets_no_more_of_it_and_still_gets_their_order(
    on: Platform, phone: str
) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    on.simulator.call("POST", "/control/preferences", {"from": phone, "value": "stop"})
    promo = {"kind": "template", "name": "promo", "language": "en_US", "variables": {"1": "Ann"}}

    def refused() -> Any:
        try:
            return on.send(contact, promo, expect=422)["code"] == "NO_CONSENT"
        except Failed:
            return None

    # Not called marketing by the sender: the template is.
    until("the refusal", refused)
    on.reaches(on.send(contact, TEMPLATE)["messageId"], "read")


def test_marketing_stopped_is_learned_from_a_send_that_fails_with_it(on: Platform) -> None:
    phone = "+12025550192"
    contact = on.contact(phone, "Ann Example", opted_in=False)
    on.operator.call("PUT", f"/api/contacts/{contact}", {"zone": _zone_where_it_is(13)})
    on.opt_in(contact, "whatsapp")  # whoever knows this knows the zone
    promo = {"kind": "template", "name": "promo", "language": "en_US", "variables": {"1": "Ann"}}
    message = on.send_when_known(contact, promo, purpose="marketing")
    on.reaches(message, "failed")
    assert on.operator.get(f"/api/messages/{message}")["errorCode"] == "opted_out"

    def refused() -> Any:
        try:
            return on.send(contact, promo, purpose="marketing", expect=422)["code"] == "NO_CONSENT"
        except Failed:
            return None

    until("the refusal", refused)


def test_marketing_waits_for_the_morning(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example", opted_in=False)
    on.operator.call("PUT", f"/api/contacts/{contact}", {"zone": _zone_where_it_is(2)})
    on.opt_in(contact, "whatsapp")  # whoever knows this knows the zone
    promo = {"kind": "template", "name": "promo", "language": "en_US", "variables": {"1": "Ann"}}
    message = on.send_when_known(contact, promo, purpose="marketing")
    on.reaches(message, "deferred")
    steps = on.operator.get(f"/api/messages/{message}/timeline")["steps"]
    assert steps[-1]["code"] == "quiet_hours"
    assert steps[-1]["notBefore"]
    assert not on.accepted(message_id=message)


def _zone_where_it_is(hour: int) -> str:
    """``Etc/GMT-3`` is three hours ahead."""
    ahead = (hour - time.gmtime().tm_hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}"
