"""tests.unit.simulator.cloudwatch.test_moto_logs."""

from __future__ import annotations

import gc
import weakref

import pytest

from simulator.cloudwatch import moto_logs
from simulator.cloudwatch.moto_logs import BoundedShard


def filled(count: int) -> BoundedShard:
    shard = BoundedShard(0, 0, 10)
    numbers = [shard.put_record("key", f"d{number}", "") for number in range(1, count + 1)]
    assert numbers == [str(number) for number in range(1, count + 1)]
    return shard


def read(shard: BoundedShard, after: int, limit: int | None) -> tuple[list[str], int]:
    records, last, _ = shard.get_records(str(after), limit)
    return [record.data for record in records], last


def test_records_are_read_after_a_number() -> None:
    shard = filled(5)
    assert read(shard, 0, 2) == (["d1", "d2"], 2)
    assert read(shard, 2, None) == (["d3", "d4", "d5"], 5)
    assert read(shard, 5, 10) == ([], 5)
    assert read(BoundedShard(0, 0, 10), 0, 10) == ([], 0)


def test_the_oldest_go_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto_logs, "RECORDS_MAX", 3)
    shard = filled(5)
    assert read(shard, 0, 10) == (["d3", "d4", "d5"], 5)
    assert (shard.get_min_sequence_number(), shard.get_max_sequence_number()) == (3, 5)
    monkeypatch.setattr(moto_logs, "BYTES_MAX", 4)
    assert read(filled(5), 0, 10) == (["d4", "d5"], 5)
    shard = BoundedShard(0, 0, 10)
    shard.put_record("key", "longer than that", "")
    assert read(shard, 0, 1) == (["longer than that"], 1)


def test_records_that_are_gone_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto_logs, "RECORDS_MAX", 1)
    shard = filled(1)
    record = weakref.ref(shard.records[1])
    shard.put_record("key", "d2", "")
    gc.collect()
    assert record() is None
