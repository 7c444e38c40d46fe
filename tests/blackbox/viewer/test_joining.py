"""Log groups that are created and deleted while ``tail`` follows a pattern."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.gapless_processes import GaplessProcess, wait_until
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto
from tests.support.processes.process_tree import command_of, family

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


def tail(moto: RawMoto, state: Path, *words: str) -> GaplessProcess:
    aws = ("--endpoint-url", moto.url, "--region", "us-east-1")
    return GaplessProcess("tail", *words, "--output", "raw", *aws, state=state)


class Writer:
    """Writes numbered lines to log groups until it is stopped."""

    def __init__(self, moto: RawMoto) -> None:
        self.written: list[str] = []
        self._moto = moto
        self._groups: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def create(self, group: str) -> None:
        self._moto.create(group, "s")
        self._groups.append(group)

    def stop(self) -> list[str]:
        self._stop.set()
        self._thread.join()
        return self.written

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.1):
            for group in list(self._groups):
                number += 1
                line = f"{number:06} {group}"
                self._moto.put(group, "s", [(now_ms(), line)])
                self.written.append(line)


def test_groups_join_and_leave_while_watching(moto: RawMoto, tmp_path: Path) -> None:
    moto.create("/ecs/a", "s")
    moto.create("/other/x", "s")
    moto.put("/ecs/a", "s", [(now_ms() - 1_000, "first of a")])
    moto.put("/other/x", "s", [(now_ms() - 1_000, "of another group")])
    with tail(moto, tmp_path, "/ecs/*", "--since", "1h") as process:
        process.out.wait_for(1, "the line of a")
        moto.create("/ecs/b", "s")
        moto.put("/ecs/b", "s", [(now_ms(), f"line {number} of b") for number in range(3)])
        lines = process.out.wait_for(4, "the lines of b")
        assert lines == ["first of a", *(f"line {number} of b" for number in range(3))]
        client = moto.client()
        client.delete_log_group(logGroupName="/ecs/b")
        client.close()
        wait_until(
            lambda: any("log group /ecs/b was deleted" in one for one in process.err.so_far()),
            "the deletion is announced",
        )
        moto.create("/ecs/b", "s")
        moto.put("/ecs/b", "s", [(now_ms(), "of the new b")])
        process.out.wait_for(5, "the line of the new b")
        assert process.end() in (0, 143)
        process.err.wait_end()
        said = process.err.so_far()
        assert sum("log group /ecs/b joined" in one for one in said) == 2
        assert not any("/other" in one for one in (*said, *process.out.so_far()))


def test_a_group_joins_within_five_seconds_of_its_first_line(moto: RawMoto, tmp_path: Path) -> None:
    moto.create("/ecs/a", "s")
    moto.put("/ecs/a", "s", [(now_ms() - 1_000, "first of a")])
    with tail(moto, tmp_path, "/ecs/*", "--since", "1h", "--order", "arrival") as process:
        process.out.wait_for(1, "the line of a")
        moto.create("/ecs/b", "s")
        moto.put("/ecs/b", "s", [(now_ms(), "first of b")])
        began = time.monotonic()
        process.out.wait_for(2, "the line of b")
        # Written, not asserted: the machine may be busy.
        print(f"FIGURE joined after {time.monotonic() - began:.1f} s")  # noqa: T201
        process.end()


def test_waiting_for_a_group_that_does_not_exist_yet(moto: RawMoto, tmp_path: Path) -> None:
    with tail(moto, tmp_path, "/ecs/later", "--wait") as process:
        assert "waiting for log group /ecs/later" in process.err.wait_for(1, "a message")[0]
        moto.create("/ecs/later", "s")
        moto.put("/ecs/later", "s", [(now_ms(), "it is there")])
        assert process.out.wait_for(1, "the line") == ["it is there"]
        process.end()


def test_killed_programs_lose_and_repeat_nothing(moto: RawMoto, tmp_path: Path) -> None:
    """SIGKILL of forwarder and viewer while groups join: each line once, in order."""
    moto.create("/ecs/0", "s")
    moto.put("/ecs/0", "s", [(now_ms() - 5_000, "000000 /ecs/0")])
    writer = Writer(moto)
    printed: list[str] = []
    words = ("/ecs/*", "--resume", "shipper", "--since", "1h")
    try:
        for number in range(3):
            with tail(moto, tmp_path, *words) as process:
                before = len(process.out.wait_for(1, "a line"))
                writer.create(f"/ecs/{number + 1}")
                wanted = f"/ecs/{number + 1}"
                wait_until(
                    lambda wanted=wanted, process=process: any(  # type: ignore[misc]
                        one.endswith(wanted) for one in process.out.so_far()
                    ),
                    "the new group's lines",
                )
                if number == 1:
                    for one in family(process.popen.pid)[1:]:
                        if "forward" in command_of(one):
                            one.kill()
                    count = len(process.out.so_far())
                    wait_until(
                        lambda count=count, process=process: (  # type: ignore[misc]
                            len(process.out.so_far()) > count + 10
                        ),
                        "lines after the forwarder was killed",
                    )
                if number < 2:
                    process.end()
                else:
                    writer.stop()
                    expected = len(writer.written) + 1 - len(printed)
                    wait_until(
                        lambda expected=expected, process=process: (  # type: ignore[misc]
                            len(process.out.so_far()) >= expected
                        ),
                        "all lines",
                    )
                    process.end()
                process.out.wait_end()
                printed += process.out.so_far()
                assert before
    finally:
        written = ["000000 /ecs/0", *writer.stop()]
    assert Counter(printed) == Counter(written), "each line once"
    for group in {one.split(" ")[1] for one in written}:
        assert [one for one in printed if one.endswith(group)] == [
            one for one in written if one.endswith(group)
        ]
