"""Texts of the bars: connection, completeness, rate, position; and how they share a line. Pure.

A bar is made of chunks with ranks; on a narrow screen those of high rank are left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Final

import msgspec
from rich.cells import cell_len

from tui.client.status import STATE_LABELS, BackfillProgress, Status, TargetStatus
from tui.lines.rows import is_altered
from tui.lines.viewport import ReadingPlace
from tui.render import units
from tui.render.safe_text import Segment, harmless
from wire.record import TargetState


class Chunk(msgspec.Struct, frozen=True):
    """Segments that are shown together or not at all."""

    parts: tuple[Segment, ...]
    rank: int = 0
    """0 is always shown; the highest rank is left out first."""
    action: str | None = None
    """The Textual action that a click runs."""

    @property
    def cells(self) -> int:
        """Width in cells."""
        return sum(cell_len(text) for text, _ in self.parts)


def chunk(text: str, role: str, rank: int = 0, action: str | None = None) -> Chunk:
    """A chunk of one segment."""
    return Chunk(((text, role),), rank, action)


def arrange(
    left: Sequence[Chunk], right: Sequence[Chunk], cells: int, gap: int = 2
) -> tuple[list[Chunk], list[Chunk]]:
    """Leave out chunks until the rest fits into ``cells``, with ``gap`` cells between any two.

    Chunks of rank 0 are kept even if they do not fit.
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
"""Width of the sparkline where long texts stand beside it, on 80 columns."""

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
_PROBLEM_BADGES: Final = {
    "group_missing": "LOG GROUP MISSING",
    "clock_wrong": "CLOCK WRONG",
    "throttled": "CLOUDWATCH THROTTLES",
    "unanswered": "NO ANSWER FROM CLOUDWATCH",
    "unreachable": "CLOUDWATCH UNREACHABLE",
}
"""Badges of codes whose name is not clear by itself."""
_CODE_CHARS: Final = 30

_END_BADGES: Final = {"SUCCEEDED": "badge.ok", "FAILED": "badge.bad", "STOPPED": "badge.warn"}
PROBLEM_LINES_MAX: Final = 3
"""Rows that the reason may take from the log."""
_REASON_CHARS: Final = 600
_PATTERN_CHARS: Final = 24
"""Longest filter pattern in the status line; the connection panel has all of it."""
DELAY_SHOWN_MS: Final = 10_000
"""Delay of CloudWatch from which on the user must know of it. A shorter one is no longer than the
time between two marks, and no line is missed because of it; the connection panel shows it."""

_STALE_MS: Final = 30_000
"""Age from which the verified time is shown with its age; marks arrive every ten seconds."""


def connection(
    status: Status, now_ms: int, *, ascii_only: bool = False, is_recorded: bool = False
) -> list[Chunk]:
    """The state of the connection: a badge, and details.

    ``is_recorded``: it is that of a record, which does not contain attempts and waits.
    """
    state = status.state
    glyph, role = _BADGES[state]
    word = STATE_LABELS[state].upper()
    if state == "ended":
        ends = [end.status for target in status.targets for end in target.ends]
        word, role = (
            (f"ENDED {ends[-1]}", _END_BADGES.get(ends[-1], role)) if ends else (word, role)
        )
    if not status.targets and status.waiting:
        mark = "" if ascii_only else "○ "
        return [chunk(f" {mark}WAITING ", "badge.quiet"), chunk(_waiting(status), "strong", 1)]
    counted = status.counted
    problem = next((one for one in counted if one.upstream_code), None)
    if problem is not None and state not in ("reconnecting", "failed", "ended"):
        glyph, word, role = "✕", _problem_badge(problem.upstream_code), "badge.bad"
    mark = "" if ascii_only else f"{glyph} "
    chunks = [chunk(f" {mark}{word} ", role)]
    affected = [target for target in counted if target.state == state]
    has_detail = affected and not (is_recorded and state == "reconnecting")
    detail = _detail(affected, now_ms) if has_detail else ""
    if len(counted) > 1 and affected:
        detail = f"{len(affected)} of {len(counted)} {detail}".rstrip()
    if detail:
        chunks.append(chunk(harmless(detail), "strong" if state != "quiet" else "muted", 1))
    if state == "reconnecting" and affected[0].detail:
        chunks.append(chunk(harmless(affected[0].detail), "muted", 4))
    upstream = _upstream(counted)
    if upstream and problem is None:
        chunks.append(chunk(f"CloudWatch {upstream}", "warn", 2))
    changing = [
        f"{units.number(count)} {word}"
        for count, word in ((status.joining, "joining"), (status.left, "deleted"))
        if count
    ]
    if changing:
        chunks.append(chunk(", ".join(changing), "muted", 3))
    return chunks


def _upstream(targets: Sequence[TargetStatus]) -> str:
    """What CloudWatch does that the user must know; empty if that is nothing."""
    delays = [one.upstream_lag_ms or 0 for one in targets if one.upstream == "delayed"]
    found = {str(one.upstream) for one in targets} - {"None", "ok", "delayed"}
    if max(delays, default=0) >= DELAY_SHOWN_MS:
        found.add(f"delayed {units.whole_duration(max(delays))}")
    return ", ".join(sorted(found))


def _waiting(status: Status) -> str:
    text = f"for log group {harmless(', '.join(status.waiting))}"
    return f"{text} · {harmless(status.unlisted)}" if status.unlisted else text


def _problem_badge(code: str) -> str:
    """The badge of a code; one of a newer forwarder is named as it is."""
    return _PROBLEM_BADGES.get(code) or harmless(code[:_CODE_CHARS]).replace("_", " ").upper()


def problem_lines(status: Status, cells: int) -> tuple[str, ...]:
    """Why CloudWatch can't be read and what helps, wrapped; empty while it can."""
    reasons: dict[str, str] = {}
    for target in status.counted:
        if target.upstream_code:
            reasons.setdefault(harmless(target.upstream_reason[:_REASON_CHARS]), target.name)
    lines: list[str] = []
    for reason, name in reasons.items():
        text = reason or "CloudWatch cannot be read"
        if len(status.targets) > 1:
            text = f"{harmless(name)}: {text}"
        lines += textwrap.wrap(text, max(cells, 20), break_on_hyphens=False)
    return tuple(lines[:PROBLEM_LINES_MAX])


def _detail(targets: Sequence[TargetStatus], now_ms: int) -> str:
    target = targets[0]
    match target.state:
        case "backfilling":
            return _progress([one.progress for one in targets if one.progress is not None])
        case "reconnecting":
            wait = "" if target.retry_at_ms is None else _wait(target.retry_at_ms - now_ms)
            return f"attempt {max(1, target.attempt)}{wait}"
        case "quiet":
            return f"connected, no lines for {units.whole_duration(now_ms - target.state_since_ms)}"
        case "connecting" | "polling" | "failed":
            return target.detail
        case _:
            return ""


def _progress(progresses: Sequence[BackfillProgress]) -> str:
    if not progresses:
        return ""
    done = sum(one.received for one in progresses)
    total = sum(one.total or 0 for one in progresses)
    if not all(one.total for one in progresses):
        return f"{units.number(done)} lines of history"
    share = min(100, 100 * done // total)
    return f"{share} % · {units.number(done)} of {units.number(total)}"


def _wait(ms: int) -> str:
    return f", in {ms / 1000:.1f} s" if ms > 0 else ", now"


def empty_log(status: Status, *, filtered: bool) -> tuple[str, ...]:
    """Lines of text to show while there is no log line to show."""
    if filtered and status.lines:
        return ("no line matches the filters", "Ctrl+F disables them, Esc clears them")
    target = next((one for one in status.counted if one.state == status.state), None)
    return _empty_of_groups(status) if target is None else _empty_of(target, status)


def _empty_of(target: TargetStatus, status: Status) -> tuple[str, ...]:
    """What to show while a target, one with the worst state, has no line."""
    match status.state:
        case "failed":
            name = harmless(target.name)
            return (f"cannot connect to {name}", harmless(target.detail), "press r to try again")
        case "connecting" | "reconnecting":
            detail = (harmless(target.detail),) if target.detail else ()
            return (f"connecting to {harmless(target.url)}", *detail)
        case "backfilling":
            return ("fetching history",)
        case "ended":
            return ("ended without any lines",)
        case _:
            since = target.since_ms
            period = "" if since is None else f" since {units.stamp(since)[:19]} UTC"
            pattern = _pattern(status, ascii_only=False)
            matching = f" that match {pattern}" if pattern else ""
            return (f"connected: no lines{matching}{period}",)


def _empty_of_groups(status: Status) -> tuple[str, ...]:
    """What to show while no log group matches."""
    unlisted = f"cannot list log groups: {harmless(status.unlisted)}"
    last = unlisted if status.unlisted else "q quits"
    return ("waiting for log group", *map(harmless, status.waiting), last)


def throughput(
    status: Status, *, spark_cells: int = SPARK_CELLS, ascii_only: bool = False
) -> list[Chunk]:
    """Lag, lines per second, and a sparkline of the last ``spark_cells`` seconds."""
    chunks: list[Chunk] = []
    if status.lag_ms is not None and status.state in ("live", "backfilling", "polling"):
        chunks.append(chunk(f"lag {units.duration(status.lag_ms)}", "muted", 4))
    chunks.append(chunk(f"{units.number(round(status.rate_per_s))}/s", "muted", 5))
    if any(status.volume):
        chunks.append(Chunk(_spark(status, spark_cells, ascii_only=ascii_only), 6))
    return chunks


def _spark(status: Status, cells: int, *, ascii_only: bool) -> tuple[Segment, ...]:
    """Lines received in each of the last seconds, newest last.

    A second without a connection is shaded, so that quiet and disconnected differ. Bars are
    scaled to live lines, since backfilled ones arrive all at once.
    """
    volume = status.volume[-cells:]
    backfilled = (*(0,) * len(volume), *status.volume_backfill)[-len(volume) :]
    first = status.at_ms // units.SECOND - len(volume) + 1
    outages = [
        (outage.began_ms, status.at_ms if outage.ended_ms is None else outage.ended_ms)
        for target in status.targets
        for outage in target.outages
    ]
    live = [value - old for value, old in zip(volume, backfilled, strict=True)]
    top = max(live) or max(volume)
    parts: list[Segment] = [(" " * (cells - len(volume)), "muted")]
    for second, (value, old) in enumerate(zip(volume, backfilled, strict=True), first):
        begin_ms = second * units.SECOND
        is_down = any(low < begin_ms + units.SECOND and begin_ms <= high for low, high in outages)
        if is_down and not value:
            parts.append(("x" if ascii_only else "░", "shade.offline"))
        else:
            role = "muted" if 2 * old > value else "accent"
            parts.append((units.bar(value, top, ascii_only=ascii_only), role))
    return tuple(parts)


def completeness(
    status: Status, now_ms: int, zone: tzinfo = UTC, *, ascii_only: bool = False
) -> list[Chunk]:
    """Whether anything is missing; green only up to the time that equal digests verify."""
    through = status.complete_through_ms
    tick, cross, ring = ("ok", "x", "o") if ascii_only else ("✔", "✕", "○")
    verified = None if through is None else _until(through, now_ms, zone)
    problem = _problem(status, zone)
    chunks: list[Chunk] = []
    if problem:
        chunks.append(chunk(f"{cross} {problem}", "bad"))
        chunks.append(
            chunk(f"complete to {verified}", "text", 3)
            if verified
            else chunk("not yet verified", "warn", 3)
        )
    elif through is not None and status.is_green and _is_held_up(status, now_ms - through):
        age = units.whole_duration(max(0, now_ms - through))
        chunks.append(chunk(f"{ring} verified to {_moment(through, now_ms, zone)}", "warn"))
        chunks.append(chunk(f"{age} ago", "warn"))
    elif status.is_green and verified is not None:
        chunks.append(chunk(f"{tick} COMPLETE to {verified}", "ok"))
    else:
        chunks.append(chunk(f"{ring} NOT VERIFIED", "warn"))
    if pattern := _pattern(status, ascii_only=ascii_only):
        # Never left out: without it the line would claim more than was verified.
        verb = "" if through is None else "verified: "
        chunks.append(chunk(f"{verb}events matching {pattern}", "accent"))
    count = status.provisional
    chunks.append(chunk(f"{units.number(count)} provisional", "warn" if count else "muted", 2))
    if status.uncompared_ms is not None:
        before = _until(status.uncompared_ms, status.uncompared_ms, zone)
        chunks.append(chunk(f"too many lines to verify before {before}", "warn", 1))
    if status.unconfirmed:
        chunks.append(chunk(f"{units.number(status.unconfirmed)} unconfirmed", "warn", 1))
    if status.altered and not _is_only_altered(status):
        chunks.append(chunk(f"{units.number(status.altered)} altered", "bad", 1))
    if not problem:
        missing = status.missing
        role, rank = ("bad", 1) if missing else ("muted", 2)
        chunks.append(chunk(f"{units.number(missing)} missing", role, rank))
    return chunks


def _is_held_up(status: Status, age_ms: int) -> bool:
    """Whether nothing newer can be verified now, for a reason that is known."""
    is_delayed = any(one.upstream == "delayed" for one in status.counted)
    return not status.is_current or (is_delayed and age_ms >= DELAY_SHOWN_MS)


def _pattern(status: Status, *, ascii_only: bool) -> str:
    """The filter pattern that lines are limited to, shortened; empty without one."""
    patterns = {target.pattern for target in status.targets}
    if len(patterns) > 1:
        return "the filter patterns"
    text = harmless("".join(patterns), ascii_only=ascii_only)
    end = "..." if ascii_only else "…"
    return text if len(text) <= _PATTERN_CHARS else text[: _PATTERN_CHARS - len(end)] + end


def _moment(at_ms: int, now_ms: int, zone: tzinfo) -> str:
    """A time of day, with the date unless it is today's."""
    text = units.clock(at_ms, zone)
    if units.date(at_ms, zone) != units.date(now_ms, zone):
        text = f"{units.date(at_ms, zone)} {text}"
    return text


def _until(through: int, now_ms: int, zone: tzinfo) -> str:
    text = _moment(through, now_ms, zone)
    age = now_ms - through
    return f"{text} ({units.whole_duration(age)} ago)" if age >= _STALE_MS else text


def _problem(status: Status, zone: tzinfo) -> str:
    """What is known to be missing, with its range; empty if nothing is."""
    ranges = [(one.from_ms, one.through_ms) for one in status.unequal]
    ranges += [(one.from_ms, one.through_ms) for one in status.lost]
    open_gaps = [gap for gap in status.gaps if gap.state != "repaired"]
    ranges += [(gap.from_ms, gap.through_ms) for gap in open_gaps]
    if not ranges:
        return ""
    where = units.span(min(low for low, _ in ranges), max(high for _, high in ranges), zone)
    if _is_only_altered(status):
        return f"{units.number(status.altered)} ALTERED {where}".removeprefix("0 ")
    if status.missing:
        return f"{units.number(status.missing)} MISSING {where}"
    if status.unequal or status.lost or any(gap.state == "unrecoverable" for gap in open_gaps):
        return f"MISSING {where}"
    return f"GAP {where} {open_gaps[0].state}"


def _is_only_altered(status: Status) -> bool:
    """Whether nothing is missing but the first texts of lines."""
    open_gaps = [gap for gap in status.gaps if gap.state != "repaired"]
    is_missing = status.missing or status.unequal or status.lost
    return not is_missing and bool(open_gaps) and all(is_altered(one.reason) for one in open_gaps)


def position(place: ReadingPlace, *, ascii_only: bool = False) -> list[Chunk]:
    """Where the user is in the log, and how many lines arrived since."""
    arrow = "v" if ascii_only else "↓"
    new = f"{arrow} {units.number(place.new)} new"
    if place.frozen:
        text = f" FROZEN · {new} " if place.new else " FROZEN "
        return [chunk(text, "badge.warn", 0, "app.freeze")]
    if place.following:
        return [chunk("following", "muted", 4)]
    if not place.new:
        return [chunk(f" {arrow} F to follow ", "badge.quiet", 0, "app.follow")]
    return [chunk(f" {new} ", "badge.accent", 0, "app.follow")]
