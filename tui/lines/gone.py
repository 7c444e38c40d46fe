"""What has left memory: ranges of keys whose lines are to be had again from the forwarder. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from tui.lines.rows import Line, Row, Rule

PIECE_LINES: Final = 8_192
"""Lines that come back at once: a page of ``/v1/logs`` holds 10,000."""

LATE_MAX: Final = 256
"""Signs of lateness that a piece remembers; the forwarder does not know them."""

FETCHING: Final = "fetching"
FAILED: Final = "failed"

_by_high = attrgetter("high")


class Piece(msgspec.Struct):
    """Lines that left memory together; every key from ``low`` through ``high`` is theirs."""

    low: int
    high: int
    count: int
    first: int
    """The least key that a line of it had."""
    late: dict[int, int] = {}
    """``late_ms`` of those that had one."""
    rules: list[Rule] = []
    """What stood between the lines, to come back with them."""
    state: str = ""
    """What is being done about it: ``FETCHING``, ``FAILED`` or nothing."""
    reason: str = ""
    waiting: list[Line] = []
    """New lines that came while the others are being fetched."""
    is_counted: bool = True
    """Whether ``count`` is more than what an earlier run said."""


class Run(NamedTuple):
    """Pieces that touch."""

    low: int
    high: int
    lines: int
    state: str
    reason: str


class Gone:
    """The pieces in the order of their keys; those that touch are one rule on the screen."""

    def __init__(self) -> None:
        """Nothing is gone."""
        self.pieces: list[Piece] = []
        self.lines = 0
        self.is_changed = False
        """Whether rules that stand for pieces may have to say something else."""

    def at(self, key: int) -> Piece | None:
        """The piece that a key belongs to."""
        place = bisect_left(self.pieces, key, key=_by_high)
        if place == len(self.pieces) or self.pieces[place].low > key:
            return None
        return self.pieces[place]

    def floor(self, key: int) -> int:
        """The least key above every piece that ends below a key."""
        place = bisect_left(self.pieces, key, key=_by_high)
        return self.pieces[place - 1].high + 1 if place else 0

    def put(self, piece: Piece) -> None:
        """One more piece; it becomes one with the piece that it touches, where both are small."""
        self.lines += piece.count
        self.is_changed = True
        place = bisect_left(self.pieces, piece.high, key=_by_high)
        below = self.pieces[place - 1] if place else None
        if (
            below is not None
            and not below.state
            and below.is_counted
            and below.high + 1 == piece.low
            and below.count + piece.count <= PIECE_LINES
        ):
            below.high = piece.high
            below.count += piece.count
            below.late |= piece.late
            below.rules += piece.rules
        else:
            insort(self.pieces, piece, key=_by_high)

    def take(self, piece: Piece) -> None:
        """The lines of a piece are back."""
        self.lines -= piece.count
        self.pieces = [one for one in self.pieces if one is not piece]
        self.is_changed = True

    def cut(self, piece: Piece, through: int, lines: int) -> Piece:
        """The part of a piece up to a key, of which there are so many lines, on its own."""
        lower = Piece(piece.low, through, min(lines, piece.count), piece.first)
        piece.low = piece.first = through + 1
        piece.count -= lower.count
        late = piece.late
        lower.waiting = [one for one in piece.waiting if one.key <= through]
        piece.waiting = [one for one in piece.waiting if one.key > through]
        lower.is_counted = piece.is_counted
        lower.late = {key: ms for key, ms in late.items() if key <= through}
        piece.late = {key: ms for key, ms in late.items() if key > through}
        lower.rules = [one for one in piece.rules if one.key <= through]
        piece.rules = [one for one in piece.rules if one.key > through]
        self.pieces.insert(self._place(piece), lower)
        return lower

    def swallow(self, rows: list[Row]) -> list[Row]:
        """New rows, ascending, less those that belong to a piece, which now counts them."""
        kept: list[Row] = []
        piece: Piece | None = None
        for row in reversed(rows):
            if piece is None or not piece.low <= row.key <= piece.high:
                piece = self.at(row.key)
            if piece is None:
                kept.append(row)
            elif isinstance(row, Rule):
                piece.rules = [one for one in piece.rules if one.key != row.key] + [row]
            else:
                piece = self._count(piece, row)
        kept.reverse()
        return kept

    def _count(self, piece: Piece, line: Line) -> Piece:
        """A line of a piece; the past comes newest first, so a full piece is closed below."""
        if piece.count >= PIECE_LINES and line.key < piece.first and not piece.state:
            lower = Piece(piece.low, piece.first - 1, 0, line.key)
            lower.rules = [one for one in piece.rules if one.key < piece.first]
            piece.rules = [one for one in piece.rules if one.key >= piece.first]
            piece.low = piece.first
            self.pieces.insert(self._place(piece), lower)
            piece = lower
        piece.count += 1
        self.lines += 1
        self.is_changed = True
        piece.first = min(piece.first, line.key)
        if piece.state == FETCHING:
            piece.waiting.append(line)
        if line.late_ms and len(piece.late) < LATE_MAX:
            piece.late[line.key] = line.late_ms
        return piece

    def runs(self) -> list[Run]:
        """Pieces that touch as one each."""
        found: list[Run] = []
        for one in self.pieces:
            run = Run(one.low, one.high, one.count, one.state, one.reason)
            if found and found[-1].high + 1 == one.low:
                last = found[-1]
                told = last if last.state else run
                run = Run(last.low, one.high, last.lines + one.count, told.state, told.reason)
                found.pop()
            found.append(run)
        return found

    def _place(self, piece: Piece) -> int:
        return bisect_left(self.pieces, piece.high, key=_by_high)
