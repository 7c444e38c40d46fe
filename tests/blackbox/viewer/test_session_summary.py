"""What a demonstration leaves on the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.processes.gapless_processes import WAIT_S
from tests.support.pseudo_terminal import TerminalProcess

pytestmark = pytest.mark.timeout(600)


def test_a_demo_ends_with_a_summary_of_faults_and_recoveries(tmp_path: Path) -> None:
    with TerminalProcess("demo", state=tmp_path) as demo:
        demo.wait_for("PASS")
        demo.press("p")
        demo.wait_for("RECONNECTING")
        demo.press("p")
        demo.wait_for("recovered")
        demo.press("q")
        assert demo.popen.wait(WAIT_S) == 0
        _, _, summary = demo.written.rpartition("Session of ")
        assert re.match(r"[0-9].* s: (PASS|WAIT) ", summary)
        assert "1 fault, 1 outage" in summary
        row = next(line for line in summary.splitlines() if line.startswith("disconnect"))
        assert "reconnecting" in row
        # Not the log lines, which may say FAILED.
        assert not re.search(r"\bFAIL\b", demo.written)
