"""The record from a terminal."""

from __future__ import annotations

import json

from libs.common.store.ops import Put
from services.audit.model import AuditLog
from tests.cli.conftest import Terminal

#: The world's own day.
DAY = "2026-01-15"


def has_a_record(wecare: Terminal) -> list[dict]:  # type: ignore[type-arg]
    for n in range(3):
        assert wecare("contacts", "create", "--phone", f"+1202555013{n}").exit_code == 0
    assert wecare("contacts", "create", "--phone", "+12025550139", role="VIEWER").exit_code == 1
    wecare.run(wecare.world.settle)
    wecare.run(lambda: wecare.world.tick("audit"))
    reported = wecare("audit", "ls", "--json")
    assert reported.exit_code == 0, reported.output
    found: list[dict] = json.loads(reported.stdout)["items"]  # type: ignore[type-arg]
    return found


def test_who_did_what_is_listed_and_narrowed(wecare: Terminal) -> None:
    entries = has_a_record(wecare)
    assert len(entries) == 4
    reported = wecare("audit", "ls").stdout
    for word in ("contacts.create_contact", "user:test-admin", "needs OPERATOR, is VIEWER", entries[0]["logId"]):
        assert word in reported
    (refusal,) = json.loads(wecare("audit", "ls", "--kind", "refusal", "--json").stdout)["items"]
    assert refusal["actor"] == "user:test-viewer"
    assert "No entries match." in wecare("audit", "ls", "--actor", "user:nobody").stdout
    assert len(json.loads(wecare("audit", "ls", "--limit", "2", "--json").stdout)["items"]) == 2
    assert "FORBIDDEN" in wecare("audit", "ls", role="OPERATOR").stderr


def test_an_export_tells_where_it_lies(wecare: Terminal) -> None:
    has_a_record(wecare)
    reported = wecare("audit", "export", "--kind", "request")
    assert reported.exit_code == 0, reported.output
    assert "3 entries." in reported.stdout
    assert "https://" in reported.stdout


def test_a_record_that_is_whole_is_well_and_one_that_is_not_has_its_first_broken_link_named(wecare: Terminal) -> None:
    has_a_record(wecare)
    reported = wecare("audit", "verify", "--day", DAY)
    assert reported.exit_code == 0, reported.output
    assert "well" in reported.stdout
    (entry, *_) = json.loads(wecare("audit", "ls", "--json").stdout)["items"]
    row = wecare.run(lambda: wecare.world.row("audit", AuditLog, entry["logId"]))
    changed = row.model_copy(update={"actor": "user:nobody"}).to_row()
    wecare.run(lambda: wecare.world.store.write(Put("wecare-test-audit-log", changed)))
    reported = wecare("audit", "verify", "--day", DAY)
    assert reported.exit_code == 1
    assert "BROKEN" in reported.stdout
    assert "entry_changed" in reported.stderr
    assert entry["logId"] in reported.stderr
    assert (
        json.loads(wecare("audit", "verify", "--day", DAY, "--json").stdout)["days"][0]["broken"]["chain"]
        == entry["chain"]
    )


def test_a_day_that_cannot_be_verified_is_refused(wecare: Terminal) -> None:
    assert "day: Entries are kept for 180 days." in wecare("audit", "verify", "--day", "2020-01-01").stderr
    assert wecare("audit", "verify", "--day", "yesterday").exit_code == 1
