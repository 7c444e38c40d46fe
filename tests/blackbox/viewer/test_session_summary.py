"""What a demonstration leaves on the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
        assert demo.wait_end() == 0
        _, _, summary = demo.written.rpartition("Session of ")
        assert re.match(r"[0-9].* s: (PASS|WAIT) ", summary)
        assert "1 fault, 1 outage" in summary
        row = next(line for line in summary.splitlines() if line.startswith("disconnect"))
        assert "reconnecting" in row
        # Not the log lines, which may say FAILED.
        assert not re.search(r"\bFAIL\b", demo.written)


def test_the_summary_does_not_depend_on_the_record(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    record = folder / "r.ndjson"
    with TerminalProcess("demo", "--record", str(record), state=tmp_path / "state") as demo:
        demo.wait_for("PASS")
        folder.rmdir()
        demo.press("q")
        assert demo.wait_end() == 1
        assert re.search(r"Session of [0-9].* s: (PASS|WAIT) ", demo.written)
        assert "cannot write the record" in demo.written
