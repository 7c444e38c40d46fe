"""Everything that goes wrong between forwarder and CloudWatch, at once, on raw moto.

``make peers`` runs these one by one and for longer, beside other tools.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.peers.load import STREAMS, Habit, Plan, Writing
from tests.peers.rig import GROUP, judge
from tests.peers.tools import gapless_running
from tests.support.network.cloudwatch_faults import CloudWatchFaults, faulty_cloudwatch
from tests.support.processes.gapless_processes import wait_until
from tests.support.processes.moto_server import raw_moto

pytestmark = pytest.mark.timeout(900)

WEATHER = CloudWatchFaults(
    throttle=0.3, cut=0.3, truncate=0.2, outage_at=4, outage_calls=8, visible_within_ms=2_000
)


@pytest.mark.parametrize("habit", ["late", "flush"])
def test_nothing_is_lost_doubled_or_out_of_place_in_bad_weather(
    habit: Habit, tmp_path: Path
) -> None:
    with raw_moto() as moto:
        moto.create(GROUP, *STREAMS)
        with (
            faulty_cloudwatch(moto.url, WEATHER) as url,
            gapless_running(GROUP, url, tmp_path) as gapless,
        ):
            writing = Writing(moto, GROUP, Plan(habit, rate=300, seed=1))
            writing.run(6)
            written_ms = time.time_ns() // 1_000_000
            # What is late is behind marks that were true: the next scan of its time finds it.
            wanted = len(writing.accepted)
            wait_until(lambda: gapless.shown() >= wanted, "every event", timeout_s=400)
            wait_until(lambda: gapless.is_done(written_ms), "completeness", timeout_s=400)
            result = judge("gapless", writing.accepted, gapless.finish(), died=False)
    assert result.accepted >= 500
    assert (result.lost, result.doubled, result.misordered) == (0, 0, 0)
