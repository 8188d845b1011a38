"""Templates on a whole platform: what Meta has, what becomes of it there, and what people write here."""

from __future__ import annotations

from typing import Any

from deploy.smoke.client import Failed, until
from deploy.smoke.platform import TEMPLATE, Platform


def _template(on: Platform, template_id: str) -> Any:
    try:
        return on.operator.get(f"/api/templates/{template_id}")
    except Failed:
        return None


def _becomes(on: Platform, template_id: str, status: str) -> Any:
    def look() -> Any:
        found = _template(on, template_id)
        return found if found and found["status"] == status else None

    return until(f"{template_id} to be {status}", look)


def _refused(on: Platform, contact: str, content: dict[str, Any], code: str, **more: Any) -> Any:
    """Wait for the refusal; until the news is there it may be accepted."""

    def look() -> Any:
        try:
            reported = on.send(contact, content, expect=422, **more)
        except Failed:
            return None
        return reported if reported["code"] == code else None

    return until(f"the refusal {code}", look)


def test_the_providers_templates_are_known_soon_after_the_start(on: Platform) -> None:
    found = _becomes(on, "whatsapp:order_update:en_US", "approved")
    assert found["versions"][0]["components"][0]["text"] == "Hi {{1}}, your order {{2}} is on its way."
    assert _becomes(on, "whatsapp:summer_sale:en_US", "paused")


def test_a_pause_at_meta_stops_the_template_with_its_reason_and_the_end_of_it_lets_it_go(
    on: Platform, phone: str
) -> None:
    contact = on.contact(phone, "Ann Example")
    content = {**TEMPLATE, "name": "order_shipped_v1"}
    on.reaches(on.send_when_known(contact, content), "read")
    path = "/control/templates/order_shipped_v1/status"
    on.simulator.call("POST", path, {"status": "PAUSED"})
    _becomes(on, "whatsapp:order_shipped_v1:en_US", "paused")
    refused = _refused(on, contact, content, "TEMPLATE_REJECTED")
    assert "paused" in refused["detail"]
    on.simulator.call("POST", path, {"status": "REINSTATED"})
    _becomes(on, "whatsapp:order_shipped_v1:en_US", "approved")

    def again() -> str | None:
        try:
            return str(on.send(contact, content)["messageId"])
        except Failed:
            return None

    on.reaches(until("the template to be back", again), "read")


def test_written_here_approved_there_and_sent(on: Platform, phone: str) -> None:
    body = {
        "channel": "whatsapp",
        "name": f"appointment_{phone[-7:]}",
        "body": "Hi {{name}}, see you at {{time}} tomorrow.",
        "variables": [{"name": "name", "example": "Ann"}, {"name": "time", "example": "9:00"}],
    }
    made = on.operator.call("POST", "/api/templates", body, expect=201)
    on.operator.call("POST", f"/api/templates/{made['templateId']}/submit", {}, expect=202)
    _becomes(on, made["templateId"], "approved")
    contact = on.contact(phone, "Ann Example")
    values = {"name": "Ann", "time": "9:30"}
    content = {"kind": "template", "name": body["name"], "language": "en_US", "variables": values}
    message = on.send_when_known(contact, content)
    on.reaches(message, "read")
    missing = {**content, "variables": {"name": "Ann", "place": "here"}}
    refused = _refused(on, contact, missing, "VARIABLES_INCOMPLETE")
    assert "Missing: time." in refused["detail"]
    assert "Not part of it: place." in refused["detail"]


def test_what_nobody_has_is_refused_once_the_list_was_read(on: Platform, phone: str) -> None:
    contact = on.contact(phone, "Ann Example")
    on.reaches(on.send_when_known(contact, TEMPLATE), "read")
    missing = {"kind": "template", "name": "no_such_template", "language": "en_US", "variables": {}}
    refused = _refused(on, contact, missing, "TEMPLATE_MISSING")
    assert refused["do"]
