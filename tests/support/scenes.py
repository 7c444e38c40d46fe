"""Fixed states of a viewer, for pictures."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tests.support.fake_engine import EPOCH_MS, FakeEngine, busy_lines, make_line, make_rule
from tests.support.log_formats import lines_of
from tui.client.status import (
    BackfillProgress,
    ConnectionOutage,
    GapStatus,
    MarkStatus,
    StateChange,
    UnequalRange,
)
from tui.lines.rows import Line, Row
from wire.messages import AlteredText

LINES: Final = 420
NOW_MS: Final = EPOCH_MS + LINES * 100 + 900

_OFF_MS: Final = EPOCH_MS + 39_250
_BACK_MS: Final = _OFF_MS + 10_200
_VOLUME: Final = (4, 6, 9, 12, 8, 7, 9, 14, 11, 9, 0, 0, 0, 0, 0, 38, 21, 12, 9, 11) * 3


def live(**changes: Any) -> FakeEngine:  # noqa: ANN401 - any field of the target's status
    """Live after an outage, verified up to some seconds ago."""
    engine = FakeEngine()
    rows: list[Row] = list(busy_lines(LINES))
    for index in range(300, 330):
        rows[index] = msgspec.structs.replace(rows[index], origin="backfill")
    for index in (401, 402):
        rows[index] = msgspec.structs.replace(rows[index], origin="repair")
    rows[406] = msgspec.structs.replace(rows[406], late_ms=42_000)
    rows.append(
        make_rule(
            1, _OFF_MS, "offline", through_ms=_BACK_MS, count=103, reason="the cable was pulled"
        )
    )
    rows.append(
        make_rule(
            2,
            EPOCH_MS + 40_050,
            "gap",
            state="repaired",
            reason="a scan found more",
            through_ms=EPOCH_MS + 40_300,
            count=2,
        )
    )
    engine.add(rows)
    through = EPOCH_MS + 36_000
    count = len(list(busy_lines(360)))
    digest = "83fa012bcd9e77aa"
    settled: dict[str, Any] = {
        "complete_through_ms": through,
        "provisional": 59,
        "events": LINES,
        "after": LINES,
        "head_seq": LINES,
        "marks": 14,
        "generation": 2,
        "duplicates": 17,
        "late": 1,
        "repaired": 2,
        "lag_ms": 820,
        "rate_per_s": 11.0,
        "last_mark": MarkStatus(
            0, EPOCH_MS, through, NOW_MS - 2_000, LINES, count, digest, count, digest, equal=True
        ),
        "gaps": (
            GapStatus(
                0, "g1", EPOCH_MS + 40_050, EPOCH_MS + 40_300, "repaired", "a scan found more", 2
            ),
        ),
        "outages": (
            ConnectionOutage(_OFF_MS, _BACK_MS, None, "the cable was pulled", 103, "resumed"),
        ),
        "history": (
            StateChange(EPOCH_MS - 1_000, "connecting", ""),
            StateChange(EPOCH_MS - 900, "backfilling", ""),
            StateChange(EPOCH_MS + 300, "live", ""),
            StateChange(_OFF_MS, "reconnecting", "the cable was pulled"),
            StateChange(_BACK_MS, "live", "resumed"),
        ),
    }
    engine.extra["volume"] = _VOLUME
    engine.set(**(settled | changes))
    return engine


def reconnecting() -> FakeEngine:
    """Disconnected, waiting for the next attempt."""
    return live(
        state="reconnecting",
        attempt=3,
        retry_at_ms=NOW_MS + 2_100,
        detail="connection refused",
        lag_ms=None,
    )


def backfilling() -> FakeEngine:
    """Backfill in progress, nothing verified yet."""
    return live(
        state="backfilling",
        progress=BackfillProgress(12_304, 27_000, EPOCH_MS - 90_000),
        complete_through_ms=None,
        provisional=LINES,
        marks=0,
        last_mark=None,
    )


def missing() -> FakeEngine:
    """The forwarder has lines that the viewer lacks."""
    unequal = UnequalRange(0, EPOCH_MS + 10_000, EPOCH_MS + 14_000, 214, final=True)
    return live(
        state="polling",
        detail="the WebSocket is refused: HTTP 403",
        unequal=(unequal,),
        missing=214,
        complete_through_ms=EPOCH_MS + 10_000,
    )


def altered() -> FakeEngine:
    """CloudWatch now masks what three lines said."""
    engine = live()
    lines = [row for row in engine.timeline.iterate() if isinstance(row, Line)][-8:-5]
    first, last = lines[0].timestamp, lines[-1].timestamp
    reason = "altered: CloudWatch now returns another text"
    for line in lines:
        text = "\x1b[32m" + "*" * 24 + f" masked by a policy, seq {line.seq}"
        engine.altered[line.key] = AlteredText(line.id, line.timestamp, text, len(text) + 700)
    engine.add(
        [make_rule(9, first, "gap", through_ms=last, state="unrecoverable", reason=reason, count=0)]
    )
    gap = GapStatus(0, "g9", first, last, "unrecoverable", reason, 0)
    engine.set(gaps=(gap,), altered=3, complete_through_ms=first - 1)
    return engine


def unreachable() -> FakeEngine:
    """The connection failed before any line arrived."""
    engine = FakeEngine()
    engine.set(state="failed", detail="HTTP 404: there is no log group /gapless/demo here")
    return engine


GROUPS: Final = (
    "us-east-1:/ecs/prod/web",
    "us-east-1:/ecs/test/web",
    "us-east-1:/aws/lambda/orders-import",
    "eu-west-1:/ecs/prod/web",
    "eu-west-1:/ecs/prod/billing-reconciliation",
)


def several_groups() -> FakeEngine:
    """Log groups of two Regions, one of which has just joined, and one that was deleted."""
    engine = live()
    engine.timeline.add_many(
        make_line(number, f"request {number} done", stream=f"task/{number % 3}", target=number % 5)
        for number in range(LINES, LINES + 9)
    )
    targets = [
        msgspec.structs.replace(
            engine.target, target=number, name=name, group=name.partition(":")[2], phase=phase
        )
        for number, (name, phase) in enumerate(
            zip(GROUPS, ("here", "here", "here", "joining", "left"), strict=True)
        )
    ]
    text = f"log group {GROUPS[3]} joined"
    engine.add([make_rule(9, NOW_MS - 800, "joined", target=3, reason=text)])
    engine.extra |= {"targets": tuple(targets)}
    return engine


def waiting() -> FakeEngine:
    """Waiting for the first log group of a pattern."""
    engine = FakeEngine()
    engine.extra = {"targets": (), "waiting": ("/svc/*",), "state": "connecting"}
    return engine


def formats() -> FakeEngine:
    """Lines of many formats; of one message there were no more for a while."""
    engine = live()
    lines = [make_line(500 + at, text) for at, text in enumerate(lines_of(LINES * 2))]
    engine.add([one for one in lines[:LINES] if "GC pause" in one.message or one.seq % 2])
    engine.add([one for one in lines[LINES:] if "GC pause" not in one.message])
    return engine
