"""A new screen resumes at the saved cursor, even after SIGKILL."""

from __future__ import annotations

import contextlib
import json
import signal
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.processes.gapless_processes import forwarder, read_record, wait_until
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import raw_moto
from tests.support.pseudo_terminal import TerminalProcess

pytestmark = pytest.mark.timeout(600)

GROUP, STREAM = "/jobs/resume", "job/main/aaaa"


def saved_after(state: Path) -> int:
    """The seq of the cursor that the killed viewer saved."""
    files = list(state.glob("**/cursors/*.json"))
    return int(json.loads(files[0].read_text())["after"]) if files else 0


def head_of(http: str) -> int:
    """Number of events that the forwarder has discovered."""
    with urlopen(f"{http}/v1/logs?since=0&through=0") as answer:
        return int(json.load(answer)["head_seq"])


def test_a_resume_after_sigkill_is_exact_and_new_lines_are_marked(
    tmp_path: Path,
) -> None:
    record = tmp_path / "record.ndjson"
    with raw_moto() as moto, contextlib.ExitStack() as stack:
        moto.create(GROUP, STREAM)
        moto.put(GROUP, STREAM, [(now_ms() - 2_000 + i, f"before {i}") for i in range(40)])
        process = stack.enter_context(forwarder(GROUP, moto.url, tmp_path))
        url = process.ready()["websocket"]
        with TerminalProcess("tail", url, state=tmp_path) as screen:
            screen.wait_for("before 39")
            wait_until(lambda: saved_after(tmp_path) >= 40, "a saved cursor")
            screen.popen.send_signal(signal.SIGKILL)
            screen.popen.wait(60)
        moto.put(GROUP, STREAM, [(now_ms() + i, f"since {i}") for i in range(203)])
        http = process.ready()["http"]
        wait_until(lambda: head_of(http) == 243, "the new lines in the forwarder")
        with TerminalProcess("tail", url, "--record", str(record), state=tmp_path) as screen:
            screen.wait_for("203 lines since you left")
            screen.wait_for("since 202")
            screen.wait_for("COMPLETE")
            screen.press("g")
            screen.wait_for("before 0")
            screen.press("q")
            wait_until(lambda: screen.popen.poll() is not None, "the end")
            assert screen.popen.returncode == 0
            assert screen.attributes() == screen.before
    shown = Counter(entry["message"] for entry in read_record(record) if entry["type"] == "event")
    expected = [f"before {i}" for i in range(40)] + [f"since {i}" for i in range(203)]
    assert shown == Counter(expected)


def test_the_terminal_is_restored_after_a_failed_start(
    tmp_path: Path,
) -> None:
    with TerminalProcess("tail", "ws://127.0.0.1:1/x", "--level", "no", state=tmp_path) as screen:
        assert screen.popen.wait(60) == 2
        screen.wait_for("gapless: ")
        assert screen.written.index("\x1b[?1049h") < screen.written.index("\x1b[?1049l")
        assert screen.written.index("\x1b[?1049l") < screen.written.index("gapless: ")
        assert screen.attributes() == screen.before
