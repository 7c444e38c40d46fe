from __future__ import annotations

import os
from pathlib import Path

from gapless.rehearsal.meter import Meter, Usage, usage_of


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


def test_lives_are_added_up() -> None:
    meter = Meter()
    assert meter.total == Usage(0, 0)
    meter.read(None)
    meter.read(-1)
    assert meter.lives == 0
    meter.read(os.getpid())
    first = meter.total
    meter.read(os.getpid())
    assert meter.lives == 1
    assert meter.total.cpu_s >= first.cpu_s
