"""SIGKILL of ``tail PATTERN --resume`` and its forwarder while log groups come and go."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from tests.support.processes.gapless_processes import GaplessProcess, wait_until
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, put_events, raw_moto, stand_in
from tests.support.processes.process_tree import command_of, family

pytestmark = pytest.mark.timeout(900)


class Writer:
    """Writes numbered lines to log groups, ten times a second, until it is stopped."""

    def __init__(self, moto: RawMoto) -> None:
        self.written: dict[str, list[str]] = {}
        self._client = moto.client()
        self._moto = moto
        self._open: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def create(self, group: str) -> None:
        self._moto.create(group, "s")
        with self._lock:
            self.written.setdefault(group, [])
            self._open.append(group)

    def close(self, group: str) -> str:
        """Write nothing more to a group; returns its last line."""
        with self._lock:
            self._open.remove(group)
            return self.written[group][-1]

    def count(self, group: str) -> int:
        """Number of a group's lines so far; none is on its way to CloudWatch meanwhile."""
        with self._lock:
            return len(self.written[group])

    def delete(self, group: str) -> None:
        self._client.delete_log_group(logGroupName=group)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.1):
            with self._lock:
                for group in self._open:
                    number += 1
                    line = f"{number:06} {group}"
                    put_events(self._client, group, "s", [(now_ms(), line)])
                    self.written[group].append(line)
        self._client.close()


class Runs:
    """One consumer's runs, each killed."""

    def __init__(self, moto: RawMoto, state: Path, output: str) -> None:
        self.printed: list[list[str]] = []
        self.said: list[str] = []
        self._output = output
        aws = ("--endpoint-url", moto.url, "--region", "us-east-1")
        words = ("/svc/*", "--resume", "shipper", "--since", "1h", "--hold", "5m", *aws)
        self._words = ("tail", *words, "--output", output)
        self._state = state

    def start(self) -> GaplessProcess:
        return GaplessProcess(*self._words, state=self._state)

    def lines(self, process: GaplessProcess) -> list[str]:
        """The messages printed so far."""
        lines = process.out.so_far()
        if self._output == "json":
            return [str(json.loads(one)["message"]) for one in lines]
        return lines

    def wait_line(self, process: GaplessProcess, line: str) -> None:
        wait_until(lambda: line in self.lines(process), f"the line {line!r}")

    def wait_newer(self, process: GaplessProcess, writer: Writer, count: int) -> None:
        """Wait for lines of the first group that are written after this call."""
        known = writer.count("/svc/0")
        wait_until(lambda: writer.count("/svc/0") > known + count, f"{count} written lines")
        self.wait_line(process, writer.written["/svc/0"][known + count])

    def end(self, process: GaplessProcess) -> None:
        """Note what a process has said, which has ended."""
        process.out.wait_end()
        process.err.wait_end()
        self.printed.append(self.lines(process))
        self.said += process.err.so_far()

    def check(self, written: dict[str, list[str]]) -> int:
        """Check every group's lines; returns how many were repeated after a kill."""
        repeated = 0
        for group, lines in written.items():
            index, next_ = {line: number for number, line in enumerate(lines)}, 0
            for run in self.printed:
                numbers = [index[one] for one in run if one.endswith(f" {group}")]
                if not numbers:
                    continue
                assert numbers == list(range(numbers[0], numbers[-1] + 1)), (group, numbers)
                assert numbers[0] <= next_, f"{group}: lines were lost before {numbers[0]}"
                repeated += next_ - numbers[0]
                next_ = numbers[-1] + 1
            assert next_ == len(lines), f"{group}: the last lines were lost"
        return repeated


def forwarders_of(process: GaplessProcess) -> list[psutil.Process]:
    return [one for one in family(process.popen.pid)[1:] if "forward" in command_of(one)]


def wait_forwarder(process: GaplessProcess) -> psutil.Process:
    """Wait until one forwarder of a command runs."""
    wait_until(lambda: len(forwarders_of(process)) == 1, "one forwarder")
    (found,) = forwarders_of(process)
    return found


@pytest.mark.parametrize("output", ["json", "raw"])
@pytest.mark.parametrize("cloudwatch", [raw_moto, stand_in])
def test_killed_programs_lose_nothing_and_repeat_what_was_not_saved(
    cloudwatch: Callable[[], AbstractContextManager[RawMoto]], output: str, tmp_path: Path
) -> None:
    with cloudwatch() as moto:
        writer, runs = Writer(moto), Runs(moto, tmp_path, output)
        try:
            writer.create("/svc/0")
            watch_and_kill(writer, runs)
            last = [writer.close(one) for one in ("/svc/0", "/svc/2", "/svc/3", "/svc/gone")]
            writer.stop()
            with runs.start() as process:
                for line in last:
                    if not any(line in one for one in runs.printed):
                        runs.wait_line(process, line)
                process.end()
                runs.end(process)
        finally:
            writer.stop()
        repeated = runs.check(writer.written)
        in_a_run = max(map(len, runs.printed))
        assert repeated < in_a_run, "a run begins where the one before it was saved"
        assert not any("error" in one for one in runs.said), runs.said


def watch_and_kill(writer: Writer, runs: Runs) -> None:
    """Let groups join and leave in three runs, in which the programs are killed."""
    with runs.start() as process:
        process.out.wait_for(1, "line")
        writer.create("/svc/gone")
        wait_until(lambda: has_line(runs, process, "/svc/gone"), "a group that joins")
        runs.wait_line(process, writer.close("/svc/gone"))
        writer.delete("/svc/gone")
        wait_until(lambda: says(process, "/svc/gone was deleted"), "its end")
        process.kill()
        runs.end(process)
    writer.create("/svc/2")
    with runs.start() as process:
        wait_until(lambda: has_line(runs, process, "/svc/2"), "a group created meanwhile")
        for number in range(2):
            wait_forwarder(process).kill()
            if number:
                writer.create("/svc/3")
            runs.wait_newer(process, writer, 30)
        wait_until(lambda: has_line(runs, process, "/svc/3"), "a group that joins then")
        forwarder = wait_forwarder(process)
        process.kill()
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends by itself as well
            forwarder.kill()
        runs.end(process)
    with runs.start() as process:
        runs.wait_newer(process, writer, 10)
        writer.create("/svc/gone")
        wait_until(lambda: says(process, "/svc/gone joined"), "a group that comes back")
        wait_until(lambda: has_line(runs, process, "/svc/gone"), "its new lines")
        process.kill()
        runs.end(process)
    for group in ("/svc/gone", "/svc/3"):
        assert any(f"log group {group} joined" in one for one in runs.said), runs.said


def has_line(runs: Runs, process: GaplessProcess, group: str) -> bool:
    return any(one.endswith(f" {group}") for one in runs.lines(process))


def says(process: GaplessProcess, text: str) -> bool:
    return any(text in one for one in process.err.so_far())
