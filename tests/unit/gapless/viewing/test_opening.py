from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack

import pytest

from common.errors import GaplessError
from gapless.aws import AwsChoice
from gapless.viewing.model import Viewing, WatchedTarget
from gapless.viewing.opening import (
    AnyTargetOpener,
    SameTargetsOpener,
    executions_by_target,
    show_in_turn,
)
from tui.screen.ports import Catalogue, Choice

FIRST = Viewing(
    targets=(WatchedTarget(url="ws://h:1/v1/tail", name="/g", group="/g", key="own:g"),),
    executions=("x0",),
    since=5,
    grep=("ERROR",),
)


def choice(target: str, execution: str | None = None) -> Choice:
    return Choice(target, execution, f"{target} {execution}")


class Served:
    """Opens targets, and remembers which are let go."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.log: list[str] = []

    def target(self, stack: ExitStack, target: str) -> WatchedTarget:
        if target == "/broken":
            msg = "the forwarder of /broken did not start"
            raise GaplessError(msg, 3)
        self.open.append(target)
        self.log.append(f"+{target}")
        stack.callback(self._close, target)
        return WatchedTarget(
            url=f"ws://own{target}", name=target, group=target, key=f"own:{target}"
        )

    def _close(self, target: str) -> None:
        self.open.remove(target)
        self.log.append(f"-{target}")


def test_choices_are_grouped_by_target() -> None:
    chosen = [choice("/a"), choice("/b", "x"), choice("/a", "y"), choice("/b", "z")]
    assert executions_by_target(chosen) == {"/a": (), "/b": ("x", "z")}


def test_viewings_are_shown_in_turn() -> None:
    served = Served()
    opener = AnyTargetOpener(FIRST, served.target, AwsChoice(), None)
    seen: list[Viewing] = []
    open_then: list[list[str]] = []
    answers: list[int | tuple[Choice, ...]] = [
        (choice("/a"), choice("/b", "x")),
        (choice("/a"),),
        5,
    ]

    def show(viewing: Viewing) -> int | tuple[Choice, ...]:
        seen.append(viewing)
        open_then.append(list(served.open))
        return answers[len(seen) - 1]

    assert show_in_turn(FIRST, opener, show) == 5
    assert seen[0] is FIRST
    assert [(one.name, one.executions) for one in seen[1].targets] == [("/a", None), ("/b", ("x",))]
    assert seen[1].executions == ()
    assert seen[1].since is None
    assert seen[1].grep == FIRST.grep
    assert [one.name for one in seen[2].targets] == ["/a"]
    assert seen[2].since == FIRST.since
    assert open_then == [[], ["/a", "/b"], ["/a"]]
    assert served.open == []
    assert served.log.index("+/a", 1) < served.log.index("-/a")


def test_an_opening_error_is_shown_where_the_choice_was_made() -> None:
    served = Served()
    opener = AnyTargetOpener(FIRST, served.target, AwsChoice(), None)
    seen: list[Viewing] = []
    answers: list[int | tuple[Choice, ...]] = [
        (choice("/a"),),
        (choice("/b"), choice("/broken")),
        0,
    ]

    def show(viewing: Viewing) -> int | tuple[Choice, ...]:
        seen.append(viewing)
        return answers[len(seen) - 1]

    assert show_in_turn(FIRST, opener, show) == 0
    assert [one.name for one in seen[2].targets] == ["/a"]
    assert seen[2].notice == "the forwarder of /broken did not start"
    assert seen[1].notice == ""
    assert served.log == ["+/a", "+/b", "-/b", "-/a"]


def test_an_error_of_the_screen_closes_everything() -> None:
    served = Served()
    opener = AnyTargetOpener(FIRST, served.target, AwsChoice(), None)
    seen: list[Viewing] = []

    def show(viewing: Viewing) -> int | tuple[Choice, ...]:
        seen.append(viewing)
        if len(seen) == 2:
            msg = "not complete"
            raise GaplessError(msg, 4)
        return (choice("/a"),)

    with pytest.raises(GaplessError, match="not complete"):
        show_in_turn(FIRST, opener, show)
    assert served.open == []


def test_of_the_same_targets() -> None:
    opener = SameTargetsOpener(FIRST)
    url = FIRST.targets[0].url
    with opener.open(FIRST, [choice(url, "x"), choice("/elsewhere")]) as viewing:
        assert [one.executions for one in viewing.targets] == [("x",)]
        assert viewing.since is None
        with opener.open(viewing, [choice(url)]) as whole:
            assert [one.executions for one in whole.targets] == [None]
            assert whole.since == FIRST.since
    found = opener.catalogue(FIRST)
    assert [(one.target, one.name) for one in found.open_now] == [(url, "/g")]


def test_targets_are_called_what_the_command_line_calls_them() -> None:
    opener = AnyTargetOpener(FIRST, Served().target, AwsChoice(), None)
    other = WatchedTarget(url="ws://h:2/v1/tail", name="ws://h:2/v1/tail", key="ws://h:2/v1/tail")
    viewing = Viewing(targets=(*FIRST.targets, other))
    found: Catalogue = opener.catalogue(viewing)
    assert [one.target for one in found.open_now] == ["/g", "ws://h:2/v1/tail"]


class Unused:
    """An opener that is never asked."""

    def catalogue(self, viewing: Viewing) -> Catalogue:
        raise AssertionError(viewing)

    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> AbstractContextManager[Viewing]:
        raise AssertionError(viewing, chosen)


def test_without_a_choice_it_ends() -> None:
    assert show_in_turn(FIRST, Unused(), lambda _viewing: 6) == 6
    assert show_in_turn(FIRST, None, lambda _viewing: 0) == 0
