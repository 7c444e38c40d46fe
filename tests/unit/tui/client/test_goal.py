from __future__ import annotations

import pytest

from tests.support.told import SINCE, Told, connect, hear, item, live
from tui.client.goal import EXIT_INCOMPLETE, Goal, Outcome, reached
from tui.client.session import ViewerSession
from wire.messages import ExecutionStatus, Lost

UNTIL = Goal(through_ms=3_000)


def test_without_a_goal_there_is_no_end() -> None:
    session, told = live()
    hear(session, told.mark(SINCE, 9_000, 0))
    assert reached(Goal(), [session]) is None


def test_done_once_every_target_is_proved_so_far() -> None:
    one, told = live()
    other, told_other = live()
    hear(one, told.mark(SINCE, 3_000, 0))
    assert reached(UNTIL, [one, other]) is None
    hear(other, told_other.mark(SINCE, 2_999, 0))
    assert reached(UNTIL, [one, other]) is None
    hear(other, told_other.mark(2_000, 3_000, 0))
    assert reached(UNTIL, [one, other]) == Outcome(0)


def test_not_before_the_past_is_here() -> None:
    session, told = ViewerSession(since=SINCE), Told()
    assert reached(UNTIL, [ViewerSession()]) is None
    connect(session, told.welcome())
    hear(session, told.mark(SINCE, 9_000, 0))
    assert reached(UNTIL, [session]) is None


def test_a_time_before_since_is_reached_with_the_past() -> None:
    session, _ = live()
    assert reached(Goal(through_ms=SINCE - 1), [session]) == Outcome(0)


def test_incomplete_names_the_range() -> None:
    session, told = ViewerSession(since=SINCE), Told()
    connect(session, told.welcome(lost=[Lost(500, 1_500, "retention"), Lost(8_000, 9_000, "x")]))
    hear(session, told.backfill(f"{SINCE}:0..", done=True), told.mark(SINCE, 3_000, 0))
    outcome = reached(UNTIL, [session])
    assert outcome == Outcome(
        EXIT_INCOMPLETE,
        "not complete: 1970-01-01T00:00:01.000Z..1970-01-01T00:00:01.500Z",
    )


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["SUCCEEDED"], 0),
        (["FAILED"], 5),
        (["STOPPED"], 6),
        (["UNKNOWN"], 0),
        (["SUCCEEDED", "STOPPED"], 6),
        (["STOPPED", "FAILED"], 5),
    ],
)
def test_an_execution_ends_with_its_status(statuses: list[ExecutionStatus], code: int) -> None:
    session, told = live()
    goal = Goal(executions=tuple(str(number) for number in range(len(statuses))))
    for number, status in enumerate(statuses):
        assert reached(goal, [session]) is None
        hear(session, told.end(SINCE, 2_000, 0, execution=str(number), status=status))
    assert reached(goal, [session]) == Outcome(code)


def test_an_end_counts_once_it_is_proved_or_given_up() -> None:
    session, told = live()
    bad = [item(1, 1_500)]
    hear(session, told.events(0, [], seq=1))
    goal = Goal(executions=("one",))
    hear(session, told.end(SINCE, 2_000, 1, owned=bad))
    assert reached(goal, [session]) is None
    hear(session, told.digest(SINCE, 2_000, 1, owned=bad))
    assert reached(goal, [session]) is None, "it is sent again first"
    hear(session, told.digest(SINCE, 2_000, 1, owned=bad))
    outcome = reached(goal, [session])
    assert outcome is not None
    assert outcome.code == EXIT_INCOMPLETE
    assert "execution one" in outcome.reason


def test_whichever_goal_comes_first() -> None:
    session, told = live()
    hear(session, told.mark(SINCE, 3_000, 0))
    assert reached(Goal(through_ms=3_000, executions=("one",)), [session]) == Outcome(0)
