"""Rows that nobody is changing, packed: columns and one text, and compressed once they are old.

A line of 130 characters takes about 190 bytes packed and 80 compressed, where the objects take
400. Pure.

Compression of what is seldom read, with zstd. Pure.

It reads log lines four times as fast as zlib, which was half of what a filter over old lines
cost, writes them four times as fast, and takes a quarter less room.
"""

from __future__ import annotations

import contextlib
import ctypes
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Final, cast, get_args

import msgspec

from tui.lines.keys import PackedKeys
from tui.lines.rows import LEVELS, Line, Row, Rule, level_of
from tui.lines.text_search import JoinedTexts, Prefilter, matching
from wire.messages import Origin


def give_back_memory() -> None:
    """Have the C library give free pages back: it keeps those between pages that are in use."""
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it, and only it needs it
        ctypes.CDLL(None).malloc_trim(0)


_LEVEL: Final = 1
"""The next one costs half as much again and saves a twentieth at most."""


def compressed(data: bytes) -> bytes:
    """Less of it; to be read by ``unsqueezed`` of this process alone."""
    return _codec()[0](data)


def decompressed(data: bytes) -> bytes:
    """What was squeezed."""
    return _codec()[1](data)


@cache
def _codec() -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """Compresses, and gives back; imported at its first use, the first frame need not wait."""
    import zstandard  # noqa: PLC0415 - 10 ms, see above

    compress = zstandard.ZstdCompressor(level=_LEVEL).compress
    # It hands out bytes that have shrunk in a place that was large enough for anything: without a
    # copy, a million lines are left with 80 MB of holes that nothing fits into.
    return lambda data: bytes(memoryview(compress(data))), zstandard.ZstdDecompressor().decompress


THAWED_MAX: Final = 16
"""Compressed blocks that are kept unpacked for whoever reads on in them."""

DECODED_MAX: Final = 4096
"""Single rows that are kept decoded: a row on the screen is the same object in each frame."""

_ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)
_ORIGIN_AT: Final = {origin: at for at, origin in enumerate(_ORIGINS)}
_LEVELS: Final = (None, *LEVELS)
_LEVEL_AT: Final = {level: at for at, level in enumerate(_LEVELS)}
_NEVER: Final = -1
"""In the place of an ingestion time that is not known."""


class _LineColumns(msgspec.Struct, gc=False):
    """Fields of the lines, each in a column; a rule leaves its place empty."""

    texts: JoinedTexts
    """The messages."""
    seqs: array[int]
    ingested: array[int]
    eras: array[int]
    origins: bytes
    digits: bytes


class PackedRows:
    """Rows of one block of the timeline.

    What filters go by stays at hand, or is compressed on its own: the messages, and where each of
    them ends; the numbers of the streams.
    """

    __slots__ = (
        "_columns",
        "_ends",
        "_is_ascii",
        "_late",
        "_levels",
        "_rules",
        "_zipped",
        "keys",
        "names",
        "streams",
    )

    def __init__(self, keys: Sequence[int], rows: Sequence[Row]) -> None:
        """Pack rows that are in the order of their keys."""
        self.keys = PackedKeys(keys)
        self._rules = {at: row for at, row in enumerate(rows) if isinstance(row, Rule)}
        lines = _without_rules(rows) if self._rules else cast("Sequence[Line]", rows)
        self._late = {at: row.late_ms for at, row in enumerate(lines) if row.late_ms}
        streams = [row.stream for row in lines]
        self.names = tuple(dict.fromkeys(streams))
        """The log streams."""
        numbers = {name: number for number, name in enumerate(self.names)}
        self.streams = array("H", map(numbers.__getitem__, streams))
        """The stream of each line, as an index of ``names``."""
        texts = JoinedTexts.of([row.message for row in lines])
        self._ends = array("I", texts.ends)
        self._is_ascii = texts.is_ascii
        self._columns: _LineColumns | None = _LineColumns(
            self._texts(texts.data),
            array("Q", [row.seq for row in lines]),
            array(
                "q",
                [_NEVER if row.ingestion_time is None else row.ingestion_time for row in lines],
            ),
            array("i", [row.era for row in lines]),
            bytes([_ORIGIN_AT[row.origin] for row in lines]),
            bytes([row.id_digits for row in lines]),
        )
        self._zipped: tuple[bytes, bytes] | None = None
        self._levels: bytes | None = None

    def __len__(self) -> int:
        """Rows, rules included."""
        return len(self.keys)

    @property
    def rules(self) -> list[Rule]:
        """The rules among the rows."""
        return list(self._rules.values())

    @property
    def is_cold(self) -> bool:
        """Whether it is compressed, and not unpacked beside."""
        return self._columns is None

    def freeze(self) -> None:
        """Compress; what was unpacked goes."""
        if self._zipped is None:
            columns = self.columns()
            parts = (
                array("q", _steps(columns.seqs)),
                array("q", _steps(columns.ingested)),
                columns.eras,
                columns.origins,
                columns.digits,
            )
            self._zipped = (
                compressed(columns.texts.data),
                compressed(b"".join(parts)),
            )
        self._columns = None

    def columns(self) -> _LineColumns:
        """The columns, unpacked for as long as ``freeze`` is not called again."""
        if self._columns is None:
            assert self._zipped is not None, "either form is there"
            data, others = map(decompressed, self._zipped)
            self._columns = _unpacked(self._texts(data), others, len(self))
        return self._columns

    def texts(self) -> JoinedTexts:
        """The messages, an empty one for a rule; they are not kept where they were compressed."""
        if self._columns is not None:
            return self._columns.texts
        assert self._zipped is not None, "either form is there"
        return self._texts(decompressed(self._zipped[0]))

    def _texts(self, data: bytes) -> JoinedTexts:
        return JoinedTexts(data, self._ends, self._is_ascii)

    def messages(self) -> list[str]:
        """The messages, one by one."""
        return self.texts().all()

    def matching(self, hint: Prefilter) -> bytes:
        """Which lines match a pattern: a byte for each row, 1 or 0; that of a rule says nothing."""
        return matching(hint, self.texts())

    def of_streams(self, shows: Callable[[str], bool]) -> bytes:
        """Which lines are of streams that are shown: a byte for each row, 1 or 0."""
        shown = [shows(name) for name in self.names]
        return bytes(map(shown.__getitem__, self.streams))

    def of_origin(self, origin: str) -> bytes:
        """Which lines came that way: a byte for each row, 1 or 0."""
        return bytes([_ORIGINS[one] == origin for one in self.columns().origins])

    def of_levels(self, passes: Callable[[str | None], bool]) -> bytes:
        """Which lines have a level that passes: a byte for each row, 1 or 0.

        The levels are found out once.
        """
        if self._levels is None:
            levels = map(level_of, self.messages())
            self._levels = bytes([_LEVEL_AT[level] for level in levels])
        passing = bytes([passes(level) for level in _LEVELS])
        return self._levels.translate(passing + bytes(256 - len(passing)))

    def row(self, at: int) -> Row:
        """One row."""
        rule = self._rules.get(at)
        if rule is not None:
            return rule
        columns = self.columns()
        ingested = columns.ingested[at]
        return Line(
            self.keys[at],
            columns.seqs[at],
            None if ingested == _NEVER else ingested,
            self.names[self.streams[at]],
            columns.texts.one(at),
            _ORIGINS[columns.origins[at]],
            self._late.get(at, 0),
            columns.eras[at],
            columns.digits[at],
        )

    def rows(self) -> list[Row]:
        """All rows, faster than one by one."""
        columns, names = self.columns(), self.names
        fields = zip(
            self.keys,
            columns.seqs,
            columns.ingested,
            self.streams,
            self.messages(),
            columns.origins,
            columns.eras,
            columns.digits,
            strict=True,
        )
        late = self._late
        rows: list[Row] = [
            Line(
                key,
                seq,
                None if ingested == _NEVER else ingested,
                names[stream],
                message,
                _ORIGINS[origin],
                late.get(at, 0) if late else 0,
                era,
                digits,
            )
            for at, (key, seq, ingested, stream, message, origin, era, digits) in enumerate(fields)
        ]
        for at, rule in self._rules.items():
            rows[at] = rule
        return rows


class RowCache:
    """What of sealed rows is kept at hand: some unpacked blocks, some decoded rows."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._thawed: dict[PackedRows, None] = {}
        self._rows: dict[int, Row] = {}

    def row(self, sealed: PackedRows, at: int) -> Row:
        """A row, the same object for as long as it is looked at."""
        key = sealed.keys[at]
        row = self._rows.pop(key, None)
        if row is None:
            self.thaw(sealed)
            row = sealed.row(at)
            if len(self._rows) >= DECODED_MAX:
                del self._rows[next(iter(self._rows))]
        self._rows[key] = row
        return row

    def thaw(self, sealed: PackedRows) -> None:
        """A block is being read: what has not been read for longest is compressed again."""
        if not sealed.is_cold:
            return
        sealed.columns()
        self._thawed[sealed] = None
        if len(self._thawed) > THAWED_MAX:
            oldest = next(iter(self._thawed))
            del self._thawed[oldest]
            oldest.freeze()

    def forget(self, keys: Sequence[int]) -> None:
        """These rows are others now, or gone."""
        for key in keys:
            self._rows.pop(key, None)


def _without_rules(rows: Sequence[Row]) -> list[Line]:
    """Rows, with an empty line where a rule stands."""
    return [
        Line(row.key, 0, None, "", "", "live") if isinstance(row, Rule) else row for row in rows
    ]


def _steps(values: Sequence[int]) -> list[int]:
    """Differences, which compress better."""
    return [after - before for before, after in pairwise([0, *values])]


def _unpacked(texts: JoinedTexts, others: bytes, count: int) -> _LineColumns:
    at, parts = 0, []
    for code, size in (("q", 8 * count), ("q", 8 * count), ("i", 4 * count)):
        column = array(code)
        column.frombytes(others[at : at + size])
        parts.append(column)
        at += size
    seqs, ingested, eras = parts
    return _LineColumns(
        texts,
        array("Q", accumulate(seqs)),
        array("q", accumulate(ingested)),
        eras,
        others[at : at + count],
        others[at + count :],
    )
