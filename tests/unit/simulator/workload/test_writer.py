from __future__ import annotations

import queue
from collections.abc import Iterable, Sequence

import pytest

from simulator.acceptance import NewEvent
from simulator.oracle.ledger import Ledger
from simulator.workload.workload import Workload
from simulator.workload.writer import Writer
from tests.support.processes.gapless_processes import WAIT_S

NOW_MS = 1_800_000_000_000


def test_whatever_stops_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    failures: queue.Queue[str] = queue.Queue()
    writer = Writer(
        Workload(5, 20, 4, started_ms=NOW_MS),
        Ledger(),
        endpoint="http://127.0.0.1:1",
        region="us-east-1",
        group="/g",
        now_ms=lambda: NOW_MS,
        failed=failures.put,
    )

    def compose(now_ms: int, streams: Sequence[str]) -> Iterable[NewEvent]:
        msg = f"nothing for {len(streams)} streams at {now_ms}"
        raise RuntimeError(msg)

    writer.pause()
    writer.submit(compose)
    writer.start()
    writer.open()
    said = failures.get(timeout=WAIT_S)
    assert said.startswith("cannot write the workload: RuntimeError: nothing for 4 streams")
    assert writer.history_written.wait(WAIT_S)
    writer.stop()
    assert "RuntimeError" in capsys.readouterr().err
