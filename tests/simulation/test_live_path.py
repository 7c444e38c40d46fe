"""Runs with a live path that omits, duplicates, swaps, delays and invents events.

No run may have a fault; without any one of the rules that ensure this, some run has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from forwarder.ingest.live_check import Agreement, UnscannedRow
from forwarder.ingest.scan import Scan
from tests.simulation.judge import FaultError, Kind
from tests.simulation.live_path import run
from wire.limits import TIMESTAMP_MAX

RUNS = 80
CHUNK = 40
unseen = Agreement.unscanned_rows


@pytest.mark.parametrize("first", range(0, RUNS, CHUNK))
def test_an_unreliable_live_path_changes_nothing_but_latency(first: int) -> None:
    rows = marks = refuted = 0
    for seed in range(first, first + CHUNK):
        world = run(seed)
        rows += world.rows
        marks += world.judge.marks
        refuted += world.refuted
    assert rows > 20 * CHUNK
    assert marks > 10 * CHUNK
    assert refuted > 0


def admits(*_: object) -> bool:
    """Do not compare ids."""
    return True


def finished(*_: object) -> None:
    """Keep rows that no scan returns."""


def unbounded(self: Agreement, scan: Scan) -> list[UnscannedRow]:
    """Let marks cover rows that are not visible yet."""
    return [replace(one, timestamp=TIMESTAMP_MAX) for one in unseen(self, scan)]


@pytest.mark.parametrize(
    ("name", "instead", "kinds"),
    [
        ("admits", admits, {Kind.ALTERED, Kind.UNEXPECTED}),
        ("finish_scan", finished, {Kind.NEVER_CONVERGES}),
        ("unscanned_rows", unbounded, {Kind.FALSE_GREEN}),
    ],
)
def test_without_the_rule_its_fault_is_found(
    name: str, instead: Callable[..., Any], kinds: set[Kind]
) -> None:
    with patch.object(Agreement, name, instead), pytest.raises(FaultError) as found:
        _run_all()
    assert found.value.kind in kinds


def _run_all() -> None:
    for seed in range(RUNS):
        run(seed)
