"""Settings come from the environment, validated; the error names an invalid one."""

from __future__ import annotations

import json

import pytest

from libs.common.settings import Identity, Settings, read

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
    found = read({"WECARE_SENDERS": json.dumps(SENDERS)}).senders_of("pager")
    assert [identity.id for identity in found.identities] == ["+12025550100", "b"]
    assert found.identity("+12025550100").per_second == 5
    assert found.parameters_of("+12025550100") == {"tone": "3", "set": "events"}
    assert found.parameters_of("b") == {"tone": "2", "set": "events"}


def test_a_channel_or_sender_that_is_not_set_has_nothing_of_its_own() -> None:
    found = Settings().senders_of("pager")
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
    found = read({"WECARE_WHATSAPP_PORTFOLIOS": json.dumps(reported), "WECARE_WHATSAPP_DAILY_RECIPIENTS": "7"})
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
