"""Which log groups a forwarder takes, and when it hands one over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from forwarder.cluster.log import Lease, NotAllowedError, StoredGroup, Trimmed
from forwarder.delivery.hub import HubCounts
from forwarder.groups.leasing import REBALANCE_S, REST_S, LeasedJournals, Shares, share_of
from forwarder.records import FeedKey
from tests.support.cluster.memory_log import MemoryEngine, MemoryLog
from tests.support.forwarder.log_events import events
from wire.messages import Upstream

ONE = FeedKey("/one")


def test_shares_are_even_and_leave_nothing_out() -> None:
    assert [share_of(groups, 3) for groups in (0, 1, 3, 4, 7)] == [0, 1, 1, 2, 3]
    assert share_of(5, 0) == 5


def test_a_group_within_the_share_is_taken_at_once() -> None:
    assert Shares().may_take(ONE, owned=1, share=2, now_s=0.0)


def test_a_group_beyond_the_share_is_left_to_others_for_a_while() -> None:
    shares = Shares()
    assert not shares.may_take(ONE, owned=2, share=2, now_s=10.0)
    assert not shares.may_take(ONE, owned=2, share=2, now_s=10.0 + REST_S - 0.1)
    assert shares.may_take(ONE, owned=2, share=2, now_s=10.0 + REST_S)


def test_the_pause_begins_again_when_somebody_owned_it() -> None:
    shares = Shares()
    shares.may_take(ONE, owned=2, share=2, now_s=0.0)
    shares.note_owned(ONE)
    assert not shares.may_take(ONE, owned=2, share=2, now_s=REST_S)


def test_a_lasting_surplus_is_handed_over_one_by_one() -> None:
    shares = Shares()
    assert not shares.has_surplus(owned=4, share=2, now_s=0.0)
    assert not shares.has_surplus(owned=4, share=2, now_s=REBALANCE_S - 0.1)
    assert shares.has_surplus(owned=4, share=2, now_s=REBALANCE_S)
    assert not shares.has_surplus(owned=3, share=2, now_s=REBALANCE_S + 1)


def test_a_surplus_that_has_passed_is_forgotten() -> None:
    shares = Shares()
    shares.has_surplus(owned=3, share=2, now_s=0.0)
    shares.has_surplus(owned=2, share=2, now_s=1.0)
    assert not shares.has_surplus(owned=3, share=2, now_s=REBALANCE_S)


class Engine:
    """One process's connection to an engine in memory."""

    name = "me"

    def __init__(self, memory: MemoryEngine) -> None:
        self.log: Callable[..., MemoryLog] = memory.log

    def groups(self) -> list[StoredGroup]:
        return []

    def close(self) -> None:
        pass


def _hub() -> SimpleNamespace:
    feed = SimpleNamespace(upstream=Upstream("ok"), is_ready=True)
    alterations = SimpleNamespace(texts=list)
    group = SimpleNamespace(alterations=alterations, allowance_ms=0)
    return SimpleNamespace(marks=[], feed=feed, group=group, counts=HubCounts())


@pytest.mark.parametrize("may_trim", [True, False])
async def test_each_renewal_trims_a_part_of_former_chains_and_counts_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    may_trim: bool,
) -> None:
    memory = MemoryEngine(lambda: 0)
    journals = LeasedJournals(
        tmp_path,
        "boot",
        lambda: Engine(memory),
        wanted=lambda: 1,
        clock=lambda: 0,
        timer=lambda: 0,
        random=lambda: 1.0,
    )
    await journals.prepare(ONE)
    journal = journals.open(ONE)
    for number in range(1_500):
        journal.append(events([number]), "live")
    journal.begin_chain()
    hub = _hub()
    if not may_trim:

        def refuse(_: MemoryLog, lease: Lease, *where: int) -> Trimmed:
            del lease, where
            msg = "an administrator must allow it"
            raise NotAllowedError(msg)

        monkeypatch.setattr(MemoryLog, "trim", refuse)
    counts = []
    with caplog.at_level(logging.WARNING, "gapless.forwarder"):
        for _ in range(3):
            journals.renew(ONE, cast("Any", hub))
            counts.append(hub.counts.trimmed)
    assert counts == ([1_000, 1_501, 1_501] if may_trim else [0, 0, 0])
    warnings = [] if may_trim else ["an administrator must allow it"]
    assert [one.getMessage() for one in caplog.records] == warnings
    assert journal.append(events([9_999]), "live") == 1
    journals.close_all()
