from __future__ import annotations

import pytest

from common.patterns import PatternError
from tests.support.fake_engine import make_line
from tests.support.viewer.server_messages import line
from tui.lines.expressions import Comparison
from tui.lines.filters import (
    CHIPS_MAX,
    Filters,
    output_filter,
)
from tui.lines.packed import PackedRows

LINES = [
    make_line(number, message)
    for number, message in enumerate(
        ["INFO one", "WARN two", "ERROR one two", "DEBUG three", "plain one"]
    )
]


def passing(filters: Filters) -> list[str]:
    test = filters.test()
    return [line.message for line in LINES if test is None or test(line)]


def test_without_filters_there_is_no_test() -> None:
    assert Filters().test() is None


def test_all_chips_must_match() -> None:
    filters = Filters()
    filters.add("one", excludes=False)
    assert passing(filters) == ["INFO one", "ERROR one two", "plain one"]
    filters.add("two", excludes=True)
    assert passing(filters) == ["INFO one", "plain one"]
    assert [chip.hits for chip in filters.chips] == [3, 2]


def test_levels() -> None:
    filters = Filters()
    filters.minimum_level = "warn"
    assert passing(filters) == ["WARN two", "ERROR one two"]


def test_streams() -> None:
    lines = [make_line(number, "x", stream=name) for number, name in enumerate("abc")]
    filters = Filters()

    def shown() -> str:
        test = filters.test()
        return "".join(line.stream for line in lines if test is None or test(line))

    filters.toggle_stream((0, "b"))
    assert shown() == "ac"
    assert filters.has_any
    filters.toggle_only_stream((0, "b"))
    assert shown() == "b"
    filters.toggle_stream((0, "c"))
    assert shown() == "bc"
    filters.toggle_only_stream((0, "c"))
    filters.toggle_only_stream((0, "c"))
    assert shown() == "abc"
    filters.toggle_stream((0, "a"))
    filters.clear()
    assert not filters.has_any


@pytest.mark.parametrize("is_packed", [False, True])
def test_streams_of_one_name_in_two_groups(*, is_packed: bool) -> None:
    lines = [make_line(number, "x", stream="app", target=number % 2) for number in range(6)]
    block = PackedRows([one.key for one in lines], lines)
    filters = Filters(lambda target: ("web", "mail")[target])

    def shown() -> list[bool]:
        test = filters.test()
        assert test is not None
        return [bool(one) for one in (test.flags(block) if is_packed else map(test, lines))]

    filters.toggle_stream((1, "app"))
    assert shown() == [True, False] * 3
    filters.toggle_only_stream((1, "app"))
    assert shown() == [False, True] * 3
    filters.show_all_streams()
    filters.add("stream=app", excludes=False)
    assert shown() == [True] * 6
    filters.add("group=mail", excludes=False)
    assert shown() == [False, True] * 3


def test_disabled_chips_are_counted() -> None:
    filters = Filters()
    assert filters.counting_test() is None
    filters.add("one", excludes=False)
    assert filters.counting_test() is None
    filters.are_enabled = False
    tally = filters.counting_test()
    assert tally is not None
    for one in LINES:
        tally(one)
    assert filters.chips[0].hits == 3


def test_disabling_enabling_and_clearing() -> None:
    filters = Filters()
    filters.add("one", excludes=False)
    filters.are_enabled = False
    assert filters.test() is None
    assert filters.has_any
    filters.add("two", excludes=False)
    assert filters.are_enabled
    filters.remove(0)
    assert [chip.text for chip in filters.chips] == ["two"]
    filters.remove(7)
    filters.clear()
    assert not filters.has_any


def test_chips_are_distinct_and_bounded() -> None:
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


@pytest.mark.parametrize(
    ("include", "exclude", "level", "message", "passes"),
    [
        ((), (), None, "anything", True),
        (("/a.c/",), (), None, "xabcx", True),
        (("a", "b"), (), None, "only a", False),
        (("a",), ("b",), None, "ab", False),
        ((), (), "warn", "WARN careful", True),
        ((), (), "warn", "INFO fine", False),
        ((), (), "info", "no level", True),
        ((), (), "error", '{"level":"fatal"}', True),
    ],
)
def test_output_filters(
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    level: str | None,
    message: str,
    *,
    passes: bool,
) -> None:
    assert output_filter(include, exclude, level).passes(line(1, message)) is passes


ENDLESS = ("error " * (1 << 20))[: 1 << 20]


@pytest.mark.parametrize("text", ["error.*timeout", r"(\w+) failed", "(a+)+b"])
def test_patterns_that_backtracking_would_never_finish(text: str) -> None:
    messages = [ENDLESS, "a" * 40, f"{text}: error timeout, it failed, aab"]
    assert [output_filter([f"/{text}/"]).passes(line(1, one)) for one in messages] == [
        False,
        False,
        True,
    ]
    assert [output_filter((), [f"/{text}/"]).passes(line(1, one)) for one in messages] == [
        True,
        True,
        False,
    ]
    filters = Filters()
    filters.add(f"/{text}/", excludes=False)
    test = filters.test()
    assert test is not None
    lines = [line(number, one) for number, one in enumerate(messages)]
    assert [test(one) for one in lines] == [False, False, True]
    packed = PackedRows([one.key for one in lines], lines)
    assert test.flags(packed) == b"\0\0\1"


def test_a_filter_that_cannot_be_used_changes_nothing() -> None:
    filters = Filters()
    with pytest.raises(PatternError, match="look-around is not supported"):
        filters.add("/(?=x)/", excludes=False)
    assert not filters.has_any


def test_an_invalid_pattern_is_named() -> None:
    with pytest.raises(PatternError, match=r"'\(' is not a regular expression"):
        output_filter(["/(/"])


def test_chips_show_what_was_typed_and_filter_by_fields() -> None:
    filters = Filters(lambda _target: "/ecs/web")
    filters.add("status>=500", excludes=False)
    filters.add(Comparison("user.id", "=", "12"), excludes=True)
    filters.add("group=web", excludes=False)
    assert [chip.text for chip in filters.chips] == ["status>=500", "user.id=12", "group=web"]
    filters.add("user.id=12", excludes=True)
    assert len(filters.chips) == 3, "the same expression"
    test = filters.test()
    assert test is not None
    texts = ['{"status":503}', '{"status":503,"user":{"id":12}}', '{"status":200}', "status>=500"]
    assert [test(make_line(1, text)) for text in texts] == [True, False, False, True]


def test_output_filters_know_the_group() -> None:
    found = output_filter(["group=web"], (), None, lambda target: f"/ecs/web{target or ''}")
    assert found.passes(make_line(1, "x"))
    assert not output_filter(["group=web"]).passes(make_line(1, "x"))


def test_patterns_are_chosen_and_hidden() -> None:
    filters = Filters()
    filters.add("x", excludes=False)
    filters.toggle_pattern("a *", excludes=False)
    assert filters.choice_of_pattern("a *") == "only"
    filters.toggle_pattern("b *", excludes=False)  # instead, since no line is of both
    filters.toggle_pattern("c *", excludes=True)
    filters.toggle_pattern("d *", excludes=True)
    assert [(one.text, one.excludes) for one in filters.chips] == [
        ("x", False),
        ('pattern="b *"', False),
        ('pattern="c *"', True),
        ('pattern="d *"', True),
    ]
    filters.toggle_pattern("c *", excludes=False)
    assert [one.text for one in filters.chips] == ["x", 'pattern="d *"', 'pattern="c *"']
    filters.toggle_pattern("c *", excludes=False)
    filters.toggle_pattern("d *", excludes=True)
    assert [one.text for one in filters.chips] == ["x"]
    assert filters.choice_of_pattern("d *") == ""


def test_the_chips_of_patterns_can_be_left_aside() -> None:
    filters = Filters()
    filters.toggle_pattern("job * done", excludes=True)
    assert filters.test(patterns=False) is None
    before = filters.signature(patterns=False)
    whole = filters.signature(patterns=True)
    filters.toggle_pattern("b", excludes=True)
    assert filters.signature(patterns=False) == before
    assert filters.signature(patterns=True) != whole
    filters.minimum_level = "error"
    assert filters.signature(patterns=False) != before
    test = filters.test(patterns=False)
    assert test is not None
    assert test(make_line(0, "ERROR job 1 done"))
    assert not test(make_line(0, "INFO x"))
