"""The log streams of a chain: names as numbers, and their first and last events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from forwarder.journal.database import Database, from_blob, to_blob
from wire.query import Filter

Span = tuple[int, int, int]
"""First timestamp, last timestamp, count."""


class Streams:
    """The ``streams`` table of one chain, all of it in memory as well."""

    def __init__(self, db: Database, chain: int) -> None:
        """Load the chain's."""
        self._chain = chain
        self.names: dict[int, str] = {}
        """Name by number."""
        self.numbers: dict[str, int] = {}
        """Number by name."""
        self._spans: dict[int, Span] = {}
        self._matching: tuple[Filter, int, str] | None = None
        sql = "SELECT stream, name, first, last, count FROM streams WHERE chain = ?"
        for number, name, *span in db.rows(sql, (chain,)):
            self._add(from_blob(name), number, (span[0], span[1], span[2]))

    def _add(self, name: str, number: int, span: Span) -> None:
        self.names[number] = name
        self.numbers[name] = number
        self._spans[number] = span

    @property
    def count(self) -> int:
        """How many rows the streams say that there are."""
        return sum(span[2] for span in self._spans.values())

    def table(self) -> list[tuple[str, int, int, int]]:
        """Every log stream that has rows, by name."""
        return sorted((self.names[number], *span) for number, span in self._spans.items())

    def matching(self, wanted: Filter) -> str:
        """The numbers of the streams that a filter wants, as a JSON list for ``json_each``."""
        kept = self._matching
        if kept is None or kept[0] != wanted or kept[1] != len(self.numbers):
            numbers = [str(one) for name, one in self.numbers.items() if wanted.matches(name)]
            kept = self._matching = wanted, len(self.numbers), f"[{','.join(numbers)}]"
        return kept[2]

    def written(self, connection: sqlite3.Connection, spans: dict[str, Span]) -> dict[str, int]:
        """Write what a batch adds to each stream; the numbers, also of new ones.

        Nothing changes in memory until ``committed``: the transaction may fail.
        """
        connection.executemany(
            "INSERT INTO streams (chain, name, first, last, count) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (chain, name) DO UPDATE SET first = MIN(first, excluded.first),"
            " last = MAX(last, excluded.last), count = count + excluded.count",
            [(self._chain, to_blob(name), *span) for name, span in spans.items()],
        )
        numbers = {name: self.numbers[name] for name in spans if name in self.numbers}
        for name in spans.keys() - numbers.keys():
            sql = "SELECT stream FROM streams WHERE chain = ? AND name = ?"
            numbers[name] = connection.execute(sql, (self._chain, to_blob(name))).fetchone()[0]
        return numbers

    def committed(self, spans: dict[str, Span], numbers: dict[str, int]) -> None:
        """The batch is in the journal."""
        for name, span in spans.items():
            number = numbers[name]
            self._add(name, number, _joined(self._spans.get(number), span))


def spans_of(places: Iterable[tuple[str, int]]) -> dict[str, Span]:
    """What a batch of (stream, timestamp) adds to each stream."""
    spans: dict[str, list[int]] = {}
    for name, timestamp in places:
        span = spans.get(name)
        if span is None:
            span = spans[name] = [timestamp, timestamp, 0]
        # Not min() and max(), which would take longer than the rest: this runs for every event.
        if timestamp < span[0]:
            span[0] = timestamp
        elif timestamp > span[1]:
            span[1] = timestamp
        span[2] += 1
    return {name: (first, last, count) for name, (first, last, count) in spans.items()}


def _joined(old: Span | None, new: Span) -> Span:
    if old is None:
        return new
    return min(old[0], new[0]), max(old[1], new[1]), old[2] + new[2]
