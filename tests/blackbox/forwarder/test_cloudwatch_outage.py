"""CloudWatch becomes unreachable, or its log group is recreated.

The forwarder reaches moto through a cable that tests disconnect; writers use moto directly.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.network.cable import Cable
from tests.support.processes.gapless_processes import Viewer, forwarder, wait_until
from tests.support.processes.log_writer import CLEAN, Ledger, Load, compare, events_of, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

GROUP = "/jobs/nightly"
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


def of_type(viewer: Viewer, kind: str) -> list[dict[str, Any]]:
    """The lines of one type in the viewer's current record."""
    return [line for line in viewer.record_now() if line["type"] == kind]


def test_an_outage_is_a_gap_until_it_is_repaired(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    with (
        Cable(urlsplit(moto.url).port or 0) as cable,
        forwarder(GROUP, f"http://127.0.0.1:{cable.port}", tmp_path) as process,
        Load(ledger, 20) as load,
        Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
    ):
        viewer.wait_shown(20)
        cable.pull()
        wait_until(
            lambda: any(gap["state"] == "suspected" for gap in of_type(viewer, "gap")),
            "a suspected gap during the outage",
        )
        shown = len(viewer.shown())
        assert shown < len(ledger.accepted)
        [gap] = of_type(viewer, "gap")
        assert gap["reason"].startswith("CloudWatch Logs could not be read: ")
        cable.plug()
        wait_until(
            lambda: [gap["state"] for gap in of_type(viewer, "gap")] == ["repaired"],
            "its repair",
        )
        [gap] = of_type(viewer, "gap")
        assert gap["recovered"] > 0
        load.stop()
        viewer.wait_complete(max(timestamp for _, timestamp, _ in ledger.accepted))
        record = viewer.finish()
        assert compare(ledger.accepted, events_of(record)) == CLEAN
        assert compare(ledger.accepted, viewer.shown()) == CLEAN


def test_a_recreated_group_is_verified_again(moto: RawMoto, ledger: Ledger, tmp_path: Path) -> None:
    with (
        forwarder(GROUP, moto.url, tmp_path) as process,
        Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
    ):
        ledger.put(STREAMS[0], [(now_ms(), f"old {number}") for number in range(10)])
        viewer.wait_shown(10)
        client = moto.client()
        try:
            client.delete_log_group(logGroupName=GROUP)
        finally:
            client.close()
        moto.create(GROUP, *STREAMS)
        moment = now_ms()
        ledger.put(STREAMS[0], [(moment, f"new {number}") for number in range(10)])
        viewer.wait_shown(20)
        # The viewer learns of the epoch by a connection or by polling.
        message = "can no longer be verified: the forwarder began"
        wait_until(lambda: any(message in line for line in viewer.err.so_far()), "the new epoch")
        viewer.wait_complete(moment)
        messages = [line["message"] for line in viewer.shown()]
        assert [one for one in messages if one.startswith("new")] == [
            f"new {number}" for number in range(10)
        ]


def test_a_range_longer_than_a_new_groups_retention_is_verified(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    client = moto.client()
    try:
        client.put_retention_policy(logGroupName=GROUP, retentionInDays=7)
    finally:
        client.close()
    moment = now_ms()
    ledger.put(STREAMS[0], [(moment, "one")])
    with (
        forwarder(GROUP, moto.url, tmp_path) as process,
        Viewer(process.ready()["websocket"], "--since", "30d", state=tmp_path) as viewer,
    ):
        viewer.wait_shown(1)
        viewer.wait_complete(moment)
        assert of_type(viewer, "gap") == []
