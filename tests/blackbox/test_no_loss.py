"""No event is lost, duplicated, misordered or invented, with real processes and moto.

Every test compares the accepted events with the viewer's output in strict order, and with its
record, which is the displayed timeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.network.cable import Cable
from tests.support.processes.gapless_processes import GaplessProcess, Viewer, forwarder
from tests.support.processes.log_writer import CLEAN, Ledger, Load, compare, events_of, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

GROUP = "/jobs/nightly"
STREAMS = ("job/main/aaaa", "job/main/bbbb", "job/main/cccc")

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


def settle(viewer: Viewer, ledger: Ledger) -> None:
    """Wait until the viewer is verified, then compare its output and record."""
    through = max(timestamp for _, timestamp, _ in ledger.accepted if timestamp <= now_ms())
    viewer.wait_complete(through)
    record = viewer.finish()
    assert compare(ledger.accepted, events_of(record)) == CLEAN
    assert compare(ledger.accepted, viewer.shown()) == CLEAN
    marks = [line for line in record if line["type"] == "mark"]
    assert marks
    assert marks[-1]["equal"] is True


def redirect(cable: Cable, process: GaplessProcess) -> str:
    """Send new connections to another forwarder; returns its epoch."""
    ready = process.ready()
    cable.target = urlsplit(ready["websocket"]).port or 0
    return str(ready["epoch"])


def test_a_late_viewer_gets_2000_earlier_events(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    start = now_ms()
    for number, stream in enumerate(STREAMS):
        ledger.put(
            stream, [(start - 60_000 + i * 30, f"early {i}") for i in range(number, 2001, 3)]
        )
    assert len(ledger.accepted) >= 2000
    with (
        forwarder(GROUP, moto.url, tmp_path) as process,
        Load(ledger, 100) as load,
        Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
    ):
        viewer.wait_shown(2000)
        load.run_for(2)
        load.stop()
        settle(viewer, ledger)


def test_two_disconnections_of_three_seconds_under_load(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    with forwarder(GROUP, moto.url, tmp_path) as process:
        websocket = urlsplit(process.ready()["websocket"])
        with (
            Cable(websocket.port or 0) as cable,
            Load(ledger, 200) as load,
            Viewer(f"ws://127.0.0.1:{cable.port}{websocket.path}", state=tmp_path) as viewer,
        ):
            viewer.wait_shown(100)
            for _ in range(2):
                cable.pull()
                load.run_for(3)
                cable.plug()
                viewer.wait_shown(len(viewer.shown()) + 600)
            load.stop()
            assert cable.connections >= 3
            settle(viewer, ledger)


def test_the_forwarder_killed_twice_under_load(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    first = forwarder(GROUP, moto.url, tmp_path)
    with first:
        ready = first.ready()
        websocket = urlsplit(ready["websocket"])
        epochs = {ready["epoch"]}
        with (
            # The cable keeps the port while no forwarder runs.
            Cable(websocket.port or 0) as cable,
            Load(ledger, 200) as load,
            Viewer(f"ws://127.0.0.1:{cable.port}{websocket.path}", state=tmp_path) as viewer,
        ):
            viewer.wait_shown(100)
            first.kill()
            with forwarder(GROUP, moto.url, tmp_path) as second:
                epochs.add(redirect(cable, second))
                viewer.wait_shown(len(viewer.shown()) + 600)
                second.kill()
                load.run_for(1)
                with forwarder(GROUP, moto.url, tmp_path) as third:
                    epochs.add(redirect(cable, third))
                    viewer.wait_shown(len(viewer.shown()) + 600)
                    load.stop()
                    connections = [
                        line for line in viewer.record_now() if line["type"] == "connection"
                    ]
                    settle(viewer, ledger)
    assert len(epochs) == 3
    outcomes = [line["outcome"] for line in connections]
    assert outcomes[0] == "fresh"
    assert outcomes[1:]
    assert set(outcomes[1:]) == {"resumed"}


def test_24000_events_in_one_millisecond(moto: RawMoto, ledger: Ledger, tmp_path: Path) -> None:
    with (
        forwarder(GROUP, moto.url, tmp_path) as process,
        Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
    ):
        moment = now_ms()
        for stream in STREAMS:
            ledger.put(stream, [(moment, f"{stream} {i % 7}") for i in range(8000)])
        assert len({timestamp for _, timestamp, _ in ledger.accepted}) == 1
        viewer.wait_shown(24_000)
        settle(viewer, ledger)


def test_late_and_future_events_move_no_cursor(
    moto: RawMoto, ledger: Ledger, tmp_path: Path
) -> None:
    with (
        forwarder(GROUP, moto.url, tmp_path) as process,
        Viewer(process.ready()["websocket"], "--since", "4h", state=tmp_path) as viewer,
    ):
        ledger.put(STREAMS[0], [(now_ms(), f"before {i}") for i in range(10)])
        viewer.wait_shown(10)
        ledger.put(STREAMS[1], [(now_ms() + 110 * 60_000, "from the future")])
        ledger.put(STREAMS[0], [(now_ms(), "after the future")])
        viewer.wait_shown(11)
        for late_ms, what in ((60_000, "60 s late"), (500, "half a second late")):
            ledger.put(STREAMS[2], [(now_ms() - late_ms, what)])
        ledger.put(STREAMS[2], [(now_ms() - 3 * 3_600_000, "3 h late")])
        viewer.wait_shown(14)
        ledger.put(STREAMS[0], [(now_ms(), f"afterwards {i}") for i in range(10)])
        viewer.wait_shown(24)
        settle(viewer, ledger)
