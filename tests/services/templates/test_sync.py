"""What the provider has, we know, and what becomes of it there becomes of it here."""

from __future__ import annotations

from libs.messaging.events.templates import TemplateChanged
from libs.messaging.templates import TemplateStatus
from libs.simulator import demo
from tests.services.templates.conftest import Registry


async def test_the_first_reading_says_every_template_as_it_stands(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    update = registry.state(demo.TEMPLATE_ORDER_UPDATE)
    assert (update.status, update.variables, update.category) == (TemplateStatus.APPROVED, ("1", "2"), "UTILITY")
    assert registry.state(demo.TEMPLATE_PAUSED).status is TemplateStatus.PAUSED
    assert registry.state(demo.TEMPLATE_WELCOME).variables == ("first_name",)
    offer = registry.state("spring_offer_v2")
    assert (offer.header, offer.buttons) == ("IMAGE", (0, 2))


async def test_the_list_is_said_to_be_complete_only_once_it_had_no_news(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    assert not registry.lists()
    await registry.reads_the_list()
    assert len(registry.lists()) == 1
    assert len(registry.world.said(TemplateChanged)) == 9


async def test_nothing_is_asked_of_the_provider_before_it_is_due(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    await registry.reads_the_list()
    before = registry.world.aws.calls.total()
    registry.world.clock.advance(200)
    await registry.world.tick("templates", "sync")
    assert registry.world.aws.calls.total() == before


async def test_a_notice_of_a_pause_counts_at_once_with_its_reason(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    title = {"title": "FIRST_PAUSE", "description": "Template paused for 3 hours because of low quality"}
    await registry.notice("template_status", demo.TEMPLATE_PROMO, event="PAUSED", reason="NONE", other_info=title)
    state = registry.state(demo.TEMPLATE_PROMO)
    assert state.status is TemplateStatus.PAUSED
    assert state.reason == "FIRST_PAUSE; Template paused for 3 hours because of low quality"


async def test_a_notice_that_came_too_late_is_corrected_by_the_list(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    await registry.notice("template_status", demo.TEMPLATE_PROMO, event="PAUSED", reason="NONE")
    await registry.reads_the_list()
    assert registry.state(demo.TEMPLATE_PROMO).status is TemplateStatus.APPROVED


async def test_a_template_that_meta_moves_to_marketing_is_marketing(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    await registry.notice(
        "template_category", demo.TEMPLATE_ORDER_UPDATE, previous_category="UTILITY", new_category="MARKETING"
    )
    assert registry.state(demo.TEMPLATE_ORDER_UPDATE).category == "MARKETING"


async def test_a_word_that_meta_invents_tomorrow_changes_nothing(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    await registry.notice("template_status", demo.TEMPLATE_PROMO, event="LOOKED_AT", reason=7)
    await registry.notice("template_status", "never_heard_of", event="APPROVED")
    assert registry.state(demo.TEMPLATE_PROMO).status is TemplateStatus.APPROVED
    assert not registry.world.letters()


async def test_what_is_deleted_there_is_gone_here(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    waba = next(iter(registry.simulator.whatsapp.account.wabas.values()))
    del waba.templates[demo.TEMPLATE_PROMO, "en_US"]
    await registry.reads_the_list()
    assert registry.state(demo.TEMPLATE_PROMO).status is TemplateStatus.DELETED


async def test_what_is_edited_there_is_a_new_version_here(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    template = registry.meta("plain_notice")
    template.components = [{"type": "BODY", "text": "Our store opens at {{1}} tomorrow."}]
    template.status = "PENDING"
    await registry.reads_the_list()
    assert registry.state("plain_notice").status is TemplateStatus.PENDING
    assert registry.state("plain_notice").variables == ("1",)
    detail = await registry.asked("GET", "/whatsapp:plain_notice:en_US")
    assert [version["number"] for version in detail["versions"]] == [2, 1]


async def test_a_provider_that_does_not_answer_leaves_everything_as_it_was(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    said = len(registry.world.said(TemplateChanged))
    registry.simulator.core.faults.add({"fault": "error_500", "times": 20, "operation": "ListWhatsAppMessageTemplates"})
    await registry.reads_the_list()
    assert len(registry.world.said(TemplateChanged)) == said
    assert not registry.lists()
    registry.simulator.core.faults.remove(None)
    await registry.reads_the_list()
    assert len(registry.lists()) == 1


async def test_everything_is_said_again_when_somebody_asks(registry: Registry) -> None:
    await registry.world.tick("templates", "sync")
    await registry.reads_the_list()
    await registry.asked("POST", "/sync", expect=202)
    before = len(registry.world.said(TemplateChanged))
    registry.world.clock.advance(1)
    await registry.world.tick("templates", "sync")
    assert len(registry.world.said(TemplateChanged)) == before + 9
