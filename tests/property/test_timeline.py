from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.fake_engine import evicted_for
from tests.support.viewer.server_messages import line
from tui.lines.rows import Change, Line, Rule
from tui.lines.timeline import Timeline

batches = st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=12)


@contextmanager
def small_blocks() -> Iterator[None]:
    """Make blocks so small that a few rows fill, pack, compress and split them."""
    with ExitStack() as stack:
        for name, value in {
            "CHUNK_ROWS": 4,
            "_FEW": 2,
            "OPEN_MAX": 2,
            "LOOSE_MAX": 3,
            "LOOSE_BLOCKS_MAX": 1,
            "UNCOMPRESSED_MAX": 1,
        }.items():
            stack.enter_context(patch(f"tui.lines.blocks.{name}", value))
        stack.enter_context(patch("tui.lines.packed.DECOMPRESSED_MAX", 1))
        stack.enter_context(patch("tui.lines.packed.DECODED_MAX", 5))
        stack.enter_context(patch("tui.lines.timeline.RANGE_LINES", 9))
        stack.enter_context(patch("tui.lines.timeline.NEAR_BLOCKS", 0))
        yield


@given(batches, st.integers(1, 25))
def test_a_timeline_is_a_sorted_dictionary_without_its_oldest(
    script: list[list[int]], capacity: int
) -> None:
    with small_blocks():
        timeline, model = Timeline(capacity), dict[int, str]()
        for number, batch in enumerate(script):
            keys = sorted({key * 256 for key in batch} - set(model))
            before = len(timeline)
            change = timeline.add_many([line(key, str(number)) for key in keys])
            model |= dict.fromkeys(keys, str(number))
            assert len(timeline) == before + change.added - change.evicted
            assert change.appended + len(change.inserted) == change.added
            timeline.tidy()
        rows = list(timeline.iterate())
        kept = [row for row in rows if isinstance(row, Line)]
        assert [row.key for row in rows] == sorted(row.key for row in rows)
        assert [row.key for row in kept] == sorted(model)[len(model) - len(kept) :]
        assert all(row.message == model[row.key] for row in kept)
        assert len(kept) >= min(capacity, len(model)) - 1
        assert timeline.evicted == len(model) - len(kept)
        assert (timeline.evicted > 0) == any(isinstance(row, Rule) for row in rows)
        for index, row in enumerate(rows):
            assert timeline.row(index) == row
            assert timeline.index_of(row.key) == index
            assert timeline.find(row.key) == row


keys_of_lines = st.integers(0, 200).map(lambda number: number * 256)


class LeavingAndComingBack(RuleBasedStateMachine):
    """Compares the timeline with a dictionary of all lines."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(small_blocks())
        self.timeline = Timeline(capacity=20)
        self.model: dict[int, Line] = {}
        self.shown: list[int] = []
        self.number = 0

    def teardown(self) -> None:
        self.stack.close()

    def follow(self, change: Change) -> None:
        """Updates a view by the reported changes only."""
        for low, high in change.removed:
            self.shown = [key for key in self.shown if not low <= key <= high]
        rows = list(self.timeline.iterate())
        tail = rows[max(0, len(rows) - change.appended - len(change.inserted)) :]
        here = {row.key for row in rows}
        new = [row.key for row in tail] + [key for key in change.inserted if key in here]
        self.shown = sorted({*self.shown, *new})

    @rule(keys=st.lists(keys_of_lines, max_size=25), text=st.text(max_size=3))
    def new_lines(self, keys: list[int], text: str) -> None:
        self.number += 1
        new = {key: line(key, f"{self.number} {text}\ud800", late_ms=key % 3) for key in keys}
        new = {key: one for key, one in new.items() if key not in self.model}
        self.model |= new
        self.follow(self.timeline.add_many(new.values()))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def changed_lines(self, data: st.DataObject) -> None:
        keys = data.draw(st.lists(st.sampled_from(sorted(self.model)), max_size=5))
        self.number += 1
        changed = {key: line(key, f"{self.number}") for key in keys}
        for key, one in changed.items():
            if self.timeline.evicted_at(key) is None:
                self.model[key] = one
        self.follow(self.timeline.confirm_many(changed.values()))

    @rule(low=keys_of_lines, length=st.integers(0, 2_000))
    def read(self, low: int, length: int) -> None:
        self.timeline.pin_around(low, low + length)

    @rule()
    def tidy(self) -> None:
        self.timeline.tidy()

    @precondition(lambda self: self.timeline.evicted)
    @rule(data=st.data(), whole=st.booleans())
    def come_back(self, data: st.DataObject, *, whole: bool) -> None:
        rules = [row for row in self.timeline.iterate() if isinstance(row, Rule)]
        one = data.draw(st.sampled_from(rules))
        piece = evicted_for(self.timeline, one, from_above=data.draw(st.booleans()))
        assert piece is not None
        lines = [
            # The forwarder does not say how late a line was.
            line(key, held.message)
            for key, held in sorted(self.model.items())
            if piece.low <= key <= piece.high
        ]
        assert len(lines) == piece.count
        through = None
        if not whole and len(lines) > 1:
            lines = lines[: len(lines) // 2]
            through = lines[-1].key
        self.follow(self.timeline.restore(piece, lines, through))

    @invariant()
    def every_line_is_here_or_declared(self) -> None:
        rows = list(self.timeline.iterate())
        lines = [row for row in rows if isinstance(row, Line)]
        rules = [row for row in rows if isinstance(row, Rule)]
        assert [row.key for row in rows] == sorted({row.key for row in rows})
        assert len(rows) == len(self.timeline)
        assert len(lines) == self.timeline.lines
        assert len(lines) + self.timeline.evicted == len(self.model)
        assert sum(one.count or 0 for one in rules) == self.timeline.evicted
        held = {one.key: one for one in lines}
        assert held == {key: one for key, one in self.model.items() if key in held}
        for key in self.model.keys() - held.keys():
            assert any(low <= key <= high for low, high in self.ranges())
        assert self.shown == [row.key for row in rows]

    @invariant()
    def rows_are_found_by_index_and_by_key(self) -> None:
        rows = list(self.timeline.iterate())
        for index, row in enumerate(rows):
            assert self.timeline.row(index) == row
            assert self.timeline.index_of(row.key) == index
            assert self.timeline.find(row.key) == row
        assert self.timeline.rows(0, len(rows)) == rows

    def ranges(self) -> list[tuple[int, int]]:
        runs = self.timeline._evicted.runs()
        return [(run.low, run.high) for run in runs]


TestLeavingAndComingBack = LeavingAndComingBack.TestCase
