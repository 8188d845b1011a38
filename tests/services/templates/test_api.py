"""Templates as people write them: versions, publishing, submitting, previews, and mistakes that are named."""

from __future__ import annotations

from typing import Any

import pytest

from libs.messaging.events.templates import TemplateChanged
from libs.messaging.templates import TemplateStatus
from tests.services.templates.conftest import Registry

SMS = {"channel": "sms", "name": "reminder", "body": "Hi {{name}}, see you at {{time}}."}
EMAIL = {
    "channel": "email",
    "name": "invoice",
    "subject": "Invoice {{number}}",
    "body": "Dear {{name}}",
    "html": '<p>Dear {{name}}</p><a href="{{link}}" title="{{name}}">Pay</a>',
}
META = {
    "channel": "whatsapp",
    "name": "appointment",
    "body": "Hi {{1}}, see you at {{2}} then.",
    "variables": [{"name": "1", "example": "Ann"}, {"name": "2", "example": "9:00"}],
}


async def test_nothing_is_said_of_a_draft_and_all_of_what_is_published(registry: Registry) -> None:
    made = await registry.asked("POST", "", SMS, expect=201)
    assert (made["status"], made["latest"]) == ("draft", 1)
    assert not registry.world.said(TemplateChanged)
    await registry.asked("POST", "/sms:reminder:en_US/publish", {})
    state = registry.state("reminder", "sms")
    assert (state.status, state.number, state.variables) == (TemplateStatus.APPROVED, 1, ("name", "time"))
    assert state.body == SMS["body"]


async def test_a_published_version_never_changes_and_a_new_one_is_sent_once_it_is_published(registry: Registry) -> None:
    await registry.asked("POST", "", SMS, expect=201)
    await registry.asked("POST", "/sms:reminder:en_US/publish", {})
    await registry.asked("POST", "/sms:reminder:en_US/versions", {"body": "Hello {{name}}"}, expect=201)
    assert registry.state("reminder", "sms").number == 1
    await registry.asked("POST", "/sms:reminder:en_US/publish", {"number": 2})
    assert registry.state("reminder", "sms").body == "Hello {{name}}"
    detail = await registry.asked("GET", "/sms:reminder:en_US")
    assert [each["body"] for each in detail["versions"]] == ["Hello {{name}}", SMS["body"]]


async def test_an_archived_template_is_not_sent(registry: Registry) -> None:
    await registry.asked("POST", "", SMS, expect=201)
    await registry.asked("POST", "/sms:reminder:en_US/publish", {})
    await registry.asked("POST", "/sms:reminder:en_US/archive")
    assert registry.state("reminder", "sms").status is TemplateStatus.ARCHIVED


async def test_a_list_by_channel_and_status(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    await registry.asked("POST", "", SMS, expect=201)
    assert [each["name"] for each in (await registry.asked("GET", "?channel=sms"))["items"]] == ["reminder"]
    assert [each["name"] for each in (await registry.asked("GET", "?status=paused"))["items"]] == ["summer_sale"]
    first = await registry.asked("GET", "?limit=4")
    second = await registry.asked("GET", f"?limit=20&cursor={first['cursor']}")
    assert len(first["items"]) + len(second["items"]) == 10


async def test_submitted_once_and_approved_by_the_provider(registry: Registry) -> None:
    await registry.asked("POST", "", META, expect=201)
    asked = await registry.asked("POST", "/whatsapp:appointment:en_US/submit", {}, expect=202)
    assert asked["submitting"] == 1
    assert registry.state("appointment").status is TemplateStatus.PENDING
    assert registry.simulator.core.requests["socialmessaging.CreateWhatsAppMessageTemplate"] == 1
    assert registry.meta("appointment").components[0]["example"] == {"body_text": [["Ann", "9:00"]]}
    registry.meta("appointment").status = "APPROVED"
    await registry.reads_the_list()
    assert registry.state("appointment").status is TemplateStatus.APPROVED
    detail = await registry.asked("GET", "/whatsapp:appointment:en_US")
    assert [each["number"] for each in detail["versions"]] == [1]


async def test_a_submission_whose_answer_is_lost_is_not_made_twice(registry: Registry) -> None:
    registry.simulator.core.faults.add(
        {"fault": "accept_then_reset", "times": 1, "operation": "CreateWhatsAppMessageTemplate"}
    )
    await registry.asked("POST", "", META, expect=201)
    await registry.asked("POST", "/whatsapp:appointment:en_US/submit", {}, expect=202)
    await registry.world.advance(30, step=5)
    assert registry.state("appointment").status is TemplateStatus.PENDING
    assert registry.meta("appointment").status == "PENDING"


async def test_what_the_provider_refuses_is_rejected_in_its_words(registry: Registry) -> None:
    components = [{"type": "BODY", "text": "Hi"}, {"type": "HEADER", "format": "SOUND"}]
    bad = {"channel": "whatsapp", "name": "appointment", "components": components}
    await registry.asked("POST", "", bad, expect=201)
    await registry.asked("POST", "/whatsapp:appointment:en_US/submit", {}, expect=202)
    state = registry.state("appointment")
    assert state.status is TemplateStatus.REJECTED
    assert "HEADER format" in (state.reason or "")
    # The list of the provider does not have it; the reason stays.
    await registry.reads_the_list()
    assert registry.state("appointment").status is TemplateStatus.REJECTED


async def test_a_preview_shows_the_words_and_counts_the_parts(registry: Registry) -> None:
    await registry.asked("POST", "", SMS, expect=201)
    body = {"variables": {"name": "Ana", "time": "9:00"}}
    shown = await registry.asked("POST", "/sms:reminder:en_US/preview", body)
    assert shown["content"]["body"] == "Hi Ana, see you at 9:00."
    assert (shown["sms"]["parts"], shown["sms"]["encoding"]) == (1, "GSM")
    long = await registry.asked("POST", "/sms:reminder:en_US/preview", {"variables": {"name": "😀" * 40, "time": "9"}})
    assert (long["sms"]["parts"], long["sms"]["encoding"]) == (2, "UCS-2")


async def test_a_preview_of_whatsapp_takes_the_examples(registry: Registry) -> None:
    await registry.asked("POST", "", META, expect=201)
    shown = await registry.asked("POST", "/whatsapp:appointment:en_US/preview", {})
    assert shown["content"]["components"][0]["text"] == "Hi Ann, see you at 9:00 then."


async def test_a_preview_names_what_is_missing_and_what_is_too_much(registry: Registry) -> None:
    await registry.asked("POST", "", SMS, expect=201)
    body = {"variables": {"name": "Ana", "place": "here"}}
    refused = await registry.asked("POST", "/sms:reminder:en_US/preview", body, expect=422)
    assert refused["code"] == "VARIABLES_INCOMPLETE"
    assert "Missing: time." in refused["detail"]
    assert "Not part of it: place." in refused["detail"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("<script>alert(1)</script>", "<p>Dear &lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ('" onmouseover="alert(1)', "<p>Dear &quot; onmouseover=&quot;alert(1)</p>"),
        ("{{number}} {{name}}", "<p>Dear {{number}} {{name}}</p>"),
    ],
)
async def test_values_are_text_and_never_markup_or_templates(registry: Registry, value: str, shown: str) -> None:
    await registry.asked("POST", "", EMAIL, expect=201)
    values = {"name": value, "number": "7\r\nBcc: x@example.com", "link": "https://example.com/?a=1&b=2"}
    made = await registry.asked("POST", "/email:invoice:en_US/preview", {"variables": values})
    content = made["content"]
    assert content["html"].startswith(shown)
    assert 'href="https://example.com/?a=1&amp;b=2"' in content["html"]
    assert content["subject"] == "Invoice 7 Bcc: x@example.com"
    assert content["text"] == f"Dear {value}"


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "//example.com", ""]
)
async def test_a_value_cannot_turn_a_link_into_a_script(registry: Registry, link: str) -> None:
    await registry.asked("POST", "", EMAIL, expect=201)
    values = {"name": "Ana", "number": "7", "link": link}
    refused = await registry.asked("POST", "/email:invoice:en_US/preview", {"variables": values}, expect=422)
    assert "link" in refused["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**SMS, "body": "Hi {{Name}}"}, "body"),
        ({**SMS, "body": "Hi {{1}} and {{name}}"}, "variables"),
        ({**SMS, "body": "Hi {{2}}"}, "variables"),
        ({**SMS, "body": "x" * 1531}, "body"),
        ({**SMS, "html": "<p>"}, "html"),
        ({**SMS, "components": [{"type": "BODY", "text": "Hi"}]}, "components"),
        ({**SMS, "variables": [{"name": "other"}]}, "variables.other"),
        ({**SMS, "name": "Not A Name"}, "name"),
        ({**EMAIL, "subject": None}, "subject"),
        ({**EMAIL, "html": "<script>var a = '{{name}}'</script>", "body": "{{name}}"}, "html"),
        ({**EMAIL, "html": "<a onclick='go({{name}})'>x</a>"}, "html"),
        ({**EMAIL, "html": "<a title={{name}}>x</a>"}, "html"),
        ({**EMAIL, "html": "<{{name}}>"}, "html"),
        ({**META, "variables": []}, "variables.1"),
        ({**META, "body": "{{1}} at {{2}} then."}, "components.body"),
        ({**META, "body": "x" * 1025, "variables": []}, "components.body"),
        ({**META, "components": [{"type": "FOOTER", "text": "x"}], "variables": []}, "components"),
    ],
)
async def test_a_mistake_is_named_by_its_field_before_anybody_is_asked(
    registry: Registry, body: dict[str, Any], field: str
) -> None:
    refused = await registry.asked("POST", "", body, expect=422)
    assert field in [error["field"] for error in refused["errors"]]
    assert not registry.world.aws.calls


async def test_one_name_and_language_is_one_template(registry: Registry) -> None:
    await registry.asked("POST", "", SMS, expect=201)
    refused = await registry.asked("POST", "", SMS, expect=409)
    assert (refused["code"], refused["templateId"]) == ("TEMPLATE_EXISTS", "sms:reminder:en_US")
    await registry.asked("POST", "", {**SMS, "language": "es"}, expect=201)


async def test_whatsapp_is_submitted_and_the_rest_is_published(registry: Registry) -> None:
    await registry.asked("POST", "", SMS, expect=201)
    await registry.asked("POST", "", META, expect=201)
    refused = await registry.asked("POST", "/whatsapp:appointment:en_US/publish", {}, expect=409)
    assert refused["code"] == "SUBMIT_INSTEAD"
    refused = await registry.asked("POST", "/sms:reminder:en_US/submit", {}, expect=409)
    assert refused["code"] == "PUBLISH_INSTEAD"
    await registry.asked("POST", "/sms:reminder:en_US/publish", {"number": 9}, expect=404)
    await registry.asked("GET", "/sms:nothing:en_US", expect=404)
