"""A change takes effect where it counts, without a restart: set over HTTP, heard by who uses it, seen in what they do next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from libs.common.declare.service import Service
from libs.common.settings import Settings
from libs.common.stable_hash import shard_for
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Template, Text
from libs.messaging.events.contacts import HelpAsked, PermissionChanged
from libs.messaging.events.inbound import MessageReceived
from libs.messaging.events.messages import MessageQueued
from libs.messaging.events.outbound import BudgetCounted
from libs.messaging.events.settings import SettingChanged, SettingTold
from libs.messaging.setting_copy import SettingsCopy
from libs.messaging.vocabulary import MessageClass, Purpose, Status
from services.contacts.service import service as contacts
from services.messages.service import service as messages
from services.outbound.limits.portfolios import Portfolios
from services.outbound.sending.channel_service import channel_service
from services.settings.service import service as settings
from tests.services.outbound.kit import LIMITS, NAME, SENDER, Fake, NoAws, message, permission, row


class Platform:
    """The settings, one of WhatsApp's senders with its budget, and ``others``."""

    def __init__(self, *others: Service, **environment: Any) -> None:
        self.fake = Fake()
        self.portfolios = Portfolios(Channel.WHATSAPP)
        outbound = channel_service(
            self.fake, LIMITS, needs=[], senders=lambda settings: [SENDER], portfolios=self.portfolios
        )
        self.world = World(
            [settings, *others, outbound],
            settings=Settings(stage="test", send_mode="LIVE", **environment),
            aws=NoAws(),  # type: ignore[arg-type]
        )
        self.admin = self.world.http("ADMIN")
        self._n = 0

    async def set(self, key: str, value: Any) -> None:
        """By HTTP, over whatever stands there; None: back to the default."""
        path = f"/api/settings/{key}"
        version = (await self.admin.get(path)).json()["version"]
        if value is None:
            answer = await self.admin.post(f"{path}/reset", json={"version": version})
        else:
            answer = await self.admin.put(path, json={"value": value, "version": version})
        assert answer.status_code == httpx.codes.OK, answer.text
        await self.world.settle()

    async def writes(self, text: str) -> None:
        self._n += 1
        await self.world.hear(
            MessageReceived(
                message_id=f"in-{self._n}",
                channel=Channel.WHATSAPP,
                provider_message_id=f"provider-{self._n}",
                sender="+12025550143",
                to="+12025550100",
                content=Text(body=text),
                received_at=self.world.clock.now(),
            ),
            key=f"in-{self._n}",
        )
        await self.world.advance(10, step=2)

    def out(self) -> bool:
        said = [each.standing for each in self.world.said(PermissionChanged)]
        return max(said, key=lambda each: each.revision).opted_out_at is not None

    def answers(self) -> list[str]:
        said = [each for each in self.world.said(MessageQueued) if each.purpose is Purpose.COMPLIANCE]
        return [each.content.body for each in said if isinstance(each.content, Text)]

    async def person(self, n: int) -> None:
        reported = {"contact_id": f"c{n}", "address": f"+1202555{n:04}", "last_inbound_at": None}
        await self.world.hear(permission(self.world.clock.now(), **reported))

    async def goes(self, key: str, n: int, **more: Any) -> bool:
        """Whether a message to a person is sent now."""
        content = Template(name="order_update", variables={"1": "a"})
        facts = {"contact_id": f"c{n}", "content": content, **more}
        await self.world.hear(message(self.world.clock.now(), key, MessageClass.TRANSACTIONAL, **facts))
        return (await row(self.world, key)).status is Status.SENT


async def test_a_word_of_ones_own_opts_out_from_the_moment_it_is_set() -> None:
    on = Platform(contacts, messages)
    await on.writes("basta")
    assert not on.out()
    await on.set("opt-out-words", ["Bästa"])
    await on.writes("basta")
    assert on.out()


async def test_and_is_a_word_like_any_other_when_it_is_taken_back() -> None:
    on = Platform(contacts, messages, opt_out_words=("fuera",))
    await on.set("opt-out-words", ["basta"])
    await on.writes("fuera")
    assert not on.out()
    await on.set("opt-out-words", None)
    await on.writes("basta")
    assert not on.out()
    await on.writes("fuera")
    assert on.out()


async def test_no_setting_takes_stop_away() -> None:
    on = Platform(contacts, messages)
    await on.set("opt-out-words", [])
    await on.writes("STOP")
    assert on.out()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_while_a_word_changes_its_meaning_opting_out_wins_in_whatever_order_it_is_heard(
    order: tuple[int, int],
) -> None:
    on = Platform(contacts, messages)
    now = on.world.clock.now()
    news = [
        SettingChanged(key="help-words", revision=1, value=["basta"], by="user:a", at=now),
        SettingChanged(key="opt-out-words", revision=1, value=["basta"], by="user:a", at=now),
    ]
    await on.world.hear(*(news[n] for n in order))
    await on.writes("basta")
    assert on.out()
    assert not on.world.said(HelpAsked)


async def test_the_answers_carry_the_name_that_was_set() -> None:
    on = Platform(contacts, messages, business_name="Old Store")
    await on.writes("help")
    await on.set("business-name", "New Store")
    await on.set("help-contact", "Write to help@example.com.")
    on.world.clock.advance(600)
    await on.writes("help")
    assert [each.partition(":")[0] for each in on.answers()] == ["Old Store", "New Store"]
    assert "help@example.com" in on.answers()[1]


async def test_the_budget_of_a_day_grows_and_shrinks_while_messages_go_out() -> None:
    on = Platform(whatsapp_daily_recipients=2)
    for n in range(9):
        await on.person(n)
    assert [await on.goes(f"a{n}", n) for n in range(3)] == [True, True, False]
    await on.set("whatsapp-daily-recipients", 4)
    assert [await on.goes(f"b{n}", n) for n in range(3, 6)] == [True, True, False]
    await on.set("whatsapp-daily-recipients", 3)
    assert not await on.goes("c6", 6)
    await on.set("whatsapp-daily-recipients", 0)
    assert await on.goes("d7", 7)
    await on.set("whatsapp-daily-recipients", None)
    assert not await on.goes("e8", 8)


async def test_a_limit_so_low_that_it_needs_fewer_shards_still_counts_what_the_others_hold() -> None:
    on = Platform(whatsapp_daily_recipients=100_000)
    # People who are counted in other shards than the one that a low limit has.
    there = [n for n in range(60) if shard_for(f"c{n}", 8) != 0][:21]
    for n in there:
        await on.person(n)
    assert all([await on.goes(f"a{n}", n) for n in there[:20]])
    await on.set("whatsapp-daily-recipients", 20)
    assert not await on.goes("b", there[20])
    await on.world.tick(NAME, "budget")
    reported = on.world.said(BudgetCounted)[-1]
    assert (reported.limit, reported.left_for_bulk) == (20, 0)


async def test_marketing_waits_by_the_hours_and_the_cap_that_were_set() -> None:
    on = Platform(whatsapp_daily_recipients=0)
    await on.person(1)
    marketing = {"purpose": Purpose.MARKETING}
    ctx_now = on.world.clock.now()
    assert ctx_now == datetime(2026, 1, 15, 12, tzinfo=UTC)  # 7:00 in Washington
    assert not await on.goes("early", 1, **marketing)
    await on.set("marketing-hours", "06:00-21:00")
    assert await on.goes("a", 1, **marketing)
    await on.set("marketing-daily-cap", 2)
    assert await on.goes("b", 1, **marketing)
    assert not await on.goes("c", 1, **marketing)
    assert (await row(on.world, "c")).error_code == "frequency_capped"


async def test_the_newest_wins_however_late_the_older_comes() -> None:
    on = Platform(contacts)
    now = on.world.clock.now()
    for revision, value in ((2, ["basta"]), (1, ["fuera"])):
        await on.world.hear(SettingChanged(key="opt-out-words", revision=revision, value=value, by="user:a", at=now))
    copy = await on.world.row("contacts", SettingsCopy, "all")
    assert copy is not None
    assert (copy.values, copy.revisions) == ({"opt-out-words": ["basta"]}, {"opt-out-words": 2})


async def test_who_began_to_listen_later_hears_it_when_it_is_told_again() -> None:
    on = Platform(contacts)
    await on.set("opt-out-words", ["basta"])
    late = World([contacts], settings=Settings(stage="test"))
    await on.world.tick("settings", "tell")
    async with late:
        await late.hear(*on.world.said(SettingTold))
        copy = await late.row("contacts", SettingsCopy, "all")
    assert copy is not None
    assert copy.values == {"opt-out-words": ["basta"]}


@pytest.mark.parametrize(
    ("key", "value"), [("opt-out-words", 7), ("marketing-hours", "21:00-08:00"), ("of-a-newer-build", True)]
)
async def test_what_this_build_cannot_use_leaves_the_environments_value(key: str, value: Any) -> None:
    on = Platform(contacts, opt_out_words=("fuera",))
    now = on.world.clock.now()
    await on.world.hear(SettingChanged(key=key, revision=1, value=value, by="user:a", at=now))
    await on.writes("fuera")
    assert on.out()
    assert not on.world.letters()
