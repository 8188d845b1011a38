"""Settings come from the environment, whole and checked, and a wrong one is named."""

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
    ("value", "told"),
    [
        ("{", "WECARE_SENDERS: "),
        ("[]", "WECARE_SENDERS: "),
        ('{"pager": {"identities": [{"kind": "LOUD"}]}}', "WECARE_SENDERS: pager.identities.0.id"),
        ('{"pager": {"identities": [{"id": "a", "perSecond": 0}]}}', "WECARE_SENDERS: pager.identities.0.perSecond"),
        ('{"pager": {"identity": "a"}}', "WECARE_SENDERS: pager.identity"),
    ],
)
def test_a_wrong_setting_is_named(value: str, told: str) -> None:
    with pytest.raises(SystemExit) as refused:
        read({"WECARE_SENDERS": value})
    assert told in str(refused.value)
