"""What goes out on real processes is in the figures."""

from __future__ import annotations

from typing import Any

from deploy.smoke.client import until
from deploy.smoke.platform import TEMPLATE, Platform

#: What other tests sent a moment before may still be on its way into the figures.
GROWN = ("queued", "sent", "delivered", "read")


def of_whatsapp(on: Platform) -> dict[str, int]:
    items: list[dict[str, Any]] = on.viewer.get("/api/insights/delivery", channel="whatsapp", by="day")["items"]
    return {name: sum(item[name] for item in items) for name in GROWN}


def test_a_message_that_goes_out_is_in_the_figures_within_seconds(on: Platform, phone: str) -> None:
    before = of_whatsapp(on)
    message = on.send_when_known(on.contact(phone, "Ann Example"), TEMPLATE)
    on.reaches(message, "read")
    until("the figures to tell of it", lambda: all(of_whatsapp(on)[name] > before[name] for name in GROWN))
    reported = on.viewer.get("/api/insights/overview")
    (whatsapp,) = [each for each in reported["channels"] if each["channel"] == "whatsapp"]
    assert whatsapp["today"]["tried"] >= 1
