"""The live path by subscription filter, black box: moto's Kinesis, the real forwarder and viewer.

Whatever happens to the stream, every event arrives once and in order; only the latency changes.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.forwarder.kinesis import kinesis_stream, record
from tests.support.processes.gapless_processes import (
    WAIT_S,
    GaplessProcess,
    Viewer,
    forwarder,
    wait_until,
)
from tests.support.processes.log_writer import CLEAN, Ledger, Load, compare, events_of, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

GROUP = "/jobs/live"
STREAMS = ("job/main/aaaa", "job/main/bbbb")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture
def ledger(moto: RawMoto) -> Iterator[Ledger]:
    one = Ledger(moto, GROUP, STREAMS)
    yield one
    one.close()


def asked(process: GaplessProcess, path: str) -> str:
    with urllib.request.urlopen(process.ready()["http"] + path, timeout=60) as answer:
        body: bytes = answer.read()
    return body.decode()


def live(process: GaplessProcess) -> dict[str, Any]:
    (one,) = json.loads(asked(process, "/v1/groups?detail"))
    assert one["group"] == GROUP
    found: dict[str, Any] = one["live"]
    return found


def wait_state(process: GaplessProcess, state: str) -> None:
    wait_until(lambda: live(process)["state"] == state, f"the live path to be {state}")


def counted(process: GaplessProcess, metric: str, outcome: str) -> float:
    head = f'{metric}{{group="{GROUP}",outcome="{outcome}"}} '
    (line,) = [one for one in asked(process, "/metrics").splitlines() if one.startswith(head)]
    return float(line.removeprefix(head))


def is_counted(process: GaplessProcess, outcome: str) -> bool:
    return counted(process, "gapless_live_records_total", outcome) > 0


def settle(viewer: Viewer, ledger: Ledger) -> None:
    through = max(timestamp for _, timestamp, _ in ledger.accepted)
    viewer.wait_shown(len(ledger.accepted))
    viewer.wait_complete(through)
    record = viewer.finish()
    assert compare(ledger.accepted, events_of(record)) == CLEAN
    assert compare(ledger.accepted, viewer.shown()) == CLEAN
    assert [line for line in record if line["type"] == "mark"][-1]["equal"] is True


def test_a_named_stream_with_a_split_and_foreign_records(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    with kinesis_stream(moto, "events") as stream:
        stream.subscribe(GROUP)
        moto.create("/jobs/other", "s")
        stream.subscribe("/jobs/other")
        with (
            forwarder(GROUP, moto.url, tmp_path, "--live", "kinesis:events") as process,
            Viewer(process.ready()["websocket"], state=tmp_path) as viewer,
            Load(ledger, 200) as load,
        ):
            wait_state(process, "live")
            moto.put("/jobs/other", "s", [(now_ms(), "not yours")])
            stream.put(b"rubbish")
            stream.put(record(GROUP, "", (), kind="CONTROL_MESSAGE"))
            # Another account may have a log group with the same name.
            foreign = record(GROUP, STREAMS[0], [("77", now_ms(), "planted")], owner="999999999999")
            stream.put(foreign)
            rows = counted(process, "gapless_live_events_total", "rows")
            stream.split()
            wait_until(
                lambda: counted(process, "gapless_live_events_total", "rows") >= rows + 400,
                "rows after the split",
            )
            for outcome in ("malformed", "control", "foreign"):
                # Their shard may be read after the others.
                wait_until(
                    partial(is_counted, process, outcome),
                    f"a record that is {outcome} to be counted",
                )
                assert counted(process, "gapless_live_records_total", outcome) == 1
            load.stop()
            settle(viewer, ledger)


def test_a_discovered_stream_that_is_deleted(moto: RawMoto, ledger: Ledger, tmp_path: Path) -> None:
    with kinesis_stream(moto, "events") as stream:
        stream.subscribe(GROUP)
        with (
            forwarder(GROUP, moto.url, tmp_path, "--live", "auto") as process,
            Viewer(process.ready()["websocket"], state=tmp_path) as viewer,
        ):
            with Load(ledger, 200) as load:
                wait_state(process, "live")
                assert live(process)["path"] == f"kinesis:{stream.arn}"
                load.stop()
            # moto stores the events, then fails PutLogEvents as the destination is gone.
            stream.unsubscribe(GROUP)
            stream.delete()
            wait_state(process, "down")
            assert "there is no Kinesis stream 'events'" in live(process)["why"]
            with Load(ledger, 200, tag="afterwards") as load:
                viewer.wait_shown(len(ledger.accepted) + 200)
                load.stop()
            settle(viewer, ledger)
        gone = "there is no Kinesis stream 'events'"
        warned = [line for line in process.err.so_far() if gone in line and "(polling" in line]
        assert len(warned) == 1
        assert GROUP in warned[0]


def test_a_partial_subscription_filter_is_not_used(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    with kinesis_stream(moto, "events") as stream:
        stream.subscribe(GROUP, pattern="ERROR")
        with (
            forwarder(GROUP, moto.url, tmp_path, "--live", "auto") as process,
            Viewer(process.ready()["websocket"], state=tmp_path) as viewer,
        ):
            wait_until(lambda: live(process)["why"] is not None, "the filter to be looked up")
            assert live(process)["state"] == "poll"
            assert "lets only some events through" in live(process)["why"]
            with Load(ledger, 100) as load:
                viewer.wait_shown(100)
                load.stop()
            settle(viewer, ledger)


def test_an_unknown_stream_is_an_error(moto: RawMoto, tmp_path: Path) -> None:
    moto.create(GROUP)
    with forwarder(GROUP, moto.url, tmp_path, "--live", "kinesis:evnets") as process:
        assert process.popen.wait(WAIT_S) == 2
        errors = [line for line in process.err.wait_end() if line.startswith("gapless: ")]
        assert errors == [
            "gapless: there is no Kinesis stream 'evnets': check the name, --profile and --region"
        ]
