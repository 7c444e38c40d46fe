"""Faults of a cluster: forwarders that share a journal, and their database. Pure."""

from __future__ import annotations

from typing import Final

from simulator.faults.base import (
    DAY_MS,
    EVERY_MS,
    FOR_MS,
    Attribute,
    CrashEngine,
    CrashOwner,
    CrashServer,
    Cycle,
    FailOver,
    Fault,
    FaultType,
    PauseEngine,
    PauseOwner,
    SetEngineBack,
    Values,
)
from simulator.faults.programs import DOWN_MS, crash_contradiction, crash_cycle, is_hit

_WITHIN_MS: Final = Attribute("within_ms", 1_000, DAY_MS, "killed at a random moment within this")
_CRASH: Final = (_WITHIN_MS, DOWN_MS._replace(default=2_000), EVERY_MS)


def _after_ms(fault: Fault, turn: int) -> int:
    return fault.rng(turn, 1).randint(0, fault.values["within_ms"])


def _crash_owner(fault: Fault, turn: int) -> CrashOwner | None:
    return CrashOwner(_after_ms(fault, turn)) if is_hit(fault, turn) else None


def _crash_server(fault: Fault, turn: int) -> CrashServer | None:
    return CrashServer(_after_ms(fault, turn)) if is_hit(fault, turn) else None


def _copy_cycle(values: Values) -> Cycle:
    return Cycle(values["back_ms"])


CLUSTER: Final = (
    FaultType(
        "owner_crash",
        "Kills the process that owns the log group with SIGKILL, and starts it again later.",
        _crash_owner,
        _CRASH,
        crash_cycle,
        contradiction=crash_contradiction,
    ),
    FaultType(
        "owner_pause",
        "Stops the process that owns the log group (SIGSTOP) beyond its lease; it then goes on.",
        lambda fault, turn: PauseOwner() if is_hit(fault, turn) else None,
        (FOR_MS._replace(default=15_000),),
    ),
    FaultType(
        "server_crash",
        "Kills the server that the viewer is connected to with SIGKILL, and starts it again later.",
        _crash_server,
        _CRASH,
        crash_cycle,
        contradiction=crash_contradiction,
    ),
    FaultType(
        "engine_crash",
        "Kills PostgreSQL with SIGKILL, and starts it again with the same files.",
        lambda fault, turn: CrashEngine() if is_hit(fault, turn) else None,
        (DOWN_MS._replace(default=3_000),),
        crash_cycle,
    ),
    FaultType(
        "engine_failover",
        "Kills PostgreSQL with SIGKILL and promotes its synchronous standby.",
        lambda fault, turn: FailOver() if is_hit(fault, turn) else None,
        (DOWN_MS._replace(default=3_000, meaning="how long without a standby, 0 = until healed"),),
        crash_cycle,
    ),
    FaultType(
        "engine_away",
        "Stops PostgreSQL (SIGSTOP): it answers nothing, as behind a broken network; it goes on.",
        lambda fault, turn: PauseEngine() if is_hit(fault, turn) else None,
        # Beyond every time limit of a forwarder that waits for it.
        (FOR_MS._replace(default=10_000),),
    ),
    FaultType(
        "engine_set_back",
        "Copies PostgreSQL's files, and restores the copy later: newer entries are lost.",
        lambda fault, turn: SetEngineBack() if is_hit(fault, turn) else None,
        (Attribute("back_ms", 5_000, DAY_MS, "age of the restored copy", minimum=1),),
        _copy_cycle,
    ),
)
"""Every fault of a cluster; a simulator with one forwarder refuses them."""
