"""The queues that a process consumes."""

from __future__ import annotations

import pytest

from deploy.local.processes import BULK
from libs.common.declare.discover import ALL, Share, consumed, discover

SERVICES = discover()


def names(share: Share = ALL) -> set[str]:
    return {spec.name.removeprefix("wecare-") for spec in consumed(SERVICES, "wecare", share)}


def test_two_shares_by_the_same_patterns_hold_every_queue_once() -> None:
    bulk, rest = names(Share(only=BULK)), names(Share(but=BULK))
    assert bulk | rest == names()
    assert not bulk & rest


def test_the_share_for_bulk_holds_every_lane_for_bulk_and_no_code() -> None:
    bulk = names(Share(only=BULK))
    assert {name for name in names() if name.endswith("-bulk")} <= bulk
    assert not {name for name in bulk if name.endswith(("-otp", "-tx", "-dlq"))}


def test_a_pattern_that_is_no_queues_is_refused_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match=r"no queue is called \*-bluk; there are: audit, bulk, bulk-counts, "):
        names(Share(but=("*-bluk",)))
