"""What is worth a bell: a gap, a new error, an end. Pure.

Each kind is told at most every few seconds, with what came meanwhile; what was so when the
viewer began is no news.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Final, Literal, get_args

from tui.client.status import Status
from tui.lines.rows import Line, Row, at_least, level_of
from tui.render import units
from tui.render.safe_text import harmless

Mode = Literal["off", "bell", "osc9", "osc777"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
"""``osc9`` is understood by iTerm2, kitty, WezTerm, Windows Terminal; ``osc777`` by foot, Ghostty,
VTE and others."""

MODE_TITLES: Final[dict[Mode, str]] = {
    "off": "no notices",
    "bell": "bell",
    "osc9": "terminal notification (OSC 9)",
    "osc777": "terminal notification (OSC 777)",
}

PAUSE_MS: Final = 5_000
"""Between two notices of a kind."""

TEXT_CHARS: Final = 120

Kind = Literal["gap", "error", "end"]


class Notifier:
    """Looks at what changes, and says what of it is news."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._seen: dict[Kind, set[object]] = {}
        self._told_ms: dict[Kind, int] = {}
        self._kept: dict[Kind, list[str]] = {"gap": [], "error": [], "end": []}

    def look(self, status: Status, zone: tzinfo = UTC) -> None:
        """See what is missing now, and what has ended."""
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
        self._compare("gap", gaps)
        self._compare("end", ends)

    def came(self, rows: Iterable[Row]) -> None:
        """See rows that came below all others."""
        for row in rows:
            if isinstance(row, Line) and row.origin == "live":
                level = level_of(row.message)
                if level is not None and at_least(level, "error"):
                    self._kept["error"].append(row.message[:TEXT_CHARS])

    def due(self, now_ms: int) -> list[str]:
        """What is to be told now, each fit for a terminal."""
        told: list[str] = []
        for kind, kept in self._kept.items():
            if kept and now_ms - self._told_ms.get(kind, now_ms - PAUSE_MS) >= PAUSE_MS:
                more = f" (and {units.number(len(kept) - 1)} more)" if len(kept) > 1 else ""
                told.append(fit_for_terminal(kept[0]) + more)
                self._told_ms[kind] = now_ms
                kept.clear()
        return told

    def _compare(self, kind: Kind, found: dict[object, str]) -> None:
        seen = self._seen.get(kind)
        if seen is not None:  # what was so from the beginning is no news
            self._kept[kind] += [text for key, text in found.items() if key not in seen]
        self._seen[kind] = set(found)


def fit_for_terminal(text: str) -> str:
    """A text that may stand in an escape sequence: on one line, nothing in it that ends one."""
    return harmless(text[:TEXT_CHARS]).replace(";", ",")


def sequence(mode: Mode, text: str) -> str:
    """What is written to the terminal for a notice; ``text`` is fit for it."""
    match mode:
        case "off":
            return ""
        case "bell":
            return "\a"
        case "osc9":
            return f"\x1b]9;gapless: {text}\x1b\\"
        case "osc777":
            return f"\x1b]777;notify;gapless;{text}\x1b\\"
