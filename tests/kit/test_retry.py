"""The retry plan and the brake: pure decisions, tried exhaustively."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from libs.common.brake import FIRST_PAUSE, LIMIT, LONGEST_PAUSE, WINDOW, Brake
from libs.common.errors import Conflict, Later, Malformed, Poison, Problem, UnknownVersion
from libs.common.retry import CAP_SECONDS, LONGEST_RENEWAL, Bury, Hide, Renew, plan

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOPELESS = [(Malformed("x"), "malformed"), (UnknownVersion("x"), "version"), (Poison("x"), "rejected")]
ANY = [RuntimeError("x"), ConnectionError(), TimeoutError(), Conflict(), KeyError("x"), Problem(409, "x", "x")]
COUNTS = [1, 2, 7, 8, 9, 39, 40, 1000]


@pytest.mark.parametrize(("error", "cause"), HOPELESS)
def test_what_no_retry_can_mend_is_buried_at_once_with_its_cause(error: Exception, cause: str) -> None:
    assert {plan(error, count, NOW, r, 8) for count, r in product(COUNTS, (0, 0.5, 0.99))} == {Bury(cause)}


@pytest.mark.parametrize("error", ANY)
@pytest.mark.parametrize(("count", "most"), list(product(COUNTS, [1, 8, 40])))
def test_anything_else_is_tried_again_until_its_attempts_are_spent(error: Exception, count: int, most: int) -> None:
    for random in (0.0, 0.3, 0.999):
        planned = plan(error, count, NOW, random, most)
        if count >= most:
            assert planned == Bury("exhausted")
        else:
            assert planned == Hide(random * min(CAP_SECONDS, 2.0 ** (count - 1)))


@pytest.mark.parametrize(
    ("until", "seconds"),
    [(-3600, 0), (0, 0), (0.25, 0.25), (60, 60), (899.5, 899.5), (900, 900), (901, 900), (86400 * 365, 900)],
)
def test_later_comes_back_when_it_said_and_spends_nothing(until: float, seconds: float) -> None:
    error = Later(NOW + timedelta(seconds=until), "busy")
    for count, most, braked in product(COUNTS, (1, 8), (False, True)):
        assert plan(error, count, NOW, 0.5, most, braked) == Renew(seconds)
    assert seconds <= LONGEST_RENEWAL


def test_a_subclass_is_treated_as_what_it_is() -> None:
    class Refused(Poison):
        pass

    assert plan(Refused(), 1, NOW, 0.5, 8) == Bury("rejected")


@pytest.mark.parametrize("error", [*ANY, *(error for error, _ in HOPELESS)])
def test_nothing_is_buried_while_the_brake_is_on(error: Exception) -> None:
    assert all(isinstance(plan(error, count, NOW, 0.5, 8, braked=True), Hide) for count in COUNTS)


def test_a_few_failures_among_many_successes_do_not_brake() -> None:
    brake = Brake()
    for n in range(2000):
        brake.note(int(n % 4 != 0), int(n % 4 == 0), float(n))
        assert not brake.on
        assert brake.pause(float(n)) == 0


def test_it_brakes_after_so_many_failures_and_no_earlier() -> None:
    brake = Brake()
    for n in range(LIMIT):
        assert not brake.on
        brake.note(0, 1, float(n))
    assert brake.on
    assert WINDOW > LIMIT


def test_a_record_that_fails_again_and_again_counts_once() -> None:
    brake = Brake()
    for n in range(50 * LIMIT):
        brake.note(0, 1, float(n), record=f"r{n % (LIMIT - 1)}")
        assert not brake.on
    brake.note(0, 1, 0, record="another")
    assert brake.on


def test_old_failures_are_forgotten() -> None:
    brake = Brake()
    for good in [False] * (LIMIT - 1) + [True] * WINDOW + [False] * (LIMIT - 1):
        brake.note(int(good), int(not good), 0)
    assert not brake.on


def braked(now: float = 0.0) -> Brake:
    brake = Brake()
    for _ in range(LIMIT):
        brake.note(0, 1, now)
    return brake


def test_probes_become_rarer_while_they_fail() -> None:
    brake, now, pauses = braked(), 0.0, []
    for _ in range(9):
        pauses.append(brake.pause(now))
        now += brake.pause(now)
        assert brake.pause(now) == 0
        brake.note(0, 1, now)
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


def test_what_was_still_running_when_it_braked_does_not_lengthen_the_pause() -> None:
    brake = braked(now=10)
    for _ in range(100):
        brake.note(0, 1, 10.5)
    assert brake.pause(10) == FIRST_PAUSE


def test_one_success_releases_it_with_a_clean_slate() -> None:
    brake = braked()
    brake.note(1, 0, 1)
    assert not brake.on
    for _ in range(LIMIT - 1):
        brake.note(0, 1, 2)
    assert not brake.on
