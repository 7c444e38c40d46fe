from __future__ import annotations

from tests.support.fake_engine import make_line
from tui.lines.filters import CHIPS_MAX, Filters, pattern_of

LINES = [
    make_line(number, message)
    for number, message in enumerate(
        ["INFO one", "WARN two", "ERROR one two", "DEBUG three", "plain one"]
    )
]


def passing(filters: Filters) -> list[str]:
    test = filters.test()
    return [line.message for line in LINES if test is None or test(line)]


def test_no_filter_is_no_test() -> None:
    assert Filters().test() is None


def test_chips_are_joined_by_and() -> None:
    filters = Filters()
    filters.add("one", excludes=False)
    assert passing(filters) == ["INFO one", "ERROR one two", "plain one"]
    filters.add("two", excludes=True)
    assert passing(filters) == ["INFO one", "plain one"]
    assert [chip.hits for chip in filters.chips] == [3, 2]


def test_levels() -> None:
    filters = Filters()
    filters.minimum = "warn"
    assert passing(filters) == ["WARN two", "ERROR one two"]


def test_streams() -> None:
    lines = [make_line(number, "x", stream=name) for number, name in enumerate("abc")]
    filters = Filters()

    def shown() -> str:
        test = filters.test()
        return "".join(line.stream for line in lines if test is None or test(line))

    filters.switch_stream("b")
    assert shown() == "ac"
    assert filters.is_any
    filters.only_stream("b")
    assert shown() == "b"
    filters.switch_stream("c")
    assert shown() == "bc"
    filters.only_stream("c")
    filters.only_stream("c")
    assert shown() == "abc"
    filters.switch_stream("a")
    filters.clear()
    assert not filters.is_any


def test_what_is_off_is_counted_all_the_same() -> None:
    filters = Filters()
    assert filters.tally() is None
    filters.add("one", excludes=False)
    assert filters.tally() is None
    filters.are_on = False
    tally = filters.tally()
    assert tally is not None
    for line in LINES:
        tally(line)
    assert filters.chips[0].hits == 3


def test_off_and_on_and_gone() -> None:
    filters = Filters()
    filters.add("one", excludes=False)
    filters.are_on = False
    assert filters.test() is None
    assert filters.is_any
    filters.add("two", excludes=False)
    assert filters.are_on
    filters.remove(0)
    assert [chip.text for chip in filters.chips] == ["two"]
    filters.remove(7)
    filters.clear()
    assert not filters.is_any


def test_the_same_chip_twice_is_one_and_there_are_only_so_many() -> None:
    filters = Filters()
    filters.add("one", excludes=False)
    filters.add("one", excludes=False)
    assert len(filters.chips) == 1
    for number in range(CHIPS_MAX + 5):
        filters.add(str(number), excludes=True)
    assert len(filters.chips) == CHIPS_MAX


def test_hits_are_counted_once() -> None:
    filters = Filters()
    filters.add("one", excludes=False)
    test, quiet = filters.test(), filters.test(counting=False)
    assert test is not None
    assert quiet is not None
    assert [test(line) for line in LINES] == [quiet(line) for line in LINES]
    assert filters.chips[0].hits == 3


def test_what_is_typed() -> None:
    assert pattern_of("err|warn").search("a WARNING")
    assert not pattern_of("Warn").search("WARN")
    assert pattern_of("a[b").search("xa[b")
