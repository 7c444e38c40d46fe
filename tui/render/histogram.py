"""The histogram: lines over time by level, with gaps, outages and backfills shaded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from math import ceil, log1p
from typing import Final, Literal

import msgspec

from tui.client.status import Status
from tui.lines.counts import LineVolume, VolumeBucket
from tui.render import units
from tui.render.safe_text import Segment

Kind = Literal["gap", "offline", "backfill", ""]
"""``gap``: lines may be missing; ``offline``: no connection; ``backfill``: received afterwards."""

FLAT_RATIO: Final = 15
"""Ratio of the highest column to the middle one from which on the scale is logarithmic: of three
rows, the middle column would fill less than a quarter of one."""

MARGIN_CELLS: Final = 9
"""Width of the labels before the columns."""

FIXED_ROWS: Final = 4
"""Rows below the bars: errors, warnings, source, times."""

_ROWS_EIGHTHS: Final = 8
_ROUND_MS: Final = (
    *(100, 200, 500),
    *(seconds * units.SECOND for seconds in (1, 2, 5, 10, 15, 20, 30)),
    *(minutes * units.MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * units.HOUR for hours in (1, 2, 3, 6, 12)),
    units.DAY,
)
_LABEL_CELLS: Final = 10
_KINDS: Final[tuple[Kind, ...]] = ("gap", "offline", "backfill", "")
_SHADES: Final = {"gap": ("░", "x"), "offline": ("░", "x"), "backfill": ("░", "'"), "": (" ", " ")}
_SOURCE_SIGNS: Final = {
    "gap": ("✕", "x"),
    "offline": ("✕", "x"),
    "backfill": (" ", " "),
    "": (" ", " "),
}


class ShadedRange(msgspec.Struct, frozen=True):
    """A time range to shade, both ends inclusive."""

    from_ms: int
    through_ms: int
    kind: Kind


class Column(msgspec.Struct, frozen=True):
    """One column: the counts of a time range, both ends inclusive."""

    from_ms: int
    through_ms: int
    counts: VolumeBucket
    kind: Kind = ""


class Plot(msgspec.Struct, frozen=True):
    """The columns, each ``step_ms`` long."""

    step_ms: int
    columns: tuple[Column, ...]

    @property
    def is_logarithmic(self) -> bool:
        """Whether bars have logarithmic heights, since one peak would flatten the rest."""
        filled = sorted(one.counts.lines for one in self.columns if one.counts.lines)
        return bool(filled) and filled[len(filled) // 2] * FLAT_RATIO <= filled[-1]

    def index_at(self, moment_ms: int) -> int | None:
        """Index of the column that contains a time; None if no column does."""
        if not self.columns:
            return None
        index = (moment_ms - self.columns[0].from_ms) // self.step_ms
        return index if 0 <= index < len(self.columns) else None


def shades(status: Status, now_ms: int) -> list[ShadedRange]:
    """The time ranges to shade, the worst kind last."""
    found: list[ShadedRange] = []
    for target in status.targets:
        for outage in target.outages:
            ended = now_ms if outage.ended_ms is None else outage.ended_ms
            is_back = outage.recovered is not None
            found.append(ShadedRange(outage.began_ms, ended, "backfill" if is_back else "offline"))
    for gap in status.gaps:
        kind: Kind = "backfill" if gap.state == "repaired" else "gap"
        found.append(ShadedRange(gap.from_ms, gap.through_ms, kind))
    found += [ShadedRange(one.from_ms, one.through_ms, "gap") for one in status.lost]
    found += [ShadedRange(one.from_ms, one.through_ms, "gap") for one in status.unequal]
    return sorted(found, key=lambda one: _KINDS.index(one.kind), reverse=True)


def plot(
    volume: LineVolume,
    cells: int,
    shaded: Iterable[ShadedRange] = (),
    *,
    zoom: int = 0,
    at_ms: int | None = None,
) -> Plot:
    """Divide the time range of a volume into columns of a round length.

    Args:
        volume: The counts.
        cells: Most columns.
        shaded: Time ranges to shade; later ones override earlier ones.
        zoom: 1 shows half of the time range, 2 a quarter, and so on.
        at_ms: Time in the middle, if not the whole time range is shown.
    """
    span = volume.span_ms
    if span is None or cells < 1:
        return Plot(volume.step_ms, ())
    step = volume.step_ms
    first, last = span[0] // step, span[1] // step
    shown = max(min(last - first + 1, cells), -(-(last - first + 1) >> zoom))
    middle = last if at_ms is None else at_ms // step
    begin = min(max(first, middle - shown // 2), last + 1 - shown)
    end = begin + shown - 1
    each = next(one for one in _multiples(step) if end // one - begin // one < cells)
    low, high = begin // each, end // each
    counts = [VolumeBucket() for _ in range(high - low + 1)]
    for at, bucket in volume.buckets.items():
        if low <= at // each <= high:
            counts[at // each - low].add(bucket)
    length = step * each
    kinds: list[Kind] = ["backfill" if 2 * one.backfilled > one.lines else "" for one in counts]
    for shade in shaded:
        begins = max(0, shade.from_ms // length - low)
        for index in range(begins, min(len(counts), shade.through_ms // length - low + 1)):
            kinds[index] = shade.kind
    return Plot(
        length,
        tuple(
            Column((low + index) * length, (low + index + 1) * length - 1, one, kinds[index])
            for index, one in enumerate(counts)
        ),
    )


def _multiples(step_ms: int) -> Iterator[int]:
    """Numbers of buckets that make a column of a round length, ascending."""
    for length in _ROUND_MS:
        if length >= step_ms and length % step_ms == 0:
            yield length // step_ms
    length = max(step_ms, _ROUND_MS[-1])
    while True:
        length *= 2
        yield length // step_ms


def draw(
    plotted: Plot, rows: int, cursor: int | None, zone: tzinfo = UTC, *, ascii_only: bool = False
) -> list[list[Segment]]:
    """Draw the histogram, top to bottom.

    Args:
        plotted: The columns.
        rows: Height of the bars; ``FIXED_ROWS`` more follow.
        cursor: Index of the column under the cursor.
        zone: Zone of the times.
        ascii_only: Whether to use ASCII characters only.
    """
    columns = plotted.columns
    top = max((one.counts.lines for one in columns), default=0)
    heights = list(zip(columns, _heights(plotted, rows * _ROWS_EIGHTHS, top), strict=True))
    lines: list[list[Segment]] = []
    for row in reversed(range(rows)):
        label = units.number(top) if row == rows - 1 else ""
        bars = [_bar(one, row, height, ascii_only=ascii_only) for one, height in heights]
        lines.append([_label(label), *_joined(bars)])
    errors = [one.counts.errors for one in columns]
    warnings = [one.counts.warnings for one in columns]
    sources = [_source(one, ascii_only=ascii_only) for one in columns]
    return [
        *lines,
        [_label("errors"), (_spark(errors, ascii_only=ascii_only), "bar.error")],
        [_label("warnings"), (_spark(warnings, ascii_only=ascii_only), "bar.warn")],
        [_label("source"), *_joined(sources)],
        [_label(""), *_axis(plotted, cursor, zone, ascii_only=ascii_only)],
    ]


def describe_column(column: Column, zone: tzinfo = UTC) -> str:
    """The counts of a column in words."""
    counts = column.counts
    parts = [units.plural(counts.lines, "line")]
    parts += [units.plural(counts.errors, "error")] if counts.errors else []
    parts += [units.plural(counts.warnings, "warning")] if counts.warnings else []
    parts += [f"{units.number(counts.backfilled)} backfilled"] if counts.backfilled else []
    parts += [f"{units.number(counts.repaired)} repaired"] if counts.repaired else []
    parts += [column.kind] if column.kind in ("gap", "offline") else []
    return f"{units.clock(column.from_ms, zone)}  {', '.join(parts)}"


def _label(text: str) -> Segment:
    return f"{text:>{MARGIN_CELLS - 1}} ", "muted"


def _heights(plotted: Plot, full: int, top: int) -> Iterator[int]:
    """Heights of the bars; ``full`` is that of the highest, which stands for ``top`` lines."""
    is_logarithmic = plotted.is_logarithmic
    for column in plotted.columns:
        lines = column.counts.lines
        if is_logarithmic:
            yield ceil(full * log1p(lines) / log1p(top))
        else:
            yield -(-lines * full // top) if top else 0


def legend(plotted: Plot, *, ascii_only: bool = False) -> list[Segment]:
    """The scale, and what the colours of bars mean, from the bottom of a bar upwards."""
    full = "#" if ascii_only else "█"
    kinds = (("bar.error", "errors"), ("bar.warn", "warnings"), ("bar.line", "other lines"))
    shown = [("log scale  ", "warn")] if plotted.is_logarithmic else []
    shown += [part for role, text in kinds for part in ((full, role), (f" {text}  ", "muted"))]
    for kind, text in (("gap", "gap or offline  "), ("backfill", "backfill")):
        shown += [(_SHADES[kind][ascii_only], f"shade.{kind}"), (f" {text}", "muted")]
    return shown


def _bar(column: Column, row: int, full: int, *, ascii_only: bool) -> Segment:
    """One cell of a bar: errors at the bottom, then warnings, then other lines."""
    counts = column.counts
    fill = min(_ROWS_EIGHTHS, full - row * _ROWS_EIGHTHS)
    if fill <= 0:
        return _SHADES[column.kind][ascii_only], f"shade.{column.kind}"
    middle = row * _ROWS_EIGHTHS + fill / 2
    share = counts.lines * middle / full
    worse = counts.errors + counts.warnings
    role = "bar.error" if share < counts.errors else "bar.warn" if share < worse else "bar.line"
    return units.bar(fill, _ROWS_EIGHTHS, ascii_only=ascii_only), role


def _source(column: Column, *, ascii_only: bool) -> Segment:
    if column.kind in ("gap", "offline"):
        return _SOURCE_SIGNS[column.kind][ascii_only], f"shade.{column.kind}"
    if column.counts.backfilled:
        return "^" if ascii_only else "↑", "gutter.backfill"
    return ("+", "gutter.repair") if column.counts.repaired else (" ", "text")


def _spark(values: Sequence[int], *, ascii_only: bool) -> str:
    return units.sparkline(values, len(values), ascii_only=ascii_only)


def _axis(
    plotted: Plot, cursor: int | None, zone: tzinfo, *, ascii_only: bool
) -> Iterable[Segment]:
    """Times below the columns at which they begin; at the cursor a sign instead."""
    cells = [" "] * len(plotted.columns)
    for index in range(0, len(cells) - _LABEL_CELLS + 2, _LABEL_CELLS):
        text = units.clock(plotted.columns[index].from_ms, zone)[: _LABEL_CELLS - 1]
        if cursor is None or not index <= cursor < index + len(
            text
        ):  # the sign would cut it in two
            cells[index : index + len(text)] = text
    if cursor is None or not 0 <= cursor < len(cells):
        return [("".join(cells), "time")]
    sign = "^" if ascii_only else "▲"
    before, after = "".join(cells[:cursor]), "".join(cells[cursor + 1 :])
    return [(before, "time"), (sign, "key"), (after, "time")]


def _joined(parts: Iterable[Segment]) -> list[Segment]:
    """The segments, with adjacent ones of the same role joined."""
    out: list[Segment] = []
    for text, role in parts:
        if out and out[-1][1] == role:
            out[-1] = (out[-1][0] + text, role)
        else:
            out.append((text, role))
    return out
