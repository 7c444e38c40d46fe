from __future__ import annotations

from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from forwarder.cluster.catching_up import (
    APPLY_BYTES,
    READ_BYTES,
    READ_ENTRIES_MAX,
    catch_up,
    next_limit,
    portions,
    size_of,
)
from forwarder.cluster.engine import EngineThread
from forwarder.cluster.log import Entry
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.view import View
from tests.support.cluster.memory_log import MemoryEngine
from tests.support.forwarder.log_events import GROUP, events


def test_small_entries_are_read_in_larger_numbers() -> None:
    assert next_limit(16, 100) == 32
    assert next_limit(READ_ENTRIES_MAX, 100) == READ_ENTRIES_MAX
    assert next_limit(16, READ_BYTES) == 16
    assert next_limit(16, 16 * READ_BYTES) == 8
    assert next_limit(1, 16 * READ_BYTES) == 1


@pytest.mark.parametrize("seed", range(20))
def test_portions_are_small_or_single_and_nothing_is_left_out(seed: int) -> None:
    random = Random(seed)
    entries = [
        Entry(position, bytes(random.choice([10, 5_000, 40_000])), random.choice([None, b"12"]))
        for position in range(random.randrange(30))
    ]
    found = list(portions(entries))
    assert [entry for portion in found for entry in portion] == entries
    for portion in found:
        assert len(portion) == 1 or sum(map(size_of, portion)) <= APPLY_BYTES


async def test_all_is_applied_whatever_its_size_and_kind(tmp_path: Path) -> None:
    engine = MemoryEngine(lambda: 0)
    log = engine.log(GROUP)
    lease = log.acquire(9_999)
    assert lease is not None
    views = [View(tmp_path / name, GROUP, boot="boot") for name in ("owner", "async", "sync")]
    owner = ReplicatedJournal.take_over(log, lease, views[0], timer=lambda: 0, random=lambda: 1)
    random, number = Random(1), 0
    for step in range(400):
        count = random.choice([1, 1, 1, 3, 500])
        origin = random.choice(["live", "live", "live", "repair"])
        owner.append(events(range(number, number + count)), cast("Any", origin))
        number += count
        if step % 50 == 10:
            owner.retire(bytes_max=owner.size_bytes() - 500)
            owner.trim()
        if step % 50 == 20:
            owner.restore({row.id: f"line {row.id}" for row in owner.bodiless(0, 2**50, 3)})
        if step % 100 == 30:
            owner.begin_epoch()
        if step == 150:
            owner.begin_chain()
    thread = EngineThread(cast("Any", SimpleNamespace(close=lambda: None)))
    await catch_up(views[1], log, thread)
    views[2].catch_up(log)
    for view in views[1:]:
        assert view.head == views[0].head
        assert view.journal.chain == owner.chain
        assert view.journal.read_after(0, 10**6) == owner.read_after(0, 10**6)
        assert view.journal.streams() == owner.streams()
        assert view.log_bytes == views[0].log_bytes
    thread.close()
    for view in views:
        view.close()
