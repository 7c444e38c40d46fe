from __future__ import annotations

import pytest

from simulator.cloudwatch import pages as module
from simulator.cloudwatch.events import Event
from simulator.cloudwatch.pages import Page, collect, message_bytes


def made(count: int, message: str = "m") -> list[Event]:
    return [(key, 0, "s", message) for key in range(1, count + 1)]


def test_a_page_ends_with_the_events_or_at_the_limit() -> None:
    assert collect([], 5) == Page([], None, may_be_more=False)
    assert collect(made(3), 3) == Page(made(3), 3, may_be_more=False)
    assert collect(made(4), 3) == Page(made(3), 3, may_be_more=True)
    assert collect(made(4), 0) == Page([], None, may_be_more=True)


def test_a_page_holds_a_megabyte() -> None:
    page = collect(made(20, "x" * (104_857 - 26)), 10_000)
    assert (len(page.events), page.may_be_more) == (10, True)
    page = collect(made(20, "é" * 52_430), 10_000)
    assert (len(page.events), page.may_be_more) == (9, True)


def test_an_event_larger_than_a_page_comes_alone() -> None:
    page = collect(made(2, "x" * 1_048_576), 10_000)
    assert (len(page.events), page.may_be_more) == (1, True)


def test_what_is_not_shown_moves_the_position() -> None:
    page = collect(made(5), 2, lambda event: event[0] in {1, 4})
    assert page == Page([made(5)[0], made(5)[3]], 4, may_be_more=True)
    assert collect(made(5), 2, lambda _: False) == Page([], 5, may_be_more=False)


def test_a_page_may_be_empty_where_much_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMINED_MAX", 3)
    assert collect(made(5), 2, lambda _: False) == Page([], 3, may_be_more=True)


@pytest.mark.parametrize("message", ["", "abc", "é", "\U0001f600", "\ud83d"])
def test_messages_are_measured_in_utf8(message: str) -> None:
    assert message_bytes(message) == len(message.encode("utf-8", "surrogatepass"))
