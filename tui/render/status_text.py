"""The answers that the screen always gives: connected? missing anything? how far behind? Pure.

One line of the screen, from parts that give way when it is narrow. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Final

import msgspec
from rich.cells import cell_len

from tui.client.status import STATE_LABELS, BackfillProgress, Status, TargetState, TargetStatus
from tui.lines.viewport import ReadingPlace
from tui.render import units
from tui.render.safe_text import harmless

Part = tuple[str, str]
"""Text and role."""


class Chunk(msgspec.Struct, frozen=True):
    """Some parts that are shown together or not at all."""

    parts: tuple[Part, ...]
    rank: int = 0
    """0 stays; the highest goes first."""
    action: str | None = None
    """What a click on it does: a Textual action."""

    @property
    def cells(self) -> int:
        """Cells that it takes."""
        return sum(cell_len(text) for text, _ in self.parts)


def chunk(text: str, role: str, rank: int = 0, action: str | None = None) -> Chunk:
    """A chunk of one part."""
    return Chunk(((text, role),), rank, action)


def arrange(
    left: Sequence[Chunk], right: Sequence[Chunk], cells: int, gap: int = 2
) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks that fit into ``cells``, with ``gap`` cells between any two.

    Those of rank 0 all stay, fit or not.
    """
    kept = [(one, True) for one in left] + [(one, False) for one in right]
    while sum(one.cells + gap for one, _ in kept) - gap > cells:
        worst = max(range(len(kept)), key=lambda index: (kept[index][0].rank, index))
        if not kept[worst][0].rank:
            break
        del kept[worst]
    return [one for one, is_left in kept if is_left], [one for one, is_left in kept if not is_left]


SPARK_CELLS: Final = 20
SPARK_CELLS_NARROW: Final = 10
"""Beside the state of CloudWatch or a fault, on 80 columns."""

_BADGES: Final[dict[TargetState, tuple[str, str]]] = {
    "connecting": ("○", "badge.accent"),
    "backfilling": ("◔", "badge.accent"),
    "live": ("●", "badge.accent"),
    "quiet": ("○", "badge.quiet"),
    "polling": ("◐", "badge.warn"),
    "reconnecting": ("✕", "badge.bad"),
    "ended": ("■", "badge.quiet"),
    "failed": ("✕", "badge.bad"),
}
_END_BADGES: Final = {"SUCCEEDED": "badge.ok", "FAILED": "badge.bad", "STOPPED": "badge.warn"}
_STALE_MS: Final = 30_000
"""Marks come every ten seconds; a proof older than this is said to be old."""


def connection(status: Status, now_ms: int, *, ascii_only: bool = False) -> list[Chunk]:
    """Whether the viewer is connected: a badge, and what there is to say about it."""
    state = status.state
    glyph, role = _BADGES[state]
    word = STATE_LABELS[state].upper()
    if state == "ended":
        ends = [end.status for target in status.targets for end in target.ends]
        word, role = (
            (f"ENDED {ends[-1]}", _END_BADGES.get(ends[-1], role)) if ends else (word, role)
        )
    mark = "" if ascii_only else f"{glyph} "
    said = [chunk(f" {mark}{word} ", role)]
    concerned = [target for target in status.targets if target.state == state]
    detail = _detail(concerned, now_ms) if concerned else ""
    if len(status.targets) > 1 and concerned:
        detail = f"{len(concerned)} of {len(status.targets)} {detail}".rstrip()
    if detail:
        said.append(chunk(harmless(detail), "strong" if state != "quiet" else "muted", 1))
    if state == "reconnecting" and concerned[0].detail:
        said.append(chunk(harmless(concerned[0].detail), "muted", 4))
    upstream = {target.upstream for target in status.targets} - {None, "ok"}
    if upstream:
        said.append(chunk(f"CloudWatch {', '.join(sorted(map(str, upstream)))}", "warn", 2))
    return said


def _detail(targets: Sequence[TargetStatus], now_ms: int) -> str:
    target = targets[0]
    match target.state:
        case "backfilling":
            return _progress(target.progress)
        case "reconnecting":
            wait = "" if target.retry_at_ms is None else _wait(target.retry_at_ms - now_ms)
            return f"attempt {max(1, target.attempt)}{wait}"
        case "quiet":
            return f"alive, no lines for {_whole(now_ms - target.state_since_ms)}"
        case "connecting" | "polling" | "failed":
            return target.detail
        case _:
            return ""


def _progress(progress: BackfillProgress | None) -> str:
    if progress is None:
        return ""
    done, total = progress.received, progress.total
    if not total:
        return f"{units.number(done)} lines of the past"
    share = min(100, 100 * done // total)
    return f"{share} % · {units.number(done)} of {units.number(total)}"


def _wait(ms: int) -> str:
    return f", in {ms / 1000:.1f} s" if ms > 0 else ", now"


def _whole(ms: int) -> str:
    """A duration without tenths, which would flicker."""
    return units.duration(ms // 1000 * 1000).replace(".0 s", " s")


def empty_log(status: Status, *, filtered: bool) -> tuple[str, ...]:
    """What to say while there is no line to show."""
    if filtered and status.lines:
        return ("no line passes the filters", "Ctrl+F switches them off, Esc clears them")
    target = next(one for one in status.targets if one.state == status.state)
    match status.state:
        case "failed":
            return (f"{target.name}: no connection", harmless(target.detail), "r tries again")
        case "connecting" | "reconnecting":
            detail = (harmless(target.detail),) if target.detail else ()
            return (f"connecting to {harmless(target.url)}", *detail)
        case "backfilling":
            return ("fetching the past",)
        case "ended":
            return ("ended without a line",)
        case _:
            since = target.since_ms
            past = "" if since is None else f" since {units.stamp(since)[:19]} UTC"
            return (f"connected: no lines{past}",)


def pace(
    status: Status, *, spark_cells: int = SPARK_CELLS, ascii_only: bool = False
) -> list[Chunk]:
    """How much comes, and how far behind the viewer is.

    Args:
        status: of the viewer.
        spark_cells: seconds whose volume is shown.
        ascii_only: draw with ASCII alone.

    """
    said: list[Chunk] = []
    if status.lag_ms is not None and status.state in ("live", "backfilling", "polling"):
        said.append(chunk(f"lag {units.duration(status.lag_ms)}", "muted", 4))
    said.append(chunk(f"{units.number(round(status.rate_per_s))}/s", "muted", 5))
    if any(status.volume):
        said.append(Chunk(_spark(status, spark_cells, ascii_only=ascii_only), 6))
    return said


def _spark(status: Status, cells: int, *, ascii_only: bool) -> tuple[Part, ...]:
    """Volume by the second of receipt, newest last; what came late and when nothing could come.

    A second without a connection is shaded: quiet and dead never look alike. The past, which
    comes all at once, is no measure of the present: its bars are full where they are higher.
    """
    volume = status.volume[-cells:]
    pasts = (*(0,) * len(volume), *status.volume_backfill)[-len(volume) :]
    first = status.at_ms // units.SECOND - len(volume) + 1
    off = [
        (outage.began_ms, status.at_ms if outage.ended_ms is None else outage.ended_ms)
        for target in status.targets
        for outage in target.outages
    ]
    present = [value - past for value, past in zip(volume, pasts, strict=True)]
    top = max(present) or max(volume)
    parts: list[Part] = [(" " * (cells - len(volume)), "muted")]
    for second, (value, past) in enumerate(zip(volume, pasts, strict=True), first):
        begin_ms = second * units.SECOND
        is_off = any(low < begin_ms + units.SECOND and begin_ms <= high for low, high in off)
        if is_off and not value:
            parts.append(("x" if ascii_only else "░", "shade.offline"))
        else:
            role = "muted" if 2 * past > value else "accent"
            parts.append((units.bar(value, top, ascii_only=ascii_only), role))
    return tuple(parts)


def completeness(
    status: Status, now_ms: int, zone: tzinfo = UTC, *, ascii_only: bool = False
) -> list[Chunk]:
    """Whether anything is missing. Green is said only of what equal digests prove."""
    through = status.complete_through_ms
    tick, cross, ring = ("ok", "x", "o") if ascii_only else ("✔", "✕", "○")
    until = None if through is None else _until(through, now_ms, zone)
    wrong = _wrong(status, zone)
    said: list[Chunk] = []
    if wrong:
        said.append(chunk(f"{cross} {wrong}", "bad"))
        said.append(
            chunk(f"complete to {until}", "text", 3)
            if until
            else chunk("not yet proved", "warn", 3)
        )
    elif status.is_green and until is not None:
        said.append(chunk(f"{tick} COMPLETE to {until}", "ok"))
    else:
        said.append(chunk(f"{ring} NOT YET PROVED", "warn"))
    count = status.provisional
    said.append(chunk(f"{units.number(count)} provisional", "warn" if count else "muted", 2))
    if status.uncompared_ms is not None:
        before = _until(status.uncompared_ms, status.uncompared_ms, zone)
        said.append(chunk(f"before {before} too many lines to compare", "warn", 1))
    if status.unconfirmed:
        said.append(chunk(f"{units.number(status.unconfirmed)} unconfirmed", "warn", 1))
    if not wrong:
        missing = status.missing
        role, rank = ("bad", 1) if missing else ("muted", 2)
        said.append(chunk(f"{units.number(missing)} missing", role, rank))
    return said


def _until(through: int, now_ms: int, zone: tzinfo) -> str:
    text = units.clock(through, zone)
    if units.date(through, zone) != units.date(now_ms, zone):
        text = f"{units.date(through, zone)} {text}"
    age = now_ms - through
    return f"{text} ({_whole(age)} ago)" if age >= _STALE_MS else text


def _wrong(status: Status, zone: tzinfo) -> str:
    """What is known to be wrong, with its range; empty where nothing is."""
    ranges = [(one.from_ms, one.through_ms) for one in status.unequal]
    ranges += [(one.from_ms, one.through_ms) for one in status.lost]
    open_gaps = [gap for gap in status.gaps if gap.state != "repaired"]
    ranges += [(gap.from_ms, gap.through_ms) for gap in open_gaps]
    if not ranges:
        return ""
    where = units.span(min(low for low, _ in ranges), max(high for _, high in ranges), zone)
    if status.missing:
        return f"{units.number(status.missing)} MISSING {where}"
    if status.unequal or status.lost or any(gap.state == "unrecoverable" for gap in open_gaps):
        return f"MISSING {where}"
    return f"GAP {where} {open_gaps[0].state}"


def position(place: ReadingPlace, *, ascii_only: bool = False) -> list[Chunk]:
    """Where the reader is, and what came since."""
    arrow = "v" if ascii_only else "↓"
    new = f"{arrow} {units.number(place.new)} new"
    if place.frozen:
        said = f" FROZEN · {new} " if place.new else " FROZEN "
        return [chunk(said, "badge.warn", 0, "app.freeze")]
    if place.following:
        return [chunk("following", "muted", 4)]
    if not place.new:
        return [chunk(f" {arrow} F follows ", "badge.quiet", 0, "app.follow")]
    return [chunk(f" {new} ", "badge.accent", 0, "app.follow")]
