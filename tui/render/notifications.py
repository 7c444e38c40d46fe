"""Notifications (bell, terminal) of gaps, new errors and ended executions. Pure.

Of each kind at most one is sent every few seconds, with the number of further ones. What was
there when the viewer started is not notified.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Final, Literal, get_args

from tui.client.status import Status
from tui.lines.levels import at_least, level_of
from tui.lines.rows import Line, Row
from tui.render import units
from tui.render.safe_text import harmless

Mode = Literal["off", "bell", "osc9", "osc777"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
"""``osc9`` works in iTerm2, kitty, WezTerm and Windows Terminal; ``osc777`` in foot, Ghostty, VTE
and others."""

MODE_TITLES: Final[dict[Mode, str]] = {
    "off": "off",
    "bell": "bell",
    "osc9": "terminal notification (OSC 9)",
    "osc777": "terminal notification (OSC 777)",
}

PAUSE_MS: Final = 5_000
"""Shortest time between two notifications of a kind."""

TEXT_CHARS: Final = 120
"""Characters of a notification."""

Kind = Literal["gap", "error", "end"]


class Notifier:
    """Finds what to notify in each new status and in new rows."""

    def __init__(self) -> None:
        self._seen: dict[Kind, set[object]] = {}
        self._sent_ms: dict[Kind, int] = {}
        self._pending: dict[Kind, list[str]] = {"gap": [], "error": [], "end": []}

    def take_status(self, status: Status, zone: tzinfo = UTC) -> None:
        """Note gaps and ends that were not in the status before."""
        gaps: dict[object, str] = {}
        for gap in status.gaps:
            if gap.state != "repaired":
                where = units.span(gap.from_ms, gap.through_ms, zone)
                gaps[gap.target, gap.id] = f"gap {where} {gap.state}"
        for lost in status.lost:
            where = units.span(lost.from_ms, lost.through_ms, zone)
            gaps[lost.target, lost.from_ms, lost.through_ms] = f"not recoverable: {where}"
        for one in status.unequal:
            where = units.span(one.from_ms, one.through_ms, zone)
            gaps[one.target, one.from_ms] = f"{units.number(one.missing)} missing {where}"
        ends: dict[object, str] = {
            (target.target, end.execution): f"{end.execution} {end.status}"
            for target in status.targets
            for end in target.ends
        }
        ends |= {
            (target.target, "failed"): f"{target.name}: {target.detail}"
            for target in status.targets
            if target.state == "failed"
        }
        self._add_new("gap", gaps)
        self._add_new("end", ends)

    def take_rows(self, rows: Iterable[Row]) -> None:
        """Note errors among new live lines."""
        for row in rows:
            if isinstance(row, Line) and row.origin == "live":
                level = level_of(row.message)
                if level is not None and at_least(level, "error"):
                    self._pending["error"].append(row.message[:TEXT_CHARS])

    def take_due(self, now_ms: int) -> list[str]:
        """The notifications to send now, as texts that are fit for a terminal."""
        due: list[str] = []
        for kind, texts in self._pending.items():
            if texts and now_ms - self._sent_ms.get(kind, now_ms - PAUSE_MS) >= PAUSE_MS:
                more = f" (and {units.number(len(texts) - 1)} more)" if len(texts) > 1 else ""
                due.append(fit_for_terminal(texts[0]) + more)
                self._sent_ms[kind] = now_ms
                texts.clear()
        return due

    def _add_new(self, kind: Kind, found: dict[object, str]) -> None:
        seen = self._seen.get(kind)
        if seen is not None:  # at the first status, nothing is new
            self._pending[kind] += [text for key, text in found.items() if key not in seen]
        self._seen[kind] = set(found)


def fit_for_terminal(text: str) -> str:
    """A text as it may stand in an escape sequence: on one line, without a terminator."""
    return harmless(text[:TEXT_CHARS]).replace(";", ",")


def sequence(mode: Mode, text: str) -> str:
    """The escape sequence of a notification; ``text`` comes from ``fit_for_terminal``."""
    match mode:
        case "off":
            return ""
        case "bell":
            return "\a"
        case "osc9":
            return f"\x1b]9;gapless: {text}\x1b\\"
        case "osc777":
            return f"\x1b]777;notify;gapless;{text}\x1b\\"
