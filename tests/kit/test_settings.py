"""Settings come from the environment, validated; the error names an invalid one."""

from __future__ import annotations

import json

import pytest

from libs.common.settings import Settings, SettingsGroup, read, unknown
from libs.messaging.settings import Identity, MessagingSettings

SENDERS = {
    "pager": {
        "identities": [
            {"id": "+12025550100", "kind": "LOUD", "perSecond": 5, "parameters": {"tone": "3"}},
            {"id": "b"},
        ],
        "parameters": {"tone": "2", "set": "events"},
    }
}


def test_senders_are_one_setting_in_json_and_an_identitys_parameters_win() -> None:
    found = read({"WECARE_SENDERS": json.dumps(SENDERS)}).of(MessagingSettings).senders_of("pager")
    assert [identity.id for identity in found.identities] == ["+12025550100", "b"]
    assert found.identity("+12025550100").per_second == 5
    assert found.parameters_of("+12025550100") == {"tone": "3", "set": "events"}
    assert found.parameters_of("b") == {"tone": "2", "set": "events"}


def test_a_channel_or_sender_that_is_not_set_has_nothing_of_its_own() -> None:
    found = Settings().of(MessagingSettings).senders_of("pager")
    assert (found.identities, found.identity("x"), found.parameters_of("x")) == ((), Identity(id="x"), {})


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ("{", "WECARE_SENDERS: "),
        ("[]", "WECARE_SENDERS: "),
        ('{"pager": {"identities": [{"kind": "LOUD"}]}}', "WECARE_SENDERS: pager.identities.0.id"),
        ('{"pager": {"identities": [{"id": "a", "perSecond": 0}]}}', "WECARE_SENDERS: pager.identities.0.perSecond"),
        ('{"pager": {"identity": "a"}}', "WECARE_SENDERS: pager.identity"),
    ],
)
def test_a_wrong_setting_is_named(value: str, reported: str) -> None:
    with pytest.raises(SystemExit) as refused:
        read({"WECARE_SENDERS": value})
    assert reported in str(refused.value)


def test_a_number_that_no_portfolio_names_shares_the_default() -> None:
    reported = {"shop": {"limit": 2000, "numbers": ["a", "b"]}, "bank": {"limit": 250, "numbers": ["c"]}}
    found = read({"WECARE_WHATSAPP_PORTFOLIOS": json.dumps(reported), "WECARE_WHATSAPP_DAILY_RECIPIENTS": "7"}).of(
        MessagingSettings
    )
    assert [found.whatsapp_portfolio_of(number) for number in ("a", "b", "c", "d", None)] == [
        "shop", "shop", "bank", "default", "default",
    ]  # fmt: skip
    assert found.whatsapp_limits == {"default": 7, "shop": 2000, "bank": 250}


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ("{", "not JSON"),
        ('{"a": {"limit": 0, "numbers": ["1"]}}', "a.limit Input should be greater than 0"),
        ('{"a": {"limit": -1, "numbers": ["1"]}}', "a.limit"),
        ('{"a": {"numbers": ["1"]}}', "a.limit"),
        ('{"a": {"limit": 9, "numbers": []}}', "a.numbers"),
        ('{"a": {"limit": 9, "numbers": [""]}}', "a.numbers.0"),
        ('{"a": {"limit": 9, "numbers": ["1"]}, "b": {"limit": 9, "numbers": ["2", "1"]}}', "1 is in a and in b"),
        ('{"default": {"limit": 9, "numbers": ["1"]}}', "default is what numbers share that no portfolio names"),
        ('{"a#b": {"limit": 9, "numbers": ["1"]}}', "a#b"),
    ],
)
def test_a_wrong_portfolio_is_named(value: str, reported: str) -> None:
    with pytest.raises(SystemExit) as refused:
        read({"WECARE_WHATSAPP_PORTFOLIOS": value})
    assert "WECARE_WHATSAPP_PORTFOLIOS: " in str(refused.value)
    assert reported in str(refused.value)


NUMBERS = [{"id": "a", "perSecond": 5}, {"id": "c", "kind": "META"}]


def test_whatsapps_senders_are_set_like_everybodys_or_in_short() -> None:
    reported = {
        "WECARE_SENDERS": json.dumps({"whatsapp": {"identities": NUMBERS}}),
        "WECARE_WHATSAPP_PHONE_NUMBER_IDS": "b,a",
        "WECARE_META_NUMBERS": "d",
    }
    found = read(reported).of(MessagingSettings)
    assert found.may_send("whatsapp") == ["b", "a", "c", "d"]
    assert found.senders_of("whatsapp").identity("a").per_second == 5
    assert [found.is_at_meta(number) for number in ("a", "b", "c", "d")] == [False, False, True, True]


def test_a_variable_that_nobody_declares_is_told_with_the_most_similar_one() -> None:
    found = read({"WECARE_POL_SECONDS": "2", "WECARE_META_NUMBER": "1", "WECARE_TOKEN": "t", "AWS_REGION": "x"})
    assert unknown(found) == {
        "WECARE_META_NUMBER": "WECARE_META_NUMBERS",
        "WECARE_POL_SECONDS": "WECARE_POLL_SECONDS",
    }


def test_no_two_groups_declare_the_same_variable() -> None:
    with pytest.raises(TypeError, match="poll_seconds"):

        class Twice(SettingsGroup):
            poll_seconds: float = 1.0


def test_settings_that_are_changed_are_read_anew() -> None:
    before = Settings(marketing_daily_cap=3)
    assert before.of(MessagingSettings).marketing_daily_cap == 3
    assert before.model_copy(update={"marketing_daily_cap": 5}).of(MessagingSettings).marketing_daily_cap == 5
