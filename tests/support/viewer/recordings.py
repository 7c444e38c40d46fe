"""Records as a viewer writes them, made up: an outage, a gap that is repaired, a late line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

BEGAN_MS: Final = 1_795_435_200_000
"""2026-11-23 12:00:00 UTC."""

Entry = dict[str, Any]


def header(**changes: Any) -> Entry:  # noqa: ANN401 - any field
    """The first entry, with one target."""
    target = {"name": "/gapless/demo", "url": "ws://127.0.0.1:1", "group": "/gapless/demo"}
    return {"type": "record", "version": 1, "began": BEGAN_MS, "targets": [target]} | changes


def event(number: int, at_ms: int, **changes: Any) -> Entry:  # noqa: ANN401 - any field
    """An event that arrived 100 ms after its time; ``at_ms`` counts from the beginning."""
    moment = BEGAN_MS + at_ms
    return {
        "type": "event",
        "target": 0,
        "seq": number,
        "id": str(10**55 + number),
        "timestamp": moment,
        "ingestion_time": moment + 50,
        "log_group": "/gapless/demo",
        "log_stream": f"app/{number % 3}",
        "message": f"{'ERROR' if number % 10 == 0 else 'INFO'} line-{number}",
        "origin": "live",
        "late": False,
        "confirmed": True,
        "arrived": moment + 100,
    } | changes


def rule(at_ms: int, kind: str, number: int, **changes: Any) -> Entry:  # noqa: ANN401 - any field
    """A rule that came or changed; it stands where it first came, unless ``timestamp`` is given."""
    return {
        "type": "rule",
        "target": 0,
        "at": BEGAN_MS + at_ms,
        "kind": kind,
        "timestamp": BEGAN_MS + at_ms,
        "number": number,
        "from": BEGAN_MS + at_ms,
        "through": None,
        "state": "",
        "reason": "",
        "count": None,
    } | changes


def state(at_ms: int, name: str, detail: str = "") -> Entry:
    """A change of the state."""
    return {"type": "state", "target": 0, "at": BEGAN_MS + at_ms, "state": name, "detail": detail}


def verified(at_ms: int, through_ms: int) -> Entry:
    """A change of the verified time."""
    return {
        "type": "verified",
        "target": 0,
        "at": BEGAN_MS + at_ms,
        "through": BEGAN_MS + through_ms,
    }


def ending(at_ms: int, **changes: Any) -> Entry:  # noqa: ANN401 - any field
    """The last entry."""
    return {"type": "status", "ended": BEGAN_MS + at_ms, "ends": []} | changes


def incident(lines: int = 60) -> list[Entry]:
    """A minute: lines each second, an outage of ten seconds, a late line, a repaired gap."""
    step = 60_000 // lines
    outage = {"timestamp": BEGAN_MS + 20_000, "from": BEGAN_MS + 20_000}
    over = outage | {"through": BEGAN_MS + 30_000}
    gap = {
        "timestamp": BEGAN_MS + 40_000,
        "from": BEGAN_MS + 40_000,
        "through": BEGAN_MS + 41_000,
        "reason": "the live path missed events",
    }
    entries = [header()]
    for number in range(lines):
        at_ms = number * step
        one = event(number, at_ms)
        if 20_000 <= at_ms < 30_000:
            one["arrived"] = BEGAN_MS + 30_000
        if number == lines // 2 + 1:
            one |= {"origin": "repair", "late": True, "arrived": BEGAN_MS + 45_000}
        entries.append(one)
    return [
        *entries,
        state(0, "connecting"),
        state(500, "live"),
        state(20_000, "reconnecting", "connection cut"),
        state(30_000, "live"),
        verified(10_000, 9_000),
        verified(35_000, 34_000),
        verified(50_000, 49_000),
        rule(20_000, "offline", 1, **outage),
        rule(30_000, "offline", 1, **over),
        rule(31_000, "offline", 1, **over, count=10),
        rule(42_000, "gap", 2, **gap, state="suspected"),
        rule(45_000, "gap", 2, **gap, state="repaired", count=1),
        ending(60_000),
    ]


def encoded(entries: Iterable[Entry]) -> bytes:
    """Entries as a file has them."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in entries)


def write(path: Path, entries: Iterable[Entry]) -> Path:
    """Write a file."""
    path.write_bytes(encoded(entries))
    return path
