from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tests.support.told import line
from tui.rows import Line, Rule
from tui.timeline import Timeline

batches = st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=12)


@given(batches, st.integers(1, 25))
def test_a_timeline_is_a_sorted_dictionary_without_its_oldest(
    script: list[list[int]], capacity: int
) -> None:
    with patch("tui.timeline.CHUNK_ROWS", 4), patch("tui.timeline._FEW", 2):
        timeline, model = Timeline(capacity), dict[int, str]()
        for number, batch in enumerate(script):
            keys = [key * 256 for key in batch]
            before = len(timeline)
            shown = {row.key for row in timeline.iterate()}
            change = timeline.add_many([line(key, str(number)) for key in keys])
            model |= dict.fromkeys(keys, str(number))
            assert len(timeline) == before + change.added - change.evicted
            assert change.appended + len(change.inserted) == change.added
            assert set(change.replaced) <= shown
        rows = list(timeline.iterate())
        kept = [row for row in rows if isinstance(row, Line)]
        assert [row.key for row in rows] == sorted(row.key for row in rows)
        assert [row.key for row in kept] == sorted(model)[len(model) - len(kept) :]
        assert all(row.message == model[row.key] for row in kept)
        assert len(kept) >= min(capacity, len(model)) - 1
        assert (timeline.evicted > 0) == any(isinstance(row, Rule) for row in rows)
        for index, row in enumerate(rows):
            assert timeline.row(index) is row
            assert timeline.index_of(row.key) == index
            assert timeline.find(row.key) is row
