"""Log groups that are created and deleted while ``tail`` follows a pattern."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.gapless_processes import GaplessProcess, wait_until
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


def tail(moto: RawMoto, state: Path, *words: str) -> GaplessProcess:
    aws = ("--endpoint-url", moto.url, "--region", "us-east-1")
    return GaplessProcess("tail", *words, "--output", "raw", *aws, state=state)


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
