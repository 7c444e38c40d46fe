"""What processes use, as far as the system tells: time of the processor and memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

_PROC: Final = Path("/proc")
_STAT_TIMES: Final = slice(11, 13)
"""utime and stime in ``/proc/PID/stat``, counted from behind the name (proc(5))."""


class Usage(msgspec.Struct, frozen=True):
    """Processor seconds, and the most memory that was resident at once, in bytes."""

    cpu_s: float
    peak_bytes: int


class Meter:
    """Adds up what the lives of one program use; each is read for as long as it runs."""

    def __init__(self) -> None:
        """Nothing was used."""
        self._by_pid: dict[int, Usage] = {}

    def read(self, pid: int | None) -> None:
        """Read what a process has used by now; one that is gone is as it was read last."""
        usage = None if pid is None else usage_of(pid)
        if pid is not None and usage is not None:
            self._by_pid[pid] = usage

    @property
    def lives(self) -> int:
        """Processes that were read."""
        return len(self._by_pid)

    @property
    def total(self) -> Usage:
        """Time of all lives, and the most memory of any."""
        every = self._by_pid.values()
        cpu_s = round(sum(one.cpu_s for one in every), 2)
        return Usage(cpu_s, max((one.peak_bytes for one in every), default=0))


def usage_of(pid: int, proc: Path = _PROC) -> Usage | None:
    """What a process has used by now; None if it is gone, or the system has no ``/proc``."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
        user, system = map(int, stat.rpartition(")")[2].split()[_STAT_TIMES])
        (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, ValueError):
        return None
    return Usage((user + system) / os.sysconf("SC_CLK_TCK"), int(peak) << 10)
