"""Faults of the programs: kills, the forwarder's journal, its disk and its clock. Pure."""

from __future__ import annotations

from typing import Final

from simulator.faults.base import (
    DAY_MS,
    EVERY_MS,
    FOR_MS,
    Attribute,
    CrashForwarder,
    Cycle,
    Fault,
    FaultType,
    FillDisk,
    Journal,
    KillViewers,
    SetClock,
    Values,
    instant,
)

DOWN_MS: Final = Attribute("down_ms", 1_000, DAY_MS, "how long it stays down, 0 = until healed")


def is_hit(fault: Fault, turn: int) -> bool:
    """Whether the fault happens in a turn, drawn by its toxicity."""
    return fault.rng(turn).random() < fault.toxicity


def _crash(fault: Fault, turn: int) -> CrashForwarder | None:
    rng = fault.rng(turn)
    if rng.random() >= fault.toxicity:
        return None
    return CrashForwarder(rng.randint(0, fault.values["within_ms"]), "kept")


def _lose_journal(fault: Fault, turn: int) -> CrashForwarder:
    return CrashForwarder(0, "lost" if is_hit(fault, turn) else "kept")


def _roll_journal_back(fault: Fault, turn: int) -> CrashForwarder:
    journal: Journal = "rolled_back" if is_hit(fault, turn) else "kept"
    return CrashForwarder(fault.values["back_ms"], journal)


def _fill_disk(fault: Fault, turn: int) -> FillDisk | None:
    return FillDisk(fault.values["room_bytes"]) if is_hit(fault, turn) else None


def _set_clock(fault: Fault, turn: int) -> SetClock | None:
    offset_ms = fault.values["ahead_ms"] - fault.values["behind_ms"]
    return SetClock(offset_ms) if is_hit(fault, turn) else None


def crash_cycle(values: Values) -> Cycle:
    """Cycle of a crash: on until the latest moment of the kill and the time down have passed."""
    down_ms = values["down_ms"]
    kill_ms = values.get("within_ms", 0) + values.get("back_ms", 0)
    return Cycle(kill_ms + down_ms if down_ms else None, values.get("every_ms", 0))


def crash_contradiction(values: Values) -> str | None:
    """Say which attributes of a repeated crash leave no time for the next one."""
    within_ms, down_ms, every_ms = values["within_ms"], values["down_ms"], values["every_ms"]
    if not every_ms or 0 < within_ms + down_ms < every_ms:
        return None
    return f"every_ms={every_ms} must be above within_ms + down_ms, and down_ms above 0"


PROGRAMS: Final = (
    FaultType(
        "forwarder_crash",
        "Kills the forwarder with SIGKILL at a random moment and starts it again; same journal.",
        _crash,
        (
            Attribute("within_ms", 1_000, DAY_MS, "killed at a random moment within this"),
            DOWN_MS._replace(default=2_000),
            EVERY_MS,
        ),
        crash_cycle,
        contradiction=crash_contradiction,
    ),
    FaultType(
        "journal_lost",
        "Kills the forwarder with SIGKILL, deletes its journal, and starts it again.",
        _lose_journal,
        (DOWN_MS,),
        crash_cycle,
    ),
    FaultType(
        "journal_rolled_back",
        "Copies the journal, kills the forwarder later, and starts it again with the copy.",
        _roll_journal_back,
        (Attribute("back_ms", 5_000, DAY_MS, "age of the restored copy"), DOWN_MS),
        crash_cycle,
    ),
    FaultType(
        "disk_full",
        "Fails the forwarder's writes to files, by the kernel's limit on their size.",
        _fill_disk,
        (
            # EFBIG instead of ENOSPC, in the same system calls and to the same effect: one
            # process can be limited without root and without filling a disk. Needs Linux.
            Attribute("room_bytes", 0, 1 << 30, "how much the journal may still grow"),
            FOR_MS,
        ),
    ),
    FaultType(
        "viewer_crash",
        "Kills viewers with SIGKILL: those whose process ids were given to the control API.",
        lambda fault, turn: KillViewers(fault.toxicity, fault.seed + turn),
        (EVERY_MS,),
        instant,
        affects="viewers",
    ),
    FaultType(
        "clock_jump",
        "Sets the forwarder's wall clock ahead or back; CloudWatch and viewers keep the right one.",
        _set_clock,
        (
            Attribute("ahead_ms", 60_000, DAY_MS, "how far ahead", is_age=True),
            Attribute("behind_ms", 0, DAY_MS, "how far behind", is_age=True),
            FOR_MS,
        ),
    ),
)
"""Every fault of the programs."""
