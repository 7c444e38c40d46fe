"""Creates ledger events and viewers' records for tests of the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from simulator.oracle.record import LedgerEvent

HEADER: dict[str, Any] = {"type": "record", "version": 1, "targets": []}


def accepted(
    timestamp: int,
    message: str = "m",
    stream: str = "s/1",
    *,
    accepted_ms: int = 0,
    visible_ms: int | None = None,
) -> LedgerEvent:
    """An event of the ledger."""
    visible = accepted_ms if visible_ms is None else visible_ms
    return LedgerEvent(stream, timestamp, message, accepted_ms, visible)


def shown(event: LedgerEvent, event_id: int, **changed: object) -> dict[str, Any]:
    """A record's line for an event of the ledger."""
    return {
        "type": "event",
        "seq": 1,
        "id": str(event_id),
        "timestamp": event.timestamp,
        "ingestion_time": event.accepted_ms,
        "log_group": "/g",
        "log_stream": event.log_stream,
        "message": event.message,
        "origin": "live",
        "late": False,
        "confirmed": True,
        **changed,
    }


def faithful(events: Sequence[LedgerEvent]) -> list[dict[str, Any]]:
    """The lines of a correct viewer: all events in display order."""
    lines = [shown(event, number) for number, event in enumerate(events)]
    return sorted(lines, key=lambda line: (line["timestamp"], int(line["id"])))


def mark(
    from_: int,
    through: int,
    scanned_at: int,
    *,
    seq: int = 1,
    equal: bool = True,
    target: int = 0,
    confirmed: bool = True,
) -> dict[str, Any]:
    """A mark in the format of a record."""
    return {
        "type": "mark",
        "target": target,
        "from": from_,
        "through": through,
        "scanned_at": scanned_at,
        "seq": seq,
        "count": 1,
        "digest": "0" * 16,
        "equal": equal,
        "confirmed": confirmed,
    }


def gap(from_: int, through: int, state: str = "unrecoverable") -> dict[str, Any]:
    """A declared gap."""
    return {"type": "gap", "id": "1", "from": from_, "through": through, "state": state}


def record(lines: Iterable[dict[str, Any]], **header: object) -> list[str]:
    """A record as NDJSON lines, header first."""
    return [json.dumps(line) for line in ({**HEADER, **header}, *lines)]
