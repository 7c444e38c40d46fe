"""Forwarder and viewer started with ``nohup`` survive a SIGHUP."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes.gapless_processes import Viewer, forwarder
from tests.support.processes.log_writer import CLEAN, Ledger, compare, now_ms
from tests.support.processes.moto_server import raw_moto

GROUP: Final = "/jobs/nightly"
STREAM: Final = "job/main/aaaa"

NOHUP: Final = (
    "-c",
    (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'gapless', *sys.argv[1:]])"
    ),
)

pytestmark = pytest.mark.timeout(600)


def test_a_hangup_ends_neither_forwarder_nor_viewer(tmp_path: Path) -> None:
    with raw_moto() as moto:
        ledger = Ledger(moto, GROUP, (STREAM,))
        with forwarder(GROUP, moto.url, tmp_path, program=NOHUP) as process:
            target = process.ready()["websocket"]
            ledger.put(STREAM, [(now_ms(), "before")])
            with Viewer(target, "--since", "10m", state=tmp_path, program=NOHUP) as viewer:
                viewer.wait_shown(1)
                for one in (process, viewer):
                    one.send(signal.SIGHUP)
                ledger.put(STREAM, [(now_ms(), "after")])
                viewer.wait_shown(2)
                assert compare(ledger.accepted, viewer.shown()) == CLEAN
                assert viewer.end(signal.SIGTERM) == 128 + signal.SIGTERM
            assert process.end(signal.SIGTERM) == 0
        ledger.close()
