from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.house import recorder, trace

PROGRAM = """
import os, signal, threading
import tui.rows, tui.only_imported, other
tui.rows.draw()
thread = threading.Thread(target=tui.rows.Rows().store)
thread.start()
thread.join()
other.work()
os.kill(os.getpid(), signal.SIGUSR2)
tui.rows.draw()
os.kill(os.getpid(), signal.SIGUSR2)
"""


def test_the_recorder_names_the_functions_that_ran_since_the_last_signal(tmp_path: Path) -> None:
    files = {
        "gapless/__init__.py": "",  # with it, no installed package of that name comes first
        "tui/__init__.py": "",
        "gapless/__main__.py": PROGRAM,
        "tui/rows.py": "def draw(): return [x for x in 'ab']\nclass Rows:\n def store(self): ...\n",
        "tui/only_imported.py": "class Line:\n width = 1\ndef unused(): ...\n",
        "other/__init__.py": "def work(): ...\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    program = [sys.executable, "-P", recorder.__file__, str(tmp_path), str(tmp_path)]
    subprocess.run([*program, "gapless,tui"], check=True, cwd=tmp_path)
    reports = [json.loads((tmp_path / f"{number}.json").read_text()) for number in (1, 2)]
    assert reports == [["tui/rows.py:Rows.store", "tui/rows.py:draw"], ["tui/rows.py:draw"]]


def example() -> trace.Trace:
    polled = {"forwarder/feed.py:Feed.poll", "wire/codec.py:encode"}
    drawn = {"tui/rows.py:draw", "tui/rows.py:clock", "wire/codec.py:encode_row"}
    return trace.Trace(
        events=(
            frozenset({*polled, *drawn, "tui/state.py:save"}),
            frozenset({*polled, *drawn, "gapless/runs.py:touch"}),
        ),
        idle=frozenset({*polled, "tui/rows.py:clock", "gapless/runs.py:touch"}),
    )


def test_a_file_counts_that_ran_for_every_event() -> None:
    found = example()
    assert found.passed == {"forwarder/feed.py", "tui/rows.py", "wire/codec.py"}
    assert found.sometimes == {"tui/state.py", "gapless/runs.py"}


def test_an_event_causes_what_never_runs_without_one() -> None:
    assert example().caused == {"tui/rows.py", "wire/codec.py"}


def test_the_report_counts_by_package_and_names_functions_on_request() -> None:
    rows = [line.split() for line in trace.report(example(), verbose=False).splitlines()]
    assert rows[2:] == [
        ["wire", "1", "1", "0"],
        ["forwarder", "1", "0", "0"],
        ["tui", "1", "1", "1"],
        ["gapless", "0", "0", "1"],
        ["all", "3", "2", "2"],
    ]
    assert "* tui/rows.py: clock, *draw" in trace.report(example(), verbose=True).splitlines()
