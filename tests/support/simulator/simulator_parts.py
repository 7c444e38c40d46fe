"""The parts that the control API controls, without processes and with recorded harms."""

from __future__ import annotations

import pytest

from simulator.control import Changes, Parts
from simulator.faults.board import Board, FaultRequest
from simulator.oracle.ledger import Ledger
from simulator.programs.forwarder import ForwarderProcess
from simulator.programs.viewers import Viewers
from simulator.scenarios.base import Inject, Scenario, Step
from simulator.scenarios.conductor import Conductor
from simulator.workload.workload import Workload
from simulator.workload.writer import Writer
from tests.support.simulator.harm_recorder import HarmRecorder

NOW_MS = 1_800_000_000_000
SCENARIOS = {
    "cable": Scenario(
        "cable",
        "The cable is out for a day.",
        lambda _: [Step(0, Inject(FaultRequest(type="disconnect")), "out"), Step(86_400_000)],
    )
}


def make_parts() -> Parts:
    """Create a simulator's parts without processes; its history is already written."""
    ledger = Ledger()
    workload = Workload(5, 20, 4, started_ms=NOW_MS)
    writer = Writer(
        workload,
        ledger,
        endpoint="http://127.0.0.1:1",
        region="us-east-1",
        group="/g",
        now_ms=lambda: NOW_MS,
        failed=pytest.fail,
    )
    changes = Changes()
    levers = HarmRecorder()
    board = Board(
        levers.begin,
        levers.end,
        5,
        lambda: NOW_MS,
        changes.announce,
        affected=levers.affected,
    )
    for batch in workload.take_due(NOW_MS):
        ledger.offer(batch.events)
        ledger.accept(batch.events, sent_ms=NOW_MS, accepted_ms=NOW_MS)
    forwarder = ForwarderProcess(
        [], {}, None, moved=print, failed=pytest.fail, changed=changes.announce
    )
    conductor = Conductor(board, writer.pause, writer.resume, changes.announce, scenarios=SCENARIOS)
    return Parts(
        board,
        ledger,
        workload,
        writer,
        lambda: NOW_MS,
        changes,
        Viewers(),
        forwarder,
        conductor,
    )
