"""Finding a contact by what one types."""

from __future__ import annotations

from typing import Any

import pytest

from services.contacts.search_terms import parse_query, split_terms
from tests.services.contacts.conftest import Town

PEOPLE = [
    ("María García", "+12025550101", "maria@example.com"),
    ("Mario Garnett", "+12025550102", "mg@example.org"),
    ("Anna Maria Anders", "+442079460101", None),
    ("STRASSE Müller-Lüdenscheidt", None, "post@example.net"),
    ("王小明", None, "wang@example.com"),
    ("रोहन शर्मा", None, "rohan@example.com"),
]


@pytest.fixture
async def street(town: Town) -> Town:
    for name, phone, email in PEOPLE:
        await town.create(name=name, phone=phone, email=email)
    return town


async def _found(town: Town, q: str, **more: Any) -> list[str]:
    answer = await town.api.get("/api/contacts/search", params={"q": q, **more})
    assert answer.status_code == 200, answer.text
    return sorted(item["name"] for item in answer.json()["items"])


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("MARIA", ["Anna Maria Anders", "María García"]),
        ("mar gar", ["Mario Garnett", "María García"]),
        ("garcia maria", ["María García"]),
        ("an", ["Anna Maria Anders"]),
        ("mueller", []),
        ("muller", ["STRASSE Müller-Lüdenscheidt"]),
        ("straße", ["STRASSE Müller-Lüdenscheidt"]),
        ("王小", ["王小明"]),
        ("शर्म", ["रोहन शर्मा"]),
        ("post", ["STRASSE Müller-Lüdenscheidt"]),
        ("maria@EX", ["María García"]),
        ("+1 202", ["Mario Garnett", "María García"]),
        ("(202) 555-0101", ["María García"]),
        ("+44 20 7946", ["Anna Maria Anders"]),
        ("٢٠٢", ["Mario Garnett", "María García"]),
        ("müller‐lüdenscheidt", ["STRASSE Müller-Lüdenscheidt"]),
        ("post@example.net#", []),
        ("nobody", []),
        ("gar maria xx", []),
    ],
)
async def test_a_beginning_is_enough(street: Town, q: str, names: list[str]) -> None:
    assert await _found(street, q) == sorted(names)


@pytest.mark.parametrize("q", ["", " ", "a", "+", "7", "!?"])
async def test_too_little_to_look_for_is_said(street: Town, q: str) -> None:
    answer = await street.api.get("/api/contacts/search", params={"q": q})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "q")


async def test_pages_hold_everybody_once(town: Town) -> None:
    for n in range(25):
        await town.create(name=f"Tess Testa {n:02}", phone=f"+120255501{n:02}")
    for path, params in (("/api/contacts/search", {"q": "tes"}), ("/api/contacts", {})):
        seen: list[str] = []
        cursor, pages = None, 0
        while pages == 0 or cursor:
            query = {**params, "limit": "4", **({"cursor": cursor} if cursor else {})}
            page = (await town.api.get(path, params=query)).json()
            seen += [item["contactId"] for item in page["items"]]
            cursor, pages = page.get("cursor"), pages + 1
        assert len(seen) == len(set(seen)) == 25


async def test_a_cursor_of_another_search_is_refused(street: Town) -> None:
    page = (await street.api.get("/api/contacts/search", params={"q": "mar", "limit": 1})).json()
    answer = await street.api.get("/api/contacts/search", params={"q": "mari", "cursor": page["cursor"]})
    assert answer.json()["code"] == "BAD_CURSOR"


async def test_a_new_name_is_found_and_the_old_one_is_not(town: Town) -> None:
    created = await town.create(name="Ana Older")
    await town.api.put(f"/api/contacts/{created['contactId']}", json={"name": "Ana Newer"})
    assert await _found(town, "older") == []
    assert await _found(town, "ana newer") == ["Ana Newer"]


def test_words_are_the_same_however_they_are_written() -> None:
    assert split_terms("Ｊosé  O’Brien_smith José 😀") == ["jose", "o", "brien", "smith"]
    assert parse_query("josé") == parse_query("JOSE ")
