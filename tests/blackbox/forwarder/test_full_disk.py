"""A forwarder whose file size is limited by the kernel, as on a full disk."""

from __future__ import annotations

import json
import resource
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.processes.gapless_processes import WAIT_S, Viewer, forwarder, wait_until
from tests.support.processes.log_writer import CLEAN, Ledger, compare, events_of, now_ms
from tests.support.processes.moto_server import raw_moto

GROUP = "/jobs/nightly"
STREAM = "job/main/aaaa"

pytestmark = pytest.mark.timeout(600)


def readiness(url: str) -> tuple[int, str]:
    """Status and body of /readyz."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=WAIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_serves_its_events_reports_the_error_and_recovers(tmp_path: Path) -> None:
    with raw_moto() as moto:
        ledger = Ledger(moto, GROUP, [STREAM])
        ledger.put(STREAM, [(now_ms(), f"before {i}") for i in range(50)])
        with forwarder(GROUP, moto.url, tmp_path) as process:
            ready = process.ready()
            with Viewer(ready["websocket"], "--since", "10m", state=tmp_path) as viewer:
                viewer.wait_shown(50)
                pid = process.popen.pid
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
                ledger.put(STREAM, [(now_ms(), f"meanwhile {i}" + "x" * 900) for i in range(500)])
                wait_until(lambda: readiness(ready["http"])[0] == 503, "the forwarder to say so")
                status, body = readiness(ready["http"])
                assert status == 503
                assert "make room" in json.dumps(body)
                with Viewer(
                    ready["websocket"], "--since", "10m", state=tmp_path, name="second"
                ) as second:
                    assert len(second.wait_shown(50)) == 50
                assert process.popen.poll() is None
                assert len(viewer.shown()) == 50
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
                viewer.wait_shown(550)
                wait_until(lambda: readiness(ready["http"])[0] == 200, "the forwarder to recover")
                viewer.wait_complete(now_ms())
                record = viewer.finish()
        warnings = [line for line in process.err.so_far() if "make room" in line]
        assert len(warnings) == 1
        assert compare(ledger.accepted, events_of(record)) == CLEAN
        ledger.close()
