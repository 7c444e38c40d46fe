"""Named consumers from run to run: each line once, whatever else looks at the log meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from common.times import iso
from tests.support.processes.gapless_processes import GaplessProcess, forwarder, wait_until
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto
from tests.support.pseudo_terminal import TerminalProcess

pytestmark = pytest.mark.timeout(600)

GROUP, OTHER, STREAM = "/jobs/consumers", "/jobs/others", "job/main/aaaa"


class Stack:
    """A log group, its forwarder, and consumers of it."""

    def __init__(self, moto: RawMoto, ready: Mapping[str, Any], state: Path) -> None:
        self.moto, self.state = moto, state
        self.url: str = ready["websocket"]
        self._http: dict[str, str] = {GROUP: ready["http"]}
        self._written: Counter[str] = Counter()
        self.times: list[int] = []
        """The timestamp of each line, in the order of writing."""

    def add(self, group: str, ready: Mapping[str, Any]) -> str:
        """Another log group's forwarder; returns its URL."""
        self._http[group] = ready["http"]
        return str(ready["websocket"])

    def put(self, count: int, *, group: str = GROUP, word: str = "line") -> list[str]:
        """Write lines of the last seconds; returns their messages once the forwarder has them."""
        first, numbers = len(self.times), range(len(self.times), len(self.times) + count)
        begin = max(now_ms() - 2_000, self.times[-1] + 1 if self.times else 0)
        self.times += [begin + number - first for number in numbers]
        messages = [f"{word} {number}" for number in numbers]
        self.moto.put(group, STREAM, list(zip(self.times[first:], messages, strict=True)))
        self._written[group] += count
        wait_until(lambda: self._head(group) == self._written[group], f"{count} discovered lines")
        return messages

    def _head(self, group: str) -> int:
        with urlopen(f"{self._http[group]}/v1/logs?since=0&through=0") as answer:
            return int(json.load(answer)["head_seq"])

    def run(self, *options: str, urls: tuple[str, ...] = ()) -> list[str]:
        """The messages that a run without following prints."""
        arguments = (*(urls or (self.url,)), "--since", "1h", "--no-follow", "--output", "json")
        with GaplessProcess("tail", *arguments, *options, state=self.state) as process:
            lines = process.out.wait_end()
            assert process.popen.wait(60) == 0
        return [json.loads(line)["message"] for line in lines]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with raw_moto() as moto:
        moto.create(GROUP, STREAM)
        with forwarder(GROUP, moto.url, tmp_path) as process:
            yield Stack(moto, process.ready(), tmp_path)


def test_a_casual_look_between_two_archive_runs_takes_no_line_from_them(stack: Stack) -> None:
    first = stack.put(100)
    assert stack.run("--resume", "archive") == first
    second = stack.put(50)
    assert stack.run() == [*first, *second]
    assert stack.run("--lines", "5") == second[-5:]
    assert stack.run("--resume", "other") == [*first, *second]
    assert stack.run("--resume", "archive") == second
    assert stack.run("--resume", "archive") == []


def test_lines_after_until_come_in_the_next_run(stack: Stack) -> None:
    lines = stack.put(180)
    until = iso(stack.times[149])
    assert stack.run("--resume", "archive", "--until", until) == lines[:150]
    assert stack.run("--resume", "archive") == lines[150:]


def test_several_targets_in_one_resuming_command(stack: Stack) -> None:
    stack.moto.create(OTHER, STREAM)
    with forwarder(OTHER, stack.moto.url, stack.state, journal="other") as process:
        both = (stack.url, stack.add(OTHER, process.ready()))
        first = [*stack.put(40), *stack.put(40, group=OTHER, word="other")]
        assert stack.run("--resume", "archive", urls=both) == first
        second = [*stack.put(20), *stack.put(30, group=OTHER, word="other"), *stack.put(10)]
        assert stack.run("--resume", "archive", urls=both) == second
        # Each target's progress is its own: alone it has nothing left either.
        assert stack.run("--resume", "archive") == []
        third = stack.put(5)
        assert stack.run("--resume", "archive") == third
        assert stack.run("--resume", "archive", urls=both) == []


def test_a_named_consumer_on_screen_resumes_after_its_last_line(stack: Stack) -> None:
    before = stack.put(30, word="before")
    assert stack.run("--resume", "archive") == before
    options = ("--since", "1h", "--resume", "desk")
    with TerminalProcess("tail", stack.url, *options, state=stack.state) as screen:
        screen.wait_for("before 29")
        screen.wait_for("COMPLETE")
        screen.press("q")
        wait_until(lambda: screen.popen.poll() is not None, "the end")
    after = stack.put(12, word="after")
    with TerminalProcess("tail", stack.url, *options, state=stack.state) as screen:
        screen.wait_for("after 41")
        screen.wait_for("12 lines since you left")
        screen.press("q")
        wait_until(lambda: screen.popen.poll() is not None, "the end")
        assert screen.popen.returncode == 0
    # The output's consumers, of this and of another name, know nothing of the screen.
    assert stack.run("--resume", "archive") == after
    assert stack.run("--resume", "desk") == [*before, *after]
