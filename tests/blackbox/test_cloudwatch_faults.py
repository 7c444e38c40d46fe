"""All faults between forwarder and CloudWatch at once, on an unpatched moto server.

``make peers`` runs them one by one, longer, and with other tools.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.peers.load import STREAMS, Pattern, Plan, Writer
from tests.peers.rig import GROUP, judge
from tests.peers.tools import gapless_running
from tests.support.network.cloudwatch_faults import CloudWatchFaults, faulty_cloudwatch
from tests.support.processes.gapless_processes import wait_until
from tests.support.processes.moto_server import raw_moto

pytestmark = pytest.mark.timeout(900)

FAULTS = CloudWatchFaults(
    throttle=0.3, cut=0.3, truncate=0.2, outage_at=4, outage_calls=8, visible_within_ms=2_000
)


@pytest.mark.parametrize("pattern", ["late", "flush"])
def test_no_event_is_lost_duplicated_or_misordered_under_faults(
    pattern: Pattern, tmp_path: Path
) -> None:
    with raw_moto() as moto:
        moto.create(GROUP, *STREAMS)
        with (
            faulty_cloudwatch(moto.url, FAULTS) as url,
            gapless_running(GROUP, url, tmp_path) as gapless,
        ):
            writer = Writer(moto, GROUP, Plan(pattern, rate=300, seed=1))
            writer.run(6)
            written_ms = time.time_ns() // 1_000_000
            # Late events lie behind correct marks: the next scan of their time finds them.
            wanted = len(writer.accepted)
            wait_until(lambda: gapless.shown() >= wanted, "every event", timeout_s=400)
            wait_until(lambda: gapless.is_done(written_ms), "completeness", timeout_s=400)
            result = judge("gapless", writer.accepted, gapless.finish(), died=False)
    assert result.accepted >= 500
    assert (result.lost, result.duplicated, result.misordered) == (0, 0, 0)
