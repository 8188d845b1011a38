"""What a person at a terminal sees and can do."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from libs.cli import show
from libs.common.errors import Poison
from tests.cli.conftest import Terminal
from tests.kit.toy import Greeted
from tests.services.dlq_replay.kit import QUEUE


def dies(wecare: Terminal, *names: str, **facts: str) -> list[str]:
    wecare.shop.broken = Poison("the shop is closed")
    wecare.run(lambda: wecare.world.hear(*(Greeted(name=name, **facts) for name in names)))
    wecare.shop.broken = None
    return [each["dlqMessageId"] for each in letters(wecare)]


def letters(wecare: Terminal, *more: str) -> list[dict]:  # type: ignore[type-arg]
    reported = wecare("dlq", "ls", "--json", *more)
    assert reported.exit_code == 0, reported.output
    found: list[dict] = json.loads(reported.stdout)["items"]  # type: ignore[type-arg]
    return found


def test_letters_are_listed_grouped_and_shown_in_full(wecare: Terminal) -> None:
    one, two = dies(wecare, "ann", "bob")
    reported = wecare("dlq", "ls")
    for word in (one, two, "rejected", "toy.greeted.v1", "shop", "the shop is closed"):
        assert word in reported.stdout
    assert "2 dead letters are waiting" in wecare("dlq", "groups").stdout
    assert "2 dead letters are waiting" in wecare("dlq", "watch", "--times", "1").stdout
    reported = wecare("dlq", "show", one)
    for word in (
        "failed: rejected, received 1 time(s) since 20",
        ", build b1; ",
        "Timeline",
        '"specversion": "1.0"',
    ):
        assert word in reported.stdout
    assert "No waiting dead letters match." in wecare("dlq", "ls", "--queue", "elsewhere").stdout


def test_a_queue_with_more_than_ten_open_letters_has_an_alarm(wecare: Terminal) -> None:
    dies(wecare, *(f"n{n}" for n in range(10)))
    assert "ALARM" not in wecare("dlq", "groups").stdout
    dies(wecare, "one more")
    for command in (("groups",), ("watch", "--times", "1"), ("groups", "--cause", "version")):
        reported = wecare("dlq", *command).stdout
        assert "ALARM" in reported
        assert "Too many open dead letters: shop." in reported


def test_an_id_is_never_broken_however_narrow_the_terminal_is(
    wecare: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = dies(wecare, "ann")
    monkeypatch.setattr(show.out, "width", 80)
    for command in (("ls",), ("simulate", one)):
        reported = wecare("dlq", *command).stdout
        assert one in reported
        assert max(map(len, reported.splitlines())) <= 80
    assert "rejected" in wecare("dlq", "ls").stdout


def test_nothing_to_see_is_said(wecare: Terminal) -> None:
    for command, words in [
        (("ls",), "No waiting dead letters."),
        (("ls", "--state", "discarded"), "No discarded dead letters."),
        (("ls", "--cause", "version"), "No waiting dead letters match."),
        (("simulate", "--cause", "version"), "No waiting dead letters match."),
        (("groups",), "No dead letters are waiting."),
        (("jobs",), "Nothing was replayed yet."),
    ]:
        reported = wecare("dlq", *command)
        assert (reported.exit_code, reported.stdout.strip()) == (0, words)


def test_a_letter_about_a_message_tells_where_that_stands_now(wecare: Terminal) -> None:
    message = a_message(wecare)
    wire = wecare.world.envelope(Greeted(name="ann", trouble="poison")).to_wire()
    wire["data"]["messageId"] = message
    reported = {"type": "toy.greeted.v1", "channel": "whatsapp"}
    wecare.run(lambda: wecare.world.bus.send(QUEUE, json.dumps(wire), reported))
    wecare.run(wecare.world.settle)
    (letter,) = letters(wecare)
    reported = wecare("dlq", "show", letter["dlqMessageId"])
    assert f"{message}: queued; wecare why {message}" in reported.stdout


def test_a_replay_shows_what_would_happen_asks_and_is_followed_to_its_end(wecare: Terminal) -> None:
    chosen = dies(wecare, "ann", "bob")
    reported = wecare("dlq", "simulate", "--type", "toy.greeted.v1")
    assert "dies_again" in reported.stdout
    reported = wecare("dlq", "replay", *chosen)
    assert reported.exit_code == 1
    assert "There is no terminal to ask for confirmation." in reported.stderr
    assert len(letters(wecare)) == 2
    reported = wecare("dlq", "replay", *chosen, "--yes", "--rate", "100", "--why", "open again")
    assert reported.exit_code == 0, reported.output
    assert "2 of 2 sent" in reported.stdout
    assert wecare.shop.applied == {"ann": 1, "bob": 1}
    assert "open again" in wecare("dlq", "jobs").stdout
    assert "replayed by user:test-admin: open again" in wecare("dlq", "show", chosen[0]).stdout
    reported = wecare("dlq", "replay", *chosen, "--yes")
    assert reported.exit_code == 1
    assert "NOT_WAITING" in reported.stderr


def test_a_filter_replays_and_programs_get_json(wecare: Terminal) -> None:
    dies(wecare, "ann", "bob", "cid")
    reported = wecare("dlq", "replay", "--cause", "rejected", "--newer-than", "1h", "--limit", "2", "--yes", "--json")
    assert reported.exit_code == 1, "these died on the world's own clock, years ago"
    reported = wecare("dlq", "replay", "--cause", "rejected", "--older-than", "1h", "--limit", "2", "--yes", "--json")
    assert reported.exit_code == 0, reported.output
    job = json.loads(reported.stdout)
    assert (job["state"], job["total"]) == ("done", 2)
    assert len(letters(wecare)) == 1


def test_an_edit_from_a_file_or_an_editor_and_a_discard_take_a_reason(
    wecare: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = dies(wecare, "ann", "bob", trouble="poison")
    assert wecare("dlq", "discard", one, "--yes").exit_code == 2, "no reason"
    assert wecare("dlq", "discard", one, "--yes", "--why", "not wanted").exit_code == 0
    event = json.loads(wecare("dlq", "show", two, "--json").stdout)["event"]
    file = tmp_path / "data.json"
    file.write_text(json.dumps({**event["data"], "name": "eve"}))
    reported = wecare("dlq", "edit", two, "--why", "a mistake", "--data", str(file))
    assert reported.exit_code == 1
    assert "data.name: Leave it as it was" in reported.stderr
    monkeypatch.setenv("EDITOR", "true")
    assert "Nothing was changed." in wecare("dlq", "edit", two, "--why", "a mistake").stderr
    monkeypatch.setenv("EDITOR", "sed -i s/poison//")
    reported = wecare("dlq", "edit", two, "--why", "a mistake")
    assert reported.exit_code == 0, reported.output
    assert wecare("dlq", "replay", two, "--yes").exit_code == 0
    assert wecare.shop.applied == {event["data"]["name"]: 1}


def test_who_sits_at_the_terminal_is_asked(wecare: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = dies(wecare, "ann", "bob")
    monkeypatch.setattr(show, "can_ask", lambda: True)
    reported = wecare("dlq", "replay", one, input="n\n")
    assert (reported.exit_code, len(letters(wecare))) == (1, 2)
    assert "Replay 1 dead letter(s) at 10 per second?" in reported.stdout
    assert wecare("dlq", "replay", one, input="y\n").exit_code == 0
    assert wecare("dlq", "discard", two, "--why", "not wanted", input="y\n").exit_code == 0
    assert letters(wecare) == []


def test_an_edit_that_was_refused_is_not_typed_again(
    wecare: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = dies(wecare, "ann", trouble="poison")
    monkeypatch.setattr(show, "can_ask", lambda: True)
    editor = tmp_path / "editor"
    editor.write_text(
        '#!/bin/sh\nif grep -q 7777 "$1"; then sed -i s/7777/\\"well\\"/ "$1"; else sed -i s/\\"poison\\"/7777/ "$1"; fi'
    )
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(editor))
    reported = wecare("dlq", "edit", one, "--why", "a mistake", input="y\n")
    assert reported.exit_code == 0, reported.output
    assert "trouble: Input should be a valid string" in reported.stderr
    reported = wecare("dlq", "show", one)
    assert '"trouble": "poison"' in reported.stdout.partition("Edited event (sent by a replay)")[0]
    assert '"trouble": "well"' in reported.stdout.partition("Edited event (sent by a replay)")[2]


def test_jobs_are_paused_resumed_cancelled_and_watched(wecare: Terminal) -> None:
    chosen = dies(wecare, "ann")
    reported = wecare("dlq", "replay", *chosen, "--yes", "--no-wait", "--json")
    job = json.loads(reported.stdout)["jobId"]
    assert "1 of 1 sent" in wecare("dlq", "watch", job).stdout
    for move in ("pause", "resume", "cancel"):
        reported = wecare("dlq", move, job)
        assert (reported.exit_code, "JOB_OVER" in reported.stderr) == (1, True)


def test_who_may_not_is_told_which_role_it_takes_and_who_is_nobody_how_to_log_in(wecare: Terminal) -> None:
    (one,) = dies(wecare, "ann")
    reported = wecare("dlq", "replay", one, "--yes", role="VIEWER")
    assert (reported.exit_code, "FORBIDDEN: This needs the role OPERATOR" in reported.stderr) == (1, True)
    reported = wecare("dlq", "ls", role=None)
    assert (reported.exit_code, "wecare login" in reported.stderr) == (1, True)
    assert "header" not in reported.stderr


def test_a_login_is_kept_for_the_next_commands_for_this_person_only(wecare: Terminal, tmp_path: Path) -> None:
    assert wecare("login", role=None, input="NOBODY\n").exit_code == 1
    reported = wecare("login", role=None, input="VIEWER\n")
    assert reported.exit_code == 0, reported.output
    assert stat.S_IMODE((tmp_path / "wecare/token").stat().st_mode) == 0o600
    assert wecare("dlq", "ls", role=None).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dlq", "replay", "--yes"), "No dead letters were selected."),
        (("dlq", "simulate", "x", "--cause", "rejected"), "either ids of dead letters or filters"),
        (("dlq", "ls", "--newer-than", "soon"), "write 90s, 15m, 2h or 3d"),
        (("dlq", "show", "none"), "LETTER_NOT_FOUND"),
        (("dlq", "ls", "--cause", "exausted"), "cause: Input should be 'malformed', 'version'"),
        (("dlq", "discard", "x", "--why", "abc"), "Pass --yes to confirm"),
        (("dlq", "edit", "x", "--why", "abc", "--data", "/nowhere"), "Cannot read /nowhere"),
        (("dlq", "edit", "x", "--why", "abc", "--data", "-"), "not valid JSON"),
        (("messages", "send", "c"), "either --text or --template"),
        (("messages", "send", "c", "--template", "t", "--var", "a"), "write NAME=VALUE"),
        (("why", "none"), "MESSAGE_NOT_FOUND"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(wecare: Terminal, arguments: tuple[str, ...], words: str) -> None:
    reported = wecare(*arguments)
    assert reported.exit_code in (1, 2)
    assert words in reported.output
    assert "Traceback" not in reported.output


def test_what_died_cannot_steer_the_terminal(wecare: Terminal) -> None:
    (one,) = dies(wecare, "\x1b]0;owned\x07[red]ann")
    reported = wecare("dlq", "show", one)
    assert "\x1b" not in reported.stdout
    assert "[red]ann" in reported.stdout


def a_contact(wecare: Terminal) -> str:
    reported = wecare("contacts", "create", "--name", "Ann Example", "--phone", "+12025550143", "--json")
    wecare.run(wecare.world.settle)
    return str(json.loads(reported.stdout)["contactId"])


def a_message(wecare: Terminal) -> str:
    contact = a_contact(wecare)
    wecare("contacts", "consent", contact, "whatsapp", "--words", "Yes, write to me")
    wecare.run(wecare.world.settle)
    reported = wecare("messages", "send", contact, "--template", "order_update", "--var", "1=Ann", "--json")
    return str(json.loads(reported.stdout)["messageId"])


def test_a_contact_is_made_written_to_and_the_message_tells_its_story(wecare: Terminal) -> None:
    contact = a_contact(wecare)
    refused = wecare("messages", "send", contact, "--template", "order_update", "--var", "1=Ann")
    assert "NO_CONSENT" in refused.stderr
    reported = wecare("contacts", "consent", contact, "whatsapp", "--words", "Yes, write to me")
    assert "opted in to: whatsapp" in reported.stdout
    wecare.run(wecare.world.settle)
    assert "Ann Example" in wecare("contacts", "ls", "--search", "ann").stdout
    reported = wecare("messages", "send", contact, "--template", "order_update", "--var", "1=Ann", "--json")
    message = json.loads(reported.stdout)["messageId"]
    assert "order_update" in wecare("messages", "ls", "--contact", contact).stdout
    assert "NOT_UNCERTAIN" in wecare("messages", "resend", message).stderr
    assert "Requested to cancel" in wecare("messages", "cancel", message).stdout
    reported = wecare("why", message)
    for word in (
        f"Message {message}",
        "is queued",
        "user:test-admin",
        "It was accepted and waits to be sent.",
        "Next:",
    ):
        assert word in reported.stdout
