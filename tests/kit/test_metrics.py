"""Counters: the log lines for CloudWatch, the text for Prometheus, and the bound on both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libs.common.observe import metrics
from libs.common.observe.log import about

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Resets the counters; returns the lines on stdout from now on."""
    monkeypatch.setattr(metrics, "_counts", Counter())
    monkeypatch.setattr(metrics, "_values", {})
    metrics.configure("emf")

    def written() -> list[dict[str, Any]]:
        captured = capsys.readouterr()
        assert captured.err == ""
        return [json.loads(line) for line in captured.out.splitlines()]

    yield written
    metrics.configure("off")


def test_a_count_is_a_line_of_which_cloudwatch_makes_a_metric_in_all_and_by_dimension(lines: Lines) -> None:
    metrics.count("toys_broken", channel="sms", word="TEXT_TELEPORTED")
    (line,) = lines()
    assert (line["toys_broken"], line["channel"], line["word"]) == (1, "sms", "TEXT_TELEPORTED")
    assert line["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "WECARE",
            "Dimensions": [[], ["channel", "word"]],
            "Metrics": [{"Name": "toys_broken", "Unit": "Count"}],
        }
    ]
    assert line["_aws"]["Timestamp"] > 1_700_000_000_000


def test_a_line_names_what_was_worked_on_and_nobody(lines: Lines) -> None:
    about.set({"queue": "toys", "record": "r1", "from": "+12025550123"})
    try:
        metrics.count("toys_broken")
    finally:
        about.set({})
    (line,) = lines()
    assert (line["event"], line["queue"], line["record"], line["from"]) == ("counted", "toys", "r1", "[phone]")


def test_switched_off_nothing_is_written_and_all_is_counted(lines: Lines) -> None:
    metrics.configure("off")
    metrics.count("toys_sold", 2)
    assert lines() == []
    assert metrics.exposition().splitlines()[1] == "wecare_toys_sold_total{} 2"


def test_several_at_once_are_one_line(lines: Lines) -> None:
    metrics.count("toys_sold", 40, channel="sms")
    (line,) = lines()
    assert line["toys_sold"] == 40
    assert 'wecare_toys_sold_total{channel="sms"} 40\n' in metrics.exposition()


def test_without_dimensions_it_is_counted_in_all_only(lines: Lines) -> None:
    metrics.count("toys_sold")
    (line,) = lines()
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[]]
    assert metrics.exposition() == "# TYPE wecare_toys_sold_total counter\nwecare_toys_sold_total{} 1\n"


def test_a_process_tells_what_it_counted() -> None:
    for channel in ("sms", "email", "sms"):
        metrics.count("toys_broken", channel=channel)
    assert metrics.exposition().splitlines() == [
        "# TYPE wecare_toys_broken_total counter",
        'wecare_toys_broken_total{channel="email"} 1',
        'wecare_toys_broken_total{channel="sms"} 2',
    ]


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ("Rendering Failure", "Rendering_Failure"),
        ('a"}\n1 # b\\', "a_1_b"),
        ("tökén", "t_k_n"),
        ("for ann@example.com", "for_email"),
        ("+1 202 555 0123", "phone"),
        ("of_12025550123", "of"),
        ("x" * 1_000, "x" * 40),
        ("", "other"),
        ("***", "other"),
    ],
)
def test_a_value_from_outside_is_cleaned_and_cut_and_tells_nothing_about_anybody(
    value: str, reported: str, lines: Lines
) -> None:
    metrics.count("toys_broken", word=value)
    assert [line["word"] for line in lines()] == [reported]
    assert metrics.exposition().splitlines()[1] == f'wecare_toys_broken_total{{word="{reported}"}} 1'


def test_values_without_end_are_counted_as_one(lines: Lines) -> None:
    for n in range(1_000):
        metrics.count("toys_broken", channel="sms", word=f"word{n}")
    metrics.count("toys_broken", channel="sms", word="word0")
    reported = metrics.exposition().splitlines()
    assert len(reported) == 1 + metrics.MAX_VALUES_PER_DIMENSION + 1
    assert 'wecare_toys_broken_total{channel="sms",word="other"} 950' in reported
    assert 'wecare_toys_broken_total{channel="sms",word="word0"} 2' in reported
    assert len({line["word"] for line in lines()}) == metrics.MAX_VALUES_PER_DIMENSION + 1
