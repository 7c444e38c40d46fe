"""Rows of a block that is not being changed, packed into columns, and compressed once old. Pure.

A line of 130 characters takes about 190 bytes packed and 80 compressed, against 400 as objects.
"""

from __future__ import annotations

import contextlib
import ctypes
from array import array
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import accumulate, compress, pairwise
from sys import getsizeof
from typing import Final, cast, get_args

import msgspec

from common.patterns import Pattern
from tui.lines.keys import PackedKeys
from tui.lines.levels import LEVELS, level_of, signs_of
from tui.lines.rows import Line, Row, Rule, StreamId
from tui.lines.text_search import JoinedTexts, flag_matches, flag_possible
from wire.messages import Origin

DECOMPRESSED_MAX: Final = 16
"""Compressed blocks kept decompressed at a time, because a reader scrolls through them."""

DECODED_MAX: Final = 4096
"""Rows kept as objects, so that a row on the screen is the same object in each frame."""

DECODED_BYTES_MAX: Final = 64 << 20
"""Size of those rows' messages: 4,096 lines of 1 MB would take 4 GB. The row that was read last is
kept whatever its size."""

_ZSTD_LEVEL: Final = 1
"""Level 2 takes half as long again and saves a twentieth at most."""

_ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)
_ORIGIN_AT: Final = {origin: at for at, origin in enumerate(_ORIGINS)}
_LEVELS: Final = (None, *LEVELS)
_LEVEL_AT: Final = {level: at for at, level in enumerate(_LEVELS)}
_UNREAD: Final = len(_LEVELS)
"""Stands for a level that was not read."""
_UNKNOWN: Final = -1
"""Stands for an unknown ingestion time."""


def release_free_memory() -> None:
    """Have glibc return free pages to the system; it keeps those between pages in use."""
    with contextlib.suppress(OSError, AttributeError):  # other C libraries lack it and need it not
        ctypes.CDLL(None).malloc_trim(0)


def compressed(data: bytes) -> bytes:
    """Data compressed with zstd, for ``decompressed`` in this process.

    On log lines zstd reads and writes four times as fast as zlib and saves a quarter more.
    """
    return _codec()[0](data)


def decompressed(data: bytes) -> bytes:
    """The data that ``compressed`` was given."""
    return _codec()[1](data)


@cache
def _codec() -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """The functions that compress and decompress."""
    import zstandard  # noqa: PLC0415 - 10 ms that the first frame need not wait for

    compress = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress
    # The compressor's result keeps the room of its worst case: without a copy, a million lines
    # leave 80 MB of holes that nothing fits into.
    return lambda data: bytes(memoryview(compress(data))), zstandard.ZstdDecompressor().decompress


class _LineColumns(msgspec.Struct, gc=False):
    """Fields of the lines, one column each, with a neutral value where a rule stands."""

    texts: JoinedTexts
    seqs: array[int]
    ingested: array[int]
    eras: array[int]
    origins: bytes
    digits: bytes


class PackedRows:
    """The rows of one block, packed.

    What filters read stays uncompressed or is compressed apart from the rest: keys, streams and
    text offsets, and the messages.
    """

    __slots__ = (
        "_absent",
        "_columns",
        "_compressed",
        "_ends",
        "_has_colours",
        "_is_ascii",
        "_late",
        "_levels",
        "_rules",
        "_stream_names",
        "_streams",
        "keys",
    )

    def __init__(self, keys: Sequence[int], rows: Sequence[Row]) -> None:
        """Pack rows, which are in the order of their keys."""
        self.keys = PackedKeys(keys)
        self._rules = {at: row for at, row in enumerate(rows) if isinstance(row, Rule)}
        lines = _blank_rules(rows) if self._rules else cast("Sequence[Line]", rows)
        self._late = {at: row.late_ms for at, row in enumerate(lines) if row.late_ms}
        streams = [row.stream for row in lines]
        self._stream_names = tuple(dict.fromkeys(streams))
        numbers = {name: number for number, name in enumerate(self._stream_names)}
        self._streams = array("H", map(numbers.__getitem__, streams))
        texts = JoinedTexts.of([row.message for row in lines])
        self._ends = array("I", texts.ends)
        self._is_ascii = texts.is_ascii
        self._has_colours = texts.has_colours
        self._columns: _LineColumns | None = _LineColumns(
            self._joined(texts.data),
            array("Q", [row.seq for row in lines]),
            array(
                "q",
                [_UNKNOWN if row.ingestion_time is None else row.ingestion_time for row in lines],
            ),
            array("i", [row.era for row in lines]),
            bytes([_ORIGIN_AT[row.origin] for row in lines]),
            bytes([row.id_digits for row in lines]),
        )
        self._compressed: tuple[bytes, bytes] | None = None
        self._levels: bytes | None = None
        self._absent: frozenset[str | None] = frozenset()
        """Levels that no line has whose level was not read."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def text_bytes(self) -> int:
        """Size of all messages, joined."""
        return self._ends[-1] if self._ends else 0

    @property
    def rules(self) -> list[Rule]:
        """The rules among the rows."""
        return list(self._rules.values())

    @property
    def has_colours(self) -> bool:
        """Whether there may be colour codes in a message."""
        return self._has_colours

    @property
    def is_compressed(self) -> bool:
        """Whether the rows are held in compressed form only."""
        return self._columns is None

    def compress(self) -> None:
        """Hold the rows in compressed form only."""
        if self._compressed is None:
            columns = self.decompress()
            parts = (
                array("q", _differences(columns.seqs)),
                array("q", _differences(columns.ingested)),
                columns.eras,
                columns.origins,
                columns.digits,
            )
            self._compressed = compressed(columns.texts.data), compressed(b"".join(parts))
        self._columns = None

    def decompress(self) -> _LineColumns:
        """Hold the rows in decompressed form too, until ``compress``; returns them."""
        if self._columns is None:
            self._columns = self._read_columns()
        return self._columns

    def messages(self) -> list[str]:
        """The message of each row, empty for a rule."""
        return self.texts().all()

    def texts(self) -> JoinedTexts:
        """The messages, joined; if compressed, decompressed until another block's are."""
        return self._columns.texts if self._columns is not None else _decompressed_texts(self)

    def decompressed_texts(self) -> JoinedTexts:
        """The messages, joined, from the compressed form."""
        assert self._compressed is not None, "one of the two forms is held"
        return self._joined(decompressed(self._compressed[0]))

    def shown_texts(self) -> JoinedTexts:
        """The messages as they are shown: without colour codes."""
        return self.texts().without_colours() if self._has_colours else self.texts()

    def flags_of_pattern(self, pattern: Pattern) -> bytes:
        """One byte a row: 1 if its message matches as shown, else 0; undefined for a rule."""
        return flag_matches(pattern, self.shown_texts())

    def flags_of_stream_names(self, passes: Callable[[str], bool]) -> bytes:
        """One byte a row: 1 if the name of its log stream passes a test, else 0."""
        passing = [passes(name) for name in self._stream_names]
        return bytes(map(passing.__getitem__, self._streams))

    def flags_of_streams(self, passes: Callable[[StreamId], bool]) -> bytes:
        """One byte a row: 1 if its log stream passes a test, else 0."""
        targets = self.keys.targets()
        if len(set(targets)) == 1:
            return self.flags_of_stream_names(lambda name: passes((targets[0], name)))
        names = self._stream_names
        pairs = list(zip(targets, self._streams, strict=True))
        passing = {(target, at): passes((target, names[at])) for target, at in set(pairs)}
        return bytes(map(passing.__getitem__, pairs))

    def flags_of_origin(self, origin: str) -> bytes:
        """One byte a row: 1 if it is of an origin, else 0."""
        columns = self._read_columns()
        return bytes([_ORIGINS[one] == origin for one in columns.origins])

    def flags_of_levels(self, passes: Callable[[str | None], bool]) -> bytes:
        """One byte a row: 1 if its level passes a test, else 0.

        Most lines have no level or INFO. If both pass, or neither, only lines are read that may
        be of another level; what was read is kept.
        """
        passing = {level: passes(level) for level in _LEVELS}
        usual = passing[None]
        levels = self._read_levels(frozenset(level for level in _LEVELS if passing[level] != usual))
        table = bytes([*passing.values(), usual])
        return levels.translate(table + bytes(256 - len(table)))

    def level(self, at: int) -> str | None:
        """The level of the line at an index."""
        number = _UNREAD if self._levels is None else self._levels[at]
        return level_of(self.texts().one(at)) if number == _UNREAD else _LEVELS[number]

    def _read_levels(self, sought: frozenset[str | None]) -> bytes:
        """The number of each line's level, ``_UNREAD`` only if it is none of some levels."""
        known = bytes([_UNREAD]) * len(self) if self._levels is None else self._levels
        sought -= self._absent
        if not sought:
            return known
        texts = self.texts()
        if "info" in sought:
            sought = frozenset(_LEVELS)
            possible = b"\1" * len(self)
        else:
            signs = signs_of(cast("frozenset[str]", sought), in_colours=self._has_colours)
            possible = flag_possible(signs, self.shown_texts())
        levels = bytearray(known)
        for at in compress(range(len(levels)), possible):
            if levels[at] == _UNREAD:
                levels[at] = _LEVEL_AT[level_of(texts.one(at))]
        self._absent |= sought
        self._levels = bytes(levels)
        return self._levels

    def row(self, at: int) -> Row:
        """The row at an index, as a new object if it is a line."""
        rule = self._rules.get(at)
        if rule is not None:
            return rule
        columns = self.decompress()
        ingested = columns.ingested[at]
        return Line(
            self.keys[at],
            columns.seqs[at],
            None if ingested == _UNKNOWN else ingested,
            self._stream_names[self._streams[at]],
            columns.texts.one(at),
            _ORIGINS[columns.origins[at]],
            self._late.get(at, 0),
            columns.eras[at],
            columns.digits[at],
        )

    def rows(self) -> list[Row]:
        """All rows, faster than one by one."""
        columns, names = self.decompress(), self._stream_names
        fields = zip(
            self.keys,
            columns.seqs,
            columns.ingested,
            self._streams,
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
                None if ingested == _UNKNOWN else ingested,
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

    def _read_columns(self) -> _LineColumns:
        """The columns; if compressed, decompressed for this call only."""
        if self._columns is not None:
            return self._columns
        assert self._compressed is not None, "one of the two forms is held"
        data, others = map(decompressed, self._compressed)
        return _split_columns(self._joined(data), others, len(self))

    def _joined(self, data: bytes) -> JoinedTexts:
        return JoinedTexts(data, self._ends, self._is_ascii)


class RowCache:
    """Keeps recently read packed rows as objects, and their blocks decompressed, within bounds."""

    def __init__(self) -> None:
        self._decompressed: dict[PackedRows, None] = {}
        self._rows: dict[int, Row] = {}
        self._bytes = 0

    def row(self, packed: PackedRows, at: int) -> Row:
        """The row at an index of a block; the same object while it stays in the cache."""
        key = packed.keys[at]
        row = self._rows.pop(key, None)
        if row is None:
            self.decompress(packed)
            row = packed.row(at)
            self._bytes += _message_bytes(row)
        self._rows[key] = row
        while len(self._rows) > 1 and (
            len(self._rows) > DECODED_MAX or self._bytes > DECODED_BYTES_MAX
        ):
            self.forget((next(iter(self._rows)),))
        return row

    def decompress(self, packed: PackedRows) -> None:
        """Decompress a block to read it; beyond the bound, compress the oldest such block."""
        if not packed.is_compressed:
            return
        packed.decompress()
        self._decompressed[packed] = None
        if len(self._decompressed) > DECOMPRESSED_MAX:
            oldest = next(iter(self._decompressed))
            del self._decompressed[oldest]
            oldest.compress()

    def forget(self, keys: Sequence[int]) -> None:
        """Drop rows that were changed or removed."""
        for key in keys:
            row = self._rows.pop(key, None)
            if row is not None:
                self._bytes -= _message_bytes(row)


@lru_cache(1)  # several tests may read a block, one after the other
def _decompressed_texts(packed: PackedRows) -> JoinedTexts:
    return packed.decompressed_texts()


def _message_bytes(row: Row) -> int:
    """Memory that a row's message takes; characters beyond ASCII take up to four bytes."""
    return getsizeof(row.message) if isinstance(row, Line) else 0


def _blank_rules(rows: Sequence[Row]) -> list[Line]:
    """The rows, with an empty line in place of each rule."""
    return [
        Line(row.key, 0, None, "", "", "live") if isinstance(row, Rule) else row for row in rows
    ]


def _differences(values: Sequence[int]) -> list[int]:
    """The values as differences, which compress better."""
    return [after - before for before, after in pairwise([0, *values])]


def _split_columns(texts: JoinedTexts, others: bytes, count: int) -> _LineColumns:
    """Undo the joining of the columns in ``PackedRows.compress``."""
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
