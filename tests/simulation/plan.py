"""The plan of a run, drawn from its seed, and reduced limits for the simulation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from types import ModuleType
from unittest.mock import patch

from wire.query import Filter

START = 10_000_000
STREAMS = ("job/a1", "job/b2", "other/c3")
EXECUTIONS = ("a1", "b2", "c3")
FILTERS = (
    Filter(),
    Filter(),
    Filter(streams=(STREAMS[0],)),
    Filter(executions=(EXECUTIONS[1],)),
    Filter(prefixes=("job/",)),
    Filter(streams=(STREAMS[2],), executions=(EXECUTIONS[0],)),
    Filter(prefixes=("nothing",)),
)

TROUBLES = (
    "cut", "half open", "drop", "duplicate", "reorder", "drop up", "restart", "rollback",
    "journal lost", "retention", "stream deleted", "flap", "break off", "viewer crash",
    "log group recreated", "bit rot", "late", "bursts", "overload", "blocked",
    "gap", "refilter",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """The parameters of a run."""

    seed: int
    troubles: tuple[str, ...]
    counted_ids: bool
    frame_events: int
    credit: int
    viewers: int
    page_events: int

    @classmethod
    def of(cls, seed: int, only: tuple[str, ...] | None = None) -> Plan:
        """Draw the plan of a seed; ``only`` replaces its troubles."""
        random = Random(seed)
        amount = random.choice((1, 2, 3, 5, 8))
        drawn = tuple(sorted(random.sample(TROUBLES, amount)))
        return cls(
            seed,
            drawn if only is None else only,
            counted_ids=random.random() < 0.5,
            frame_events=random.choice((1, 2, 3, 5, 9)),
            credit=random.choice((2, 8, 20, 1000)),
            viewers=random.choice((1, 1, 2, 3)),
            page_events=random.choice((1, 3, 7, 50)),
        )


@contextmanager
def small_world(plan: Plan) -> Iterator[None]:
    """Reduce the product's limits from hundreds and minutes to a few and seconds."""
    values = {
        "FRAME_EVENTS_MAX": plan.frame_events,
        "FIRST_ROWS": 2,
        "EXAMINED_ROWS_MAX": 6,
        "WINDOW_FIRST_MS": 5_000,
        "RECENT_EVERY_MS": 4_000,
        "RECENT_SPAN_MS": 15_000,
        "NEAR_EVERY_MS": 12_000,
        "NEAR_SPAN_MS": 30_000,
        "WIDE_EVERY_MS": 30_000,
        "WIDE_SPAN_MS": 60_000,
        "FAR_EVERY_MS": 60_000,
        "DEEP_EVERY_MS": 9_000,
        "DEEP_SHARE": 2,
        "DRAIN_MS": 5_000,
        "ROOM_EVENTS": plan.page_events * 6 // 10,
        "AHEAD_MS": 60_000,
        "RETENTION_LEAST_MS": 1_000,
        "SLACK_MS": 0,
        "CREDIT_EVENTS": plan.credit,
    }
    with ExitStack() as stack:
        for name, value in values.items():
            homes = [one for one in _modules() if hasattr(one, name)]
            assert homes, f"no module has {name} any more"
            for home in homes:
                stack.enter_context(patch.object(home, name, value))
        yield


def _modules() -> list[ModuleType]:
    """All loaded modules of forwarder and tui, which may have imported the constants."""
    return [
        module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("forwarder", "tui")
    ]
