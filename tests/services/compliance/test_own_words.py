"""An organisation's own words for STOP, START and HELP: more of them by settings, on every channel, and none of ours less."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.handle.runtime import aws_runtime
from libs.common.settings import read
from libs.common.testing.world import World
from libs.messaging.channels import Channel
from libs.messaging.content import Choosing, Content, Email, Text
from libs.messaging.events.contacts import HelpAsked, OptedBackIn, PermissionChanged
from libs.messaging.events.inbound import MessageReceived
from services.contacts.service import service as contacts

WORDS = {"WECARE_OPT_OUT_WORDS": " leave me, Bästa ,,", "WECARE_OPT_IN_WORDS": "hola", "WECARE_HELP_WORDS": "ayuda"}
TWO_WAY = (Channel.WHATSAPP, Channel.SMS, Channel.RCS, Channel.EMAIL)


class Town:
    """Somebody who writes to us; settings as a process reads them."""

    def __init__(self, **words: str) -> None:
        self.world = World([contacts], settings=read({"WECARE_STAGE": "test", **(words or WORDS)}))
        self._n = 0

    async def writes(self, said: str | Content, channel: Channel = Channel.WHATSAPP) -> None:
        self._n += 1
        self.world.clock.advance(1)
        mail = channel is Channel.EMAIL
        content: Any = said
        if isinstance(said, str):
            content = Email(subject="Re: news", text=f"{said}\n\n> STOP") if mail else Text(body=said)
        received = MessageReceived(
            message_id=f"in-{self._n}",
            channel=channel,
            provider_message_id=f"provider-{self._n}",
            sender="ana@example.com" if mail else "+12025550143",
            to="us@example.com" if mail else "+12025550100",
            content=content,
            received_at=self.world.clock.now(),
        )
        await self.world.hear(received, key=f"in-{self._n}")

    def out(self, channel: Channel = Channel.WHATSAPP) -> bool:
        said = [each.standing for each in self.world.said(PermissionChanged) if each.channel is channel]
        return max(said, key=lambda each: each.revision).opted_out_at is not None


@pytest.mark.parametrize("channel", TWO_WAY)
@pytest.mark.parametrize("words", ["Leave  ME!", "basta", "BÄSTA 🛑", "STOP", "退订"])
async def test_a_word_of_ours_or_theirs_opts_out_on_every_channel(channel: Channel, words: str) -> None:
    town = Town()
    await town.writes(words, channel)
    assert town.out(channel)


@pytest.mark.parametrize("words", ["please leave me", "basta ya", "la hola"])
async def test_inside_a_sentence_it_is_none(words: str) -> None:
    town = Town()
    await town.writes(words)
    assert not town.out()


async def test_a_button_that_says_it_counts_too() -> None:
    town = Town()
    await town.writes(Choosing(id="1", title="Leave me"))
    assert town.out()


@pytest.mark.parametrize("channel", TWO_WAY)
async def test_so_do_the_words_for_coming_back_and_for_help(channel: Channel) -> None:
    town = Town()
    await town.writes("basta", channel)
    await town.writes("¡Hola!", channel)
    assert not town.out(channel)
    assert len(town.world.said(OptedBackIn)) == 1
    await town.writes("Ayuda", channel)
    # A mail about help is a question to people.
    assert len(town.world.said(HelpAsked)) == (channel is not Channel.EMAIL)


async def test_without_the_setting_they_are_words_like_any_other() -> None:
    town = Town(WECARE_OPT_OUT_WORDS="fuera")
    await town.writes("basta")
    assert not town.out()


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        ({"WECARE_OPT_IN_WORDS": "Stop!"}, "WECARE_OPT_IN_WORDS: 'Stop!' is a word of OPT_OUT already"),
        ({"WECARE_HELP_WORDS": "alto"}, "WECARE_HELP_WORDS: 'alto' is a word of OPT_OUT already"),
        ({"WECARE_OPT_OUT_WORDS": "fuera,YES"}, "WECARE_OPT_OUT_WORDS: 'YES' is a word of OPT_IN already"),
        (
            {"WECARE_OPT_OUT_WORDS": "fuera", "WECARE_HELP_WORDS": "ayuda, FUERA"},
            "WECARE_HELP_WORDS: 'FUERA' is a word of OPT_OUT already",
        ),
        ({"WECARE_OPT_OUT_WORDS": "🛑"}, "WECARE_OPT_OUT_WORDS: '🛑' has no letter or digit"),
    ],
)
async def test_a_word_for_two_wishes_keeps_a_process_from_starting(words: dict[str, str], reported: str) -> None:
    with pytest.raises(SystemExit, match=reported):
        async with aws_runtime(read(words), [contacts]):
            raise AssertionError("it started")


def test_a_word_given_again_for_what_it_means_anyway_is_no_mistake() -> None:
    Town(WECARE_OPT_OUT_WORDS="stop,STOP,Cancel", WECARE_OPT_IN_WORDS="start")
