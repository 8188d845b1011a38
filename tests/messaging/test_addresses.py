"""Kinds of address: what is one, how it is written, and which spellings are the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.messaging.addresses import EMAIL_ADDRESS, PHONE, provider_id
from libs.messaging.channels import BUSINESS_SCOPED_ID, Channel
from services.bulk.audience.columns import address_column
from services.bulk.model import Columns

PAGER = provider_id(r"pg-[0-9]{4}", "pg-0001")
#: E.164, and yet too short for its country by libphonenumber's tables.
IMPOSSIBLE = "+1202555012"


@pytest.mark.parametrize(
    ("channel", "address", "valid"),
    [
        (Channel.SMS, "+12025550123", True),
        (Channel.SMS, "12025550123", False),
        (Channel.SMS, "72975", False),
        (Channel.SMS, "US.1A2B3C", False),
        (Channel.WHATSAPP, "+12025550123", True),
        (Channel.WHATSAPP, "US.1A2B3C", True),
        (Channel.WHATSAPP, "US.ENT.1A2B3C", True),
        (Channel.WHATSAPP, "us.1A2B3C", False),
        (Channel.EMAIL, "Ana@example.com", True),
        (Channel.EMAIL, "ana@example", False),
        (Channel.EMAIL, f"{'a' * 60}@{'b' * 300}.com", False),
        (Channel.EMAIL, "+12025550123", False),
        (Channel.VOICE, None, False),
        (Channel.RCS, "", False),
    ],
)
def test_a_channel_writes_to_its_own_kinds(channel: Channel, address: str | None, valid: bool) -> None:
    assert channel.traits.valid(address) is valid


@pytest.mark.parametrize(
    ("channel", "written", "kept"),
    [
        (Channel.SMS, " (202) 555-0123 ", "+12025550123"),
        (Channel.WHATSAPP, "+1 202 555 0123", "+12025550123"),
        (Channel.WHATSAPP, " US.1A2B3C ", "US.1A2B3C"),
        (Channel.WHATSAPP, IMPOSSIBLE, IMPOSSIBLE),
        (Channel.EMAIL, " Ana@Example.COM ", "ana@example.com"),
    ],
)
def test_a_written_address_has_one_form(channel: Channel, written: str, kept: str) -> None:
    assert channel.traits.normalise(written, "US") == kept
    assert channel.traits.normalise(kept, "US") == kept


@pytest.mark.parametrize(
    ("channel", "written", "why"),
    [
        (Channel.SMS, IMPOSSIBLE, "too short or too long"),
        (Channel.SMS, "2025550123", "Begin with \\+"),
        (Channel.WHATSAPP, "4.91512E+12", "spreadsheet has rounded"),
        (Channel.EMAIL, "ana", "Write an e-mail address"),
        (Channel.EMAIL, "+12025550123", "Write an e-mail address"),
    ],
)
def test_what_is_wrong_is_said_to_people(channel: Channel, written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        channel.traits.normalise(written)


def test_case_matters_in_an_id_and_not_in_a_mail_address() -> None:
    assert Channel.EMAIL.traits.same("Ana@Example.com", "ana@example.com")
    assert not Channel.WHATSAPP.traits.same("US.abc", "US.ABC")
    assert Channel.WHATSAPP.traits.same("US.abc", "US.abc")
    assert not Channel.SMS.traits.same("+12025550123", "+12025550124")


def test_a_channel_of_ids_alone_needs_only_its_kind() -> None:
    traits = replace(Channel.SMS.traits, addresses=(PAGER,))
    assert traits.provider_id is PAGER
    assert (traits.valid("pg-0001"), traits.valid("+12025550123"), traits.valid("PG-0001")) == (True, False, False)
    assert traits.normalise(" pg-0001 ") == "pg-0001"
    with pytest.raises(ValueError, match="such as pg-0001"):
        traits.normalise("+12025550123")


def test_only_whatsapp_of_ours_writes_to_ids() -> None:
    assert {channel: channel.traits.provider_id for channel in Channel if channel.traits.provider_id} == {
        Channel.WHATSAPP: BUSINESS_SCOPED_ID
    }


@pytest.mark.parametrize(
    ("channel", "columns", "sample", "column"),
    [
        (Channel.SMS, ["Name", "Mobile"], ["Ana", "+1 202 555 0123"], "Mobile"),
        (Channel.EMAIL, ["Name", "x"], ["Ana", "ana@example.com"], "x"),
        (Channel.WHATSAPP, ["Name", "User ID"], ["Ana", "US.1A2B3C"], "User ID"),
        (Channel.WHATSAPP, ["User ID", "Phone"], ["US.1A2B3C", "+12025550123"], "Phone"),
        (Channel.SMS, ["Name", "User ID"], ["Ana", "US.1A2B3C"], None),
    ],
)
def test_the_column_of_the_channel_is_guessed(
    channel: Channel, columns: list[str], sample: list[str], column: str | None
) -> None:
    assert address_column(Columns(), columns, [sample], channel) == column


def test_cells_look_like_what_they_hold() -> None:
    assert PHONE.looks_like("(202) 555-0123")
    assert not PHONE.looks_like("12-34")
    assert EMAIL_ADDRESS.looks_like(" ana@example.com ")
    assert not EMAIL_ADDRESS.looks_like("ana at example.com")
    assert PAGER.looks_like("pg-0001")
