from __future__ import annotations

import pytest

from tests.support.fake_engine import EPOCH_MS, make_line, make_rule
from tui.lines.counting import SLICE_ROWS, Count, count_all
from tui.lines.rows import Change, Line
from tui.lines.timeline import Timeline


class Taken:
    """What was counted."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def take(self, line: Line) -> bool:
        self.messages.append(line.message)
        return False


def filled(count: int) -> Timeline:
    timeline = Timeline()
    timeline.add_many(make_line(number, str(number)) for number in range(count))
    timeline.add_many([make_rule(1, EPOCH_MS, "offline")])
    return timeline


def test_newest_first_slice_by_slice() -> None:
    taken = Taken()
    count = Count(filled(SLICE_ROWS + 10), taken.take)
    assert [(count.step(), len(taken.messages), count.is_done) for _ in range(2)] == [
        (True, SLICE_ROWS, False),
        (False, SLICE_ROWS + 10, True),
    ]
    assert sorted(map(int, taken.messages)) == list(range(SLICE_ROWS + 10))


def test_what_comes_meanwhile_is_counted_once() -> None:
    timeline, taken = filled(SLICE_ROWS + 10), Taken()
    count = Count(timeline, taken.take)
    count.step()
    early = make_line(90_000, "early", at_ms=EPOCH_MS + 50)
    late = make_line(90_001, "late", at_ms=EPOCH_MS + (SLICE_ROWS + 5) * 100 + 50)
    count.apply(timeline.add_many([early, late, make_line(80_000, "new")]))
    while count.step():
        pass
    for message in ("early", "late", "new", "0", "1000"):
        assert taken.messages.count(message) == 1


def test_what_left_memory_and_comes_back_was_counted() -> None:
    timeline, taken = filled(5), Taken()
    count = Count(timeline, taken.take)
    count.step()
    again = make_line(2, "2")
    count.apply(Change(evicted=1, removed=((again.key, again.key),)))
    count.apply(Change(added=1, inserted=(again.key,)))
    assert taken.messages.count("2") == 1


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_until_all_is_counted_or_nobody_wants_it(is_wanted: bool) -> None:  # noqa: FBT001
    taken = Taken()
    count = Count(filled(3 * SLICE_ROWS), taken.take)
    await count_all(count, lambda: is_wanted)
    assert count.is_done == is_wanted
    assert bool(taken.messages) == is_wanted
