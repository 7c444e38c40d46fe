"""``gapless replay`` as a command: what a record has, it prints and shows."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.support.processes.gapless_processes import WAIT_S, clean_environment, wait_until
from tests.support.pseudo_terminal import TerminalProcess
from tests.support.viewer.recordings import Entry, header, incident, write

LINES = 100_000


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    """A minute of 100,000 lines, with an outage and a gap."""
    few = incident(60)
    events = [
        few[1 + number * 60 // LINES]
        | {
            "seq": number,
            "id": str(10**55 + number),
            "message": f"line-{number} level={number % 7}",
        }
        for number in range(LINES)
    ]
    return [few[0], *events, *few[61:]]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> Path:
    return write(tmp_path_factory.mktemp("replay") / "big.ndjson", entries)


def run(
    state: Path,
    *arguments: str,
    stdin: bytes = b"",
    stdout: int = subprocess.PIPE,
    **settings: str,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "gapless", "replay", *arguments],
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=clean_environment(state, settings),
        timeout=WAIT_S,
        check=False,
    )


def messages(printed: bytes) -> list[str]:
    return [json.loads(line)["message"] for line in printed.splitlines()]


def test_all_lines_are_printed_in_the_order_of_the_record(
    tmp_path: Path, record: Path, entries: list[Entry]
) -> None:
    found = run(tmp_path, str(record), "--output", "json")
    assert (found.returncode, found.stderr) == (0, b"")
    assert messages(found.stdout) == [one["message"] for one in entries if one["type"] == "event"]


def test_a_speed_among_the_settings_is_for_the_screen(tmp_path: Path) -> None:
    log = b'{"ts": 1, "msg": "a"}\n'
    found = run(tmp_path, "-", "--output", "raw", stdin=log, GAPLESS_SPEED="10")
    assert (found.returncode, found.stderr) == (0, b"")
    found = run(tmp_path, "-", "--output", "raw", "--speed", "10", stdin=log)
    assert (found.returncode, found.stdout) == (2, b"")


def test_filters_select_lines(tmp_path: Path, record: Path) -> None:
    found = run(tmp_path, str(record), "--output", "raw", "--grep", "level=3", "--exclude", "1")
    expected = [
        f"line-{number} level=3"
        for number in range(LINES)
        if number % 7 == 3 and "1" not in f"line-{number} level=3"
    ]
    assert found.stdout.decode().splitlines() == expected


def test_a_truncated_record_is_printed_as_far_as_it_goes(tmp_path: Path, record: Path) -> None:
    data = record.read_bytes()[:1_000_000]
    found = run(tmp_path, "-", "--output", "json", stdin=data)
    assert messages(found.stdout) == [json.loads(one)["message"] for one in data.split(b"\n")[1:-1]]
    assert found.returncode == 0
    assert b"standard input: truncated: shown as far as it goes" in found.stderr


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path, record: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` does after its lines
    found = run(tmp_path, str(record), "--output", "json", stdout=writing)
    os.close(writing)
    assert (found.returncode, found.stderr) == (0, b"")


def test_output_that_finds_no_room_is_not_blamed_on_the_record(
    tmp_path: Path, record: Path
) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        found = run(tmp_path, str(record), "--output", "json", stdout=full.fileno())
    assert found.returncode == 1
    assert b"the output could not be written (No space left on device)" in found.stderr


def test_half_of_a_surrogate_pair_does_not_make_a_line_unusable(tmp_path: Path) -> None:
    half = {"timestamp": 1_700_000_000_000, "message": "cut \ud83d", "logger": "a\udc00"}
    event = half | {"eventId": "7", "logStreamName": "s"}
    log = "".join(json.dumps(one) + "\n" for one in (half, event)).encode()
    found = run(tmp_path, "-", "--output", "json", stdin=log)
    assert (found.returncode, found.stderr) == (0, b"")
    shown = [json.loads(line) for line in found.stdout.splitlines()]
    assert {one["log_stream"] for one in shown} == {"a\ufffd", "s"}
    assert "cut \ufffd" in messages(found.stdout)


@pytest.mark.parametrize("speed", ["1", "100", "max"])
def test_the_screen_plays_a_record(tmp_path: Path, record: Path, speed: str) -> None:
    words = ("replay", str(record), "--speed", speed, "--grep", "level=0")
    with TerminalProcess(*words, state=tmp_path) as terminal:
        terminal.wait_for("REPLAY")
        terminal.wait_for("of 1m00s")
        terminal.press("}")
        terminal.wait_for("REPLAY at its end")
        terminal.wait_for("line-99995")
        terminal.wait_for("as recorded:")
        terminal.wait_for("14,286 of 100,000 lines")
        terminal.press("q")
        assert terminal.popen.wait(WAIT_S) == 0


def test_a_screen_that_was_stopped_from_elsewhere_goes_on_as_before(
    tmp_path: Path, record: Path
) -> None:
    def is_entered(times: int) -> bool:
        return terminal.written.count("\x1b[?1049h") == times

    with TerminalProcess("replay", str(record), "--speed", "max", state=tmp_path) as terminal:
        terminal.wait_for("REPLAY at its end")
        process = psutil.Process(terminal.popen.pid)
        threads = process.num_threads()
        for times in range(2, 5):
            process.send_signal(signal.SIGSTOP)
            wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "the stop")
            process.send_signal(signal.SIGCONT)
            wait_until(partial(is_entered, times), "its screen")
        # As many as before: a second one would take a part of the keys.
        wait_until(lambda: process.num_threads() <= threads, "the former input's end")
        terminal.press("q")
        assert terminal.wait_end() == 0
        assert "Traceback" not in terminal.written


def test_a_pipe_is_played_with_keys_from_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path / "log", [{"ts": 1_700_000_000 + at, "msg": f"m{at}"} for at in range(9)])
    command = f"cat {path} | {shlex.quote(sys.executable)} -m gapless replay -"
    program = ("-c", "import os, sys; os.execvp('sh', ['sh', '-c', sys.argv[1]])", command)
    with TerminalProcess(state=tmp_path, program=program) as terminal:
        terminal.wait_for("m8")
        terminal.press("q")
        assert terminal.popen.wait(WAIT_S) == 0


MALFORMED = {
    "empty": (b"", "nothing in standard input can be replayed (it is empty)"),
    "blank": (b"\n\n", "nothing in standard input can be replayed (it is empty)"),
    "text": (b"hello\n", "(line 1: it is not a JSON object)"),
    "second line": (b"\nhello\n", "(line 2: it is not a JSON object)"),
    "no time": (b'{"msg": "x"}\n', "(line 1: it has no time in a field ts, time, "),
    "not a time": (b'{"ts": "noon"}\n', "(line 1: 'noon' is not a time: give ISO 8601"),
    "list": (b"[1]\n", "(line 1: it is not a JSON object)"),
    "binary": (bytes(range(256)) * 9, "it is not a JSON object"),
    "gzip": (b"\x1f\x8b\x08\x00xxxx\n", "(it cannot be decompressed)"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04", "by zstd: zstd -dc FILE | gapless replay -"),
    "UTF-16": ('{"ts": 1}\n'.encode("utf-16"), "is UTF-16: iconv -f UTF-16 -t UTF-8 FILE | "),
    "cut header": (b'{"type": "record", "vers', "it is not a JSON object"),
    "deep": (b"[" * 200_000 + b"\n", "it is not a JSON object"),
    "later version": (
        json.dumps(header(version=9)).encode() + b"\n",
        "it is a record of version 9: install a later gapless",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_file_without_anything_usable_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    data, reason = MALFORMED[name]
    found = run(tmp_path, "-", "--output", "json", stdin=data)
    error = found.stderr.decode()
    assert (found.returncode, found.stdout) == (2, b"")
    assert reason in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["/nowhere/x.ndjson"], "does not exist"),
        (["/"], "Is a directory"),
        (["-", "--speed", "0"], "give a number from 1 to 100, or max"),
        (["-", "--speed", "101"], "give a number from 1 to 100, or max"),
        (["-", "--speed", "nan"], "give a number from 1 to 100, or max"),
        (["-", "--speed", "fast"], "give a number from 1 to 100, or max"),
        ([], "Missing argument"),
    ],
)
def test_wrong_arguments_are_refused_with_the_remedy(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    found = run(tmp_path, *arguments)
    assert found.returncode == 2
    assert reason in found.stderr.decode()
