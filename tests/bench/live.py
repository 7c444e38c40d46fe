"""Time from PutLogEvents to the viewer's output on moto, with Kinesis and with polls only.

moto sorts a whole stream for every scan, so long runs would measure moto.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgspec

from tests.support.forwarder.kinesis import kinesis_stream
from tests.support.processes.gapless_processes import GaplessProcess, forwarder, wait_until
from tests.support.processes.log_writer import Ledger, Load
from tests.support.processes.moto_server import raw_moto

GROUP = "/bench/live"
STREAMS = ("job/main/aaaa", "job/main/bbbb")
SHARDS = 2
WARM_UP_S = 3.0
"""Time for the live path to become active; events written before are not counted."""


class LiveReport(msgspec.Struct):
    """Results of one run; lags in ms."""

    live: str
    rate: int
    events: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def measure(live: str, rate: int, seconds: float) -> LiveReport:
    """Run moto, forwarder and viewer as processes, and time every event after the warm-up."""
    with (
        tempfile.TemporaryDirectory() as folder,
        raw_moto() as moto,
        kinesis_stream(moto, "bench", SHARDS) as stream,
    ):
        ledger = Ledger(moto, GROUP, STREAMS)
        stream.subscribe(GROUP)
        state = Path(folder)
        with forwarder(GROUP, moto.url, state, "--live", live) as process:
            websocket = process.ready()["websocket"]
            options = ("--output", "json", "--order", "arrival")
            with GaplessProcess("tail", websocket, *options, state=state) as viewer:
                with Load(ledger, rate, tag="first") as load:
                    load.run_for(WARM_UP_S)
                    load.stop()
                first = len(ledger.accepted)
                wait_until(lambda: len(viewer.out.so_far()) >= first, "the first events")
                with Load(ledger, rate) as load:
                    load.run_for(seconds)
                    load.stop()
                viewer.out.wait_for(len(ledger.accepted), "events")
                stamped = [(at, json.loads(line)) for at, line in viewer.out.stamped()]
        ledger.close()
    lags = sorted(
        at / 1e6 - one["timestamp"] for at, one in stamped if one["message"].startswith("load")
    )
    return LiveReport(
        live=live,
        rate=rate,
        events=len(lags),
        p50_ms=lags[len(lags) // 2],
        p99_ms=lags[len(lags) * 99 // 100],
        max_ms=lags[-1],
    )
