"""The command line: exit codes, one-line errors, and the end of every process and lock."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from tests.support.processes.gapless_processes import (
    WAIT_S,
    GaplessProcess,
    clean_environment,
    forwarder,
    wait_until,
)
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto
from tests.support.processes.process_tree import (
    family,
    is_gone,
    wait_gone,
    wait_no_locks,
    wait_unlocked,
)
from tests.support.pseudo_terminal import TerminalProcess

STREAM = "job/main/aaaa"

ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
"""Sequences that enter and leave the alternate screen."""

ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture
def group(moto: RawMoto, request: pytest.FixtureRequest) -> str:
    """A log group for one test, with ten events."""
    name = f"/jobs/{zlib.crc32(request.node.nodeid.encode()):08x}"
    moto.create(name, STREAM)
    moto.put(name, STREAM, [(now_ms() - 1000 + i, f"line {i}") for i in range(10)])
    return name


def aws(moto: RawMoto) -> tuple[str, ...]:
    return ("--endpoint-url", moto.url, "--region", "us-east-1")


def run(
    state: Path, *arguments: str, credentials: bool = True, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a ``gapless`` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gapless", *arguments],
        env=clean_environment(state, more, credentials=credentials),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Check that the only output is one line on stderr; returns it."""
    assert done.stderr.startswith("gapless: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""
    return done.stderr


# --- Errors -----------------------------------------------------------------------------------


def test_a_url_without_a_server(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = run(tmp_path, "tail", f"ws://127.0.0.1:{unused.getsockname()[1]}")
    assert done.returncode == 3
    assert "refused" in one_line(done).lower()


def test_a_url_of_another_http_server(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            del arguments

        def do_GET(self) -> None:
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = run(tmp_path, "tail", f"ws://127.0.0.1:{server.server_port}/v1/tail")
        server.shutdown()
        thread.join()
    assert done.returncode == 3
    assert "404" in one_line(done)


def test_a_group_that_the_forwarder_does_not_serve(
    moto: RawMoto, group: str, tmp_path: Path
) -> None:
    with forwarder(group, moto.url, tmp_path) as process:
        done = run(tmp_path, "tail", process.ready()["websocket"] + "?group=/other")
    assert done.returncode == 3
    assert "/other" in one_line(done)


@pytest.mark.parametrize("command", ["tail", "forward", "executions"])
def test_an_unknown_group(moto: RawMoto, tmp_path: Path, command: str) -> None:
    done = run(tmp_path, command, "/no/such/group", *aws(moto))
    assert done.returncode == 3
    assert "/no/such/group" in one_line(done)
    wait_no_locks(tmp_path)


@pytest.mark.parametrize("command", [["groups"], ["forward", "/jobs"], ["tail", "/jobs"]])
def test_no_credentials(moto: RawMoto, tmp_path: Path, command: list[str]) -> None:
    done = run(tmp_path, *command, *aws(moto), credentials=False)
    assert done.returncode == 3
    assert "no AWS credentials" in one_line(done)


def test_a_port_in_use(moto: RawMoto, group: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(tmp_path, "forward", group, "--port", port, *aws(moto))
    assert done.returncode == 1
    assert port in one_line(done)
    assert "--port" in done.stderr


def test_a_file_that_is_not_a_journal(moto: RawMoto, group: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite3"
    journal.write_bytes(b"this is no database " * 100)
    done = run(tmp_path, "forward", group, "--port", "0", "--journal", str(journal), *aws(moto))
    assert done.returncode == 1
    assert str(journal) in one_line(done)
    assert journal.read_bytes() == b"this is no database " * 100


def test_a_journal_in_use(moto: RawMoto, group: str, tmp_path: Path) -> None:
    with forwarder(group, moto.url, tmp_path) as process:
        url = process.ready()["websocket"]
        journal = str(tmp_path / "journal.sqlite3")
        done = run(tmp_path, "forward", group, "--port", "0", "--journal", journal, *aws(moto))
    assert done.returncode == 1
    assert url in one_line(done)


def test_a_wrong_token(moto: RawMoto, group: str, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for path, token in ((right, "secret-of-ours"), (wrong, "guess-of-theirs")):
        path.write_text(f"{token}\n")
        path.chmod(0o600)
    with forwarder(group, moto.url, tmp_path, "--token-file", str(right)) as process:
        url = process.ready()["websocket"]
        refused = run(tmp_path, "tail", url, "--token-file", str(wrong))
        assert refused.returncode == 3
        assert "token" in one_line(refused)
        taken = run(tmp_path, "tail", url, "--token-file", str(right), "--no-follow")
        assert taken.returncode == 0
        assert taken.stdout.count("\n") == 10


def test_without_a_target_a_picker_opens(moto: RawMoto, group: str, tmp_path: Path) -> None:
    with TerminalProcess("tail", *aws(moto), state=tmp_path) as process:
        process.wait_for(group)
        process.press("\x03")
        process.popen.wait(WAIT_S)
    assert run(tmp_path, "tail").returncode == 2


# --- What is printed --------------------------------------------------------------------------


def test_groups_and_executions_as_tables_and_json(
    moto: RawMoto, group: str, tmp_path: Path
) -> None:
    assert group in run(tmp_path, "groups", *aws(moto)).stdout
    groups = json.loads(run(tmp_path, "groups", group[3:], "--json", *aws(moto)).stdout)
    assert [one["name"] for one in groups] == [group]
    rows = json.loads(run(tmp_path, "executions", group, "--json", *aws(moto)).stdout)
    assert [one["execution"] for one in rows] == ["aaaa"]
    assert "aaaa" in run(tmp_path, "executions", group, *aws(moto)).stdout
    wait_no_locks(tmp_path)


def test_a_groups_lines_once_with_options_from_settings(
    moto: RawMoto, group: str, tmp_path: Path
) -> None:
    done = run(tmp_path, "tail", group, "--no-follow", *aws(moto), GAPLESS_OUTPUT="json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["message"] for line in lines] == [f"line {i}" for i in range(10)]
    assert {line["log_group"] for line in lines} == {group}
    done = run(tmp_path, "tail", group, "--no-follow", "--output", "raw", *aws(moto))
    assert done.stdout.splitlines() == [f"line {i}" for i in range(10)]


def test_grep_exclude_and_lines(moto: RawMoto, group: str, tmp_path: Path) -> None:
    common = ("tail", group, "--no-follow", "--output", "raw", *aws(moto))
    assert run(tmp_path, *common, "--grep", "/line [3-5]/", "--exclude", "4").stdout == (
        "line 3\nline 5\n"
    )
    assert run(tmp_path, *common, "--lines", "2").stdout == "line 8\nline 9\n"
    assert run(tmp_path, *common, "--level", "error").stdout == ""


def test_resuming_at_the_last_runs_cursor(moto: RawMoto, group: str, tmp_path: Path) -> None:
    arguments = ("tail", group, "--no-follow", "--output", "raw", *aws(moto))
    assert run(tmp_path, *arguments, "--resume").stdout.count("\n") == 10
    moto.put(group, STREAM, [(now_ms(), f"since then {i}") for i in range(3)])
    assert run(tmp_path, *arguments).stdout.count("\n") == 13, "a casual look moves no cursor"
    again = run(tmp_path, *arguments, "--resume")
    assert again.stdout == "since then 0\nsince then 1\nsince then 2\n"
    assert run(tmp_path, *arguments, "--no-resume").stdout.count("\n") == 13


def test_limits_of_a_run_skip_nothing_that_its_consumer_is_owed(
    moto: RawMoto, group: str, tmp_path: Path
) -> None:
    common = ("tail", group, "--no-follow", "--output", "raw", *aws(moto))
    until = now_ms() + 1_000
    moto.put(group, STREAM, [(until + 500 + i, f"later {i}") for i in range(5)])
    wait_until(lambda: now_ms() > until + 600, "the later lines' time")
    parts = [
        run(tmp_path, *common, "--resume", "archive", *limit).stdout.splitlines()
        for limit in (
            ("--until", datetime.fromtimestamp(until / 1000, UTC).isoformat()),
            ("--lines", "2"),
            (),
            (),
        )
    ]
    assert parts == [
        [f"line {i}" for i in range(10)],
        ["later 3", "later 4"],
        ["later 0", "later 1", "later 2"],
        [],
    ]
    refused = run(tmp_path, *common, "--resume", "archive", "--grep", "line")
    assert refused.returncode == 2
    assert "choose another --resume NAME" in one_line(refused)
    matching = run(tmp_path, *common, "--resume", "other", "--grep", "/line [3-5]/").stdout
    assert matching == "line 3\nline 4\nline 5\n"


def saved_through(state: Path) -> int:
    """The seq up to which a consumer has saved that every line is printed."""
    files = [json.loads(one.read_text()) for one in state.glob("**/cursors/*.output.json")]
    regions = [region for file in files for region in file["held"]]
    return max((one["through"] for one in regions if one["keys"].endswith("..")), default=0)


def test_a_consumer_that_is_killed_repeats_only_what_it_had_not_saved(
    moto: RawMoto, group: str, tmp_path: Path
) -> None:
    arguments = ("tail", group, "--output", "raw", "--resume", "archive", *aws(moto))
    printed: list[str] = []
    written = [f"line {i}" for i in range(10)]
    with GaplessProcess("tail", group, "--output", "raw", *aws(moto), state=tmp_path) as look:
        for life in range(3):
            with GaplessProcess(*arguments, state=tmp_path) as process:
                if life == 0:
                    process.out.wait_for(10, "lines")
                texts = [f"life {life} {i}" for i in range(50)]
                moto.put(group, STREAM, [(now_ms() + i, text) for i, text in enumerate(texts)])
                written += texts
                if life == 0:
                    wait_until(lambda: saved_through(tmp_path) >= 60, "what was printed, saved")
                else:
                    process.out.wait_for(20, "lines")
                process.send(signal.SIGKILL)
                process.popen.wait(WAIT_S)
                printed += process.out.wait_end()
        look.end(signal.SIGINT)
    rest = run(tmp_path, *arguments, "--no-follow")
    printed += rest.stdout.splitlines()
    assert rest.returncode == 0, rest.stderr
    assert set(printed) == set(written), "nothing is lost"
    assert Counter(printed[:60]) == Counter(written[:60])
    assert not set(printed[60:]) & set(written[:60]), "what was saved is not repeated"


def test_a_closed_pipe_ends_the_command(moto: RawMoto, group: str, tmp_path: Path) -> None:
    with GaplessProcess("tail", group, "--output", "raw", *aws(moto), state=tmp_path) as process:
        assert process.popen.stdout is not None
        process.out.wait_for(10, "lines")
        everything = family(process.popen.pid)
        moto.put(group, STREAM, [(now_ms(), "one more")])
        process.out.wait_for(11, "lines")
        assert process.end(signal.SIGINT) == 130
        assert process.err.wait_end() == []
    wait_gone(everything)
    piped = subprocess.run(
        f"{sys.executable} -m gapless tail {group} --output raw {' '.join(aws(moto))} | head -n 3",
        shell=True,
        env=clean_environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert piped.stdout.count("\n") == 3
    assert piped.stderr == ""


# --- How everything ends ----------------------------------------------------------------------


@pytest.mark.parametrize("number", ENDINGS)
def test_a_tails_forwarder_ends_with_it(
    moto: RawMoto, group: str, tmp_path: Path, number: signal.Signals
) -> None:
    with GaplessProcess("tail", group, "--output", "json", *aws(moto), state=tmp_path) as process:
        process.out.wait_for(10, "events")
        everything = family(process.popen.pid)
        assert len(everything) == 2
        code = process.end(number)
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    wait_gone(everything)
    wait_unlocked(tmp_path)
    wait_no_locks(tmp_path)


def test_two_tails_share_a_forwarder_that_ends_with_the_last(
    moto: RawMoto, group: str, tmp_path: Path
) -> None:
    arguments = ("tail", group, "--output", "json", *aws(moto))
    with GaplessProcess(*arguments, state=tmp_path) as first:
        first.out.wait_for(10, "events")
        everything = family(first.popen.pid)
        with GaplessProcess(*arguments, state=tmp_path) as second:
            second.out.wait_for(10, "events")
            assert len(family(second.popen.pid)) == 1
            first.end(signal.SIGKILL)
            wait_gone(everything[:1])
            count = len(second.out.so_far())
            moto.put(group, STREAM, [(now_ms(), "after the first left")])
            second.out.wait_for(count + 1, "events")
            assert not is_gone(everything[1])
            second.end(signal.SIGTERM)
        wait_gone(everything)
    wait_no_locks(tmp_path)


def test_a_tail_restarts_its_killed_forwarder(moto: RawMoto, group: str, tmp_path: Path) -> None:
    with GaplessProcess("tail", group, "--output", "json", *aws(moto), state=tmp_path) as process:
        process.out.wait_for(10, "events")
        dead = family(process.popen.pid)[1]
        dead.kill()
        count = len(process.out.so_far())
        moto.put(group, STREAM, [(now_ms(), "while it was dead")])
        process.out.wait_for(count + 1, "events")
        everything = family(process.popen.pid)
        process.end(signal.SIGINT)
    wait_gone(everything)
    wait_no_locks(tmp_path)


@pytest.mark.parametrize("number", ENDINGS)
def test_a_simulation_leaves_no_processes(tmp_path: Path, number: signal.Signals) -> None:
    with GaplessProcess("simulate", state=tmp_path) as process:
        ready = process.ready()
        assert {"websocket", "http", "epoch", "cloudwatch", "control"} <= set(ready)
        everything = family(process.popen.pid)
        assert len(everything) == 3
        injected = run(tmp_path, "inject", "disconnect", "down_ms=1000")
        assert injected.returncode == 0, injected.stderr
        assert run(tmp_path, "inject", "--heal").stdout.startswith("healed")
        code = process.end(number)
    assert code == {signal.SIGKILL: -9, signal.SIGINT: 130}.get(number, 0)
    wait_gone(everything)
    wait_unlocked(tmp_path)


@pytest.mark.parametrize("number", ENDINGS)
def test_a_demo_leaves_no_processes_and_restores_the_terminal(
    tmp_path: Path, number: signal.Signals
) -> None:
    with TerminalProcess("demo", state=tmp_path) as process:
        process.wait_for("COMPLETE")
        everything = family(process.popen.pid)
        assert len(everything) == 4
        process.popen.send_signal(number)
        code = process.popen.wait(WAIT_S)
        wait_gone(everything)
        if number != signal.SIGKILL:
            assert code == 128 + number
            assert process.attributes() == process.before
            # A thread may read the last output after the process has ended.
            wait_until(
                lambda: process.written.rfind(LEFT) > process.written.rindex(ENTERED),
                "the screen of before",
            )
    wait_unlocked(tmp_path)


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_quitting_the_demo_by_key(tmp_path: Path, key: str) -> None:
    with TerminalProcess("demo", state=tmp_path) as process:
        process.wait_for("COMPLETE")
        everything = family(process.popen.pid)
        process.press(key)
        assert process.popen.wait(WAIT_S) in {0, 130}
        wait_gone(everything)
        assert process.attributes() == process.before
    wait_unlocked(tmp_path)
    wait_no_locks(tmp_path)


def test_a_demo_interrupted_during_startup_leaves_no_processes(tmp_path: Path) -> None:
    with TerminalProcess("demo", state=tmp_path) as process:
        wait_until(
            lambda: len(psutil.Process(process.popen.pid).children(recursive=True)) == 3,
            "the processes of the simulator",
        )
        everything = family(process.popen.pid)
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(WAIT_S) == 130
        wait_gone(everything)
        assert process.attributes() == process.before
    wait_no_locks(tmp_path)


def test_a_late_viewer_misses_nothing(tmp_path: Path) -> None:
    record = tmp_path / "out"
    with (
        record.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "gapless", "demo", "--connect-after", "3s"],
            env=clean_environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process,
    ):
        wait_until(lambda: record.read_bytes().count(b"\n") > 250, "lines of the past")
        everything = family(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130
        wait_gone(everything)
    assert b"execution started" in record.read_bytes()
