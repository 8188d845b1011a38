"""The retry plan and the consumer breaker: pure functions, tested exhaustively."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from libs.common.errors import Conflict, Malformed, Poison, Problem, RetryLater, UnknownVersion
from libs.common.handle.consumer_breaker import (
    MAX_PAUSE_SECONDS,
    MIN_FAILURES,
    MIN_PAUSE_SECONDS,
    WINDOW_EVENTS,
    ConsumerBreaker,
)
from libs.common.handle.retry import MAX_BACKOFF_SECONDS, MAX_REQUEUE_SECONDS, MoveToDLQ, Requeue, RetryAfter, plan

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOPELESS = [(Malformed("x"), "malformed"), (UnknownVersion("x"), "version"), (Poison("x"), "rejected")]
ANY = [RuntimeError("x"), ConnectionError(), TimeoutError(), Conflict(), KeyError("x"), Problem(409, "x", "x")]
COUNTS = [1, 2, 7, 8, 9, 39, 40, 1000]


@pytest.mark.parametrize(("error", "cause"), HOPELESS)
def test_what_no_retry_can_mend_is_buried_at_once_with_its_cause(error: Exception, cause: str) -> None:
    assert {plan(error, count, NOW, r, 8) for count, r in product(COUNTS, (0, 0.5, 0.99))} == {MoveToDLQ(cause)}


@pytest.mark.parametrize("error", ANY)
@pytest.mark.parametrize(("count", "maximum"), list(product(COUNTS, [1, 8, 40])))
def test_anything_else_is_tried_again_until_its_attempts_are_spent(error: Exception, count: int, maximum: int) -> None:
    for random in (0.0, 0.3, 0.999):
        planned = plan(error, count, NOW, random, maximum)
        if count >= maximum:
            assert planned == MoveToDLQ("exhausted")
        else:
            assert planned == RetryAfter(random * min(MAX_BACKOFF_SECONDS, 2.0 ** (count - 1)))


@pytest.mark.parametrize(
    ("until", "seconds"),
    [(-3600, 0), (0, 0), (0.25, 0.25), (60, 60), (899.5, 899.5), (900, 900), (901, 900), (86400 * 365, 900)],
)
def test_later_comes_back_when_it_said_and_spends_nothing(until: float, seconds: float) -> None:
    error = RetryLater(NOW + timedelta(seconds=until), "busy")
    for count, maximum, breaker_open in product(COUNTS, (1, 8), (False, True)):
        assert plan(error, count, NOW, 0.5, maximum, breaker_open) == Requeue(seconds)
    assert seconds <= MAX_REQUEUE_SECONDS


def test_a_subclass_is_treated_as_what_it_is() -> None:
    class Refused(Poison):
        pass

    assert plan(Refused(), 1, NOW, 0.5, 8) == MoveToDLQ("rejected")


@pytest.mark.parametrize("error", [*ANY, *(error for error, _ in HOPELESS)])
def test_nothing_is_buried_while_the_brake_is_on(error: Exception) -> None:
    assert all(isinstance(plan(error, count, NOW, 0.5, 8, breaker_open=True), RetryAfter) for count in COUNTS)


def test_a_few_failures_among_many_successes_do_not_brake() -> None:
    breaker = ConsumerBreaker()
    for n in range(2000):
        breaker.record(int(n % 4 != 0), int(n % 4 == 0), float(n))
        assert not breaker.open
        assert breaker.pause_seconds(float(n)) == 0


def test_it_brakes_after_so_many_failures_and_no_earlier() -> None:
    breaker = ConsumerBreaker()
    for n in range(MIN_FAILURES):
        assert not breaker.open
        breaker.record(0, 1, float(n))
    assert breaker.open
    assert WINDOW_EVENTS > MIN_FAILURES


def test_a_record_that_fails_again_and_again_counts_once() -> None:
    breaker = ConsumerBreaker()
    for n in range(50 * MIN_FAILURES):
        breaker.record(0, 1, float(n), record=f"r{n % (MIN_FAILURES - 1)}")
        assert not breaker.open
    breaker.record(0, 1, 0, record="another")
    assert breaker.open


def test_old_failures_are_forgotten() -> None:
    breaker = ConsumerBreaker()
    for good in [False] * (MIN_FAILURES - 1) + [True] * WINDOW_EVENTS + [False] * (MIN_FAILURES - 1):
        breaker.record(int(good), int(not good), 0)
    assert not breaker.open


def breaker_open(now: float = 0.0) -> ConsumerBreaker:
    breaker = ConsumerBreaker()
    for _ in range(MIN_FAILURES):
        breaker.record(0, 1, now)
    return breaker


def test_probes_become_rarer_while_they_fail() -> None:
    breaker, now, pauses = breaker_open(), 0.0, []
    for _ in range(9):
        pauses.append(breaker.pause_seconds(now))
        now += breaker.pause_seconds(now)
        assert breaker.pause_seconds(now) == 0
        breaker.record(0, 1, now)
    assert pauses[0] == MIN_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_SECONDS


def test_what_was_still_running_when_it_braked_does_not_lengthen_the_pause() -> None:
    breaker = breaker_open(now=10)
    for _ in range(100):
        breaker.record(0, 1, 10.5)
    assert breaker.pause_seconds(10) == MIN_PAUSE_SECONDS


def test_one_success_releases_it_with_a_clean_slate() -> None:
    breaker = breaker_open()
    breaker.record(1, 0, 1)
    assert not breaker.open
    for _ in range(MIN_FAILURES - 1):
        breaker.record(0, 1, 2)
    assert not breaker.open
