from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gapless.rehearsal.result import newest_marks
from gapless.rehearsal.viewer import Meter, Usage, joined, usage_of


def event(number: int, message: str = "m") -> dict[str, Any]:
    return {
        "id": f"{number:056d}",
        "timestamp": number,
        "log_stream": "s/1",
        "message": message,
        "seq": number,
    }


def printed(*events: dict[str, Any], torn: str = "") -> bytes:
    return ("".join(json.dumps(one) + "\n" for one in events) + torn).encode()


def record(*events: dict[str, Any]) -> bytes:
    mark = {"from": 1, "through": 5, "scanned_at": 9, "count": 1, "digest": "x", "equal": True}
    lines = [
        {"type": "record", "version": 1},
        *({"type": "event", **one} for one in events),
        {"type": "mark", **mark},
        {"type": "status"},
    ]
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in lines)


def numbers(found: bytes) -> list[int]:
    lines = [json.loads(line) for line in found.splitlines()]
    assert lines[0]["type"] == "record"
    assert lines[-1]["type"] == "status"
    return [one["timestamp"] for one in lines if one["type"] == "event"]


def test_one_process_is_its_record() -> None:
    assert joined(record(event(1)), []) == record(event(1))


def test_lines_of_earlier_processes_count_as_shown() -> None:
    found = joined(record(event(5), event(7)), [printed(event(6), event(1)), printed(event(2))])
    assert numbers(found) == [1, 2, 5, 6, 7]
    assert newest_marks(found) == newest_marks(record(event(5)))


def test_lines_that_two_processes_show_are_no_duplicates() -> None:
    found = joined(record(event(5)), [printed(event(4), event(5)), printed(event(4))])
    assert numbers(found) == [4, 5]


def test_lines_that_one_process_shows_twice_are_duplicates() -> None:
    assert numbers(joined(record(event(5), event(5)), [printed()])) == [5, 5]
    assert numbers(joined(record(), [printed(event(4), event(4))])) == [4, 4]


def test_contradicting_processes_are_both_shown() -> None:
    assert numbers(joined(record(event(5)), [printed(event(5, "another"))])) == [5, 5]


def test_the_order_of_the_record_is_kept_wrong_or_not() -> None:
    assert numbers(joined(record(event(7), event(5)), [printed(event(1))])) == [1, 7, 5]


def test_the_line_in_which_a_process_was_killed_does_not_count() -> None:
    assert numbers(joined(record(), [printed(event(1), torn='{"id": "00')])) == [1]


def write(proc: Path, pid: int, *, ticks: int, peak_kb: int) -> None:
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    rest = " ".join(["S", *"0" * 10, str(ticks), str(ticks), *"0" * 9])
    (folder / "stat").write_text(f"{pid} (a (strange) name) {rest}")
    (folder / "status").write_text(f"Name:\tx\nVmHWM:\t   {peak_kb} kB\n")


def test_what_a_process_uses(tmp_path: Path) -> None:
    write(tmp_path, 7, ticks=os.sysconf("SC_CLK_TCK"), peak_kb=4)
    assert usage_of(7, tmp_path) == Usage(2.0, 4096)
    assert usage_of(8, tmp_path) is None
    (tmp_path / "7" / "stat").write_text("7 (x) S")
    assert usage_of(7, tmp_path) is None


def test_processes_are_added_up() -> None:
    meter = Meter()
    assert meter.total == Usage(0, 0)
    meter.read(None)
    meter.read(-1)
    assert meter.processes == 0
    meter.read(os.getpid())
    first = meter.total
    meter.read(os.getpid())
    assert meter.processes == 1
    assert meter.total.cpu_s >= first.cpu_s
