"""A middlebox refuses WebSocket upgrades, so the viewer polls over HTTP."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.forwarder.refusals import GROUP as REFUSED_GROUP
from tests.support.forwarder.refusals import REFUSALS, working
from tests.support.forwarder.scripted_cloudwatch import scripted_cloudwatch
from tests.support.network.middlebox import Middlebox
from tests.support.processes.gapless_processes import GaplessProcess, Viewer, forwarder, wait_until
from tests.support.processes.log_writer import CLEAN, Ledger, compare, events_of, now_ms
from tests.support.processes.moto_server import raw_moto

GROUP = "/jobs/behind-a-middlebox"
STREAMS = ("job/main/aaaa", "job/main/bbbb")

pytestmark = pytest.mark.timeout(600)


def test_polling_brings_and_verifies_history_and_live_events(tmp_path: Path) -> None:
    with raw_moto() as moto:
        ledger = Ledger(moto, GROUP, STREAMS)
        start = now_ms()
        ledger.put(STREAMS[0], [(start - 60_000 + i, f"early {i}") for i in range(500)])
        with forwarder(GROUP, moto.url, tmp_path) as process:
            websocket = urlsplit(process.ready()["websocket"])
            with Middlebox(websocket.port or 0) as box:
                url = f"ws://127.0.0.1:{box.port}{websocket.path}"
                with Viewer(url, "--since", "10m", state=tmp_path) as viewer:
                    viewer.wait_shown(500)
                    ledger.put(STREAMS[1], [(now_ms(), f"present {i}") for i in range(100)])
                    viewer.wait_shown(600)
                    viewer.wait_complete(max(when for _, when, _ in ledger.accepted))
                    record = viewer.finish()
                    shown = viewer.shown()
                assert box.refused >= 1
                assert any(path.startswith("/v1/logs") for path in box.passed)
                assert any(path.startswith("/v1/digest") for path in box.passed)
        ledger.close()
    assert compare(ledger.accepted, events_of(record)) == CLEAN
    assert compare(ledger.accepted, shown) == CLEAN


def test_polling_brings_the_reason_for_which_cloudwatch_refuses(tmp_path: Path) -> None:
    refused = REFUSALS["denied"]
    with (
        scripted_cloudwatch(working()) as cloudwatch,
        forwarder(REFUSED_GROUP, cloudwatch.url, tmp_path) as process,
        Middlebox(urlsplit(process.ready()["websocket"]).port or 0) as box,
    ):
        url = f"ws://127.0.0.1:{box.port}/v1/tail"
        follow = ("tail", url, "--since", "10m", "--output", "text")
        with GaplessProcess(*follow, state=tmp_path) as viewer:

            def is_said(text: str) -> bool:
                return any(text in line for line in viewer.err.so_far())

            viewer.out.wait_for(3, "lines")
            works, cloudwatch.default = cloudwatch.default, lambda _: refused.reply
            wait_until(lambda: is_said(refused.text), "the reason")
            cloudwatch.default = works
            wait_until(lambda: is_said("can be read again"), "the all-clear")
        assert box.refused >= 1
