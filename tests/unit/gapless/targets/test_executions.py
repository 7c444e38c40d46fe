from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UsageError
from gapless.targets.executions import StreamFilter, check_filter, id_of_stream, resolve_execution
from wire.query import belongs_to_execution

TASK = "0f9de17a6465404e8b1b2356dc13c2f8"
OTHER = "0f3c29a1e1c24b7fb9e2f4de6d4cf6a1"
LAMBDA = "2026/11/30/[$LATEST]cf37d58b1e8f4a5c9f2e7d6a3b4c5d6e"
STREAMS = [f"web/app/{TASK}", f"web/sidecar/{TASK}", f"web/app/{OTHER}", LAMBDA, "job-1", "job-12"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (TASK, TASK),
        (TASK[:4], TASK),
        (f"arn:aws:ecs:eu-west-1:123456789012:task/jobs/{TASK}", TASK),
        ("cf37d58b1e8f4a5c9f2e7d6a3b4c5d6e", "[$LATEST]cf37d58b1e8f4a5c9f2e7d6a3b4c5d6e"),
        ("cf3", "[$LATEST]cf37d58b1e8f4a5c9f2e7d6a3b4c5d6e"),
        ("[$LATEST]cf3", "[$LATEST]cf37d58b1e8f4a5c9f2e7d6a3b4c5d6e"),
        (LAMBDA, LAMBDA),
        (f"web/app/{TASK}", f"web/app/{TASK}"),
        ("job-1", "job-1"),
        ("not-yet-there", "not-yet-there"),
    ],
)
def test_an_id_or_its_beginning(typed: str, meant: str) -> None:
    assert resolve_execution(typed, STREAMS) == meant


def test_an_ambiguous_id_lists_the_candidates() -> None:
    with pytest.raises(UsageError, match=f"0f is ambiguous: {OTHER}, {TASK}; give more"):
        resolve_execution("0f", STREAMS)
    many = [f"job-{number:02}" for number in range(20)]
    with pytest.raises(UsageError, match="job-07 and 12 more"):
        resolve_execution("job", many)


@given(st.lists(st.text("ab/[]", min_size=1, max_size=6), max_size=6), st.integers(0, 5))
def test_the_whole_id_of_a_stream_selects_it(streams: list[str], number: int) -> None:
    if number < len(streams):
        stream = streams[number]
        assert belongs_to_execution(stream, resolve_execution(id_of_stream(stream), streams))


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (
            StreamFilter(("zzzz",), (), ()),
            "no execution 'zzzz' in /g yet: 'gapless executions /g' lists those there are",
        ),
        (StreamFilter(("job-3",), (), ()), "no execution 'job-3' in /g yet: did you mean job-1?"),
        (
            StreamFilter((), ("zzzz",), ()),
            "no log stream 'zzzz' in /g yet: 'gapless streams /g' lists those there are",
        ),
        (
            StreamFilter((), (), ("zz",)),
            "no log stream of /g begins with 'zz' yet: 'gapless streams /g' lists those there are",
        ),
    ],
)
def test_what_matches_nothing_is_reported_with_a_remedy(wanted: StreamFilter, says: str) -> None:
    checked = check_filter(wanted, STREAMS, "/g")
    assert checked.unmatched == (says,)
    assert checked.matches_nothing


def test_the_remedy_for_several_log_groups_names_none() -> None:
    (message,) = check_filter(StreamFilter(("zzzz",), (), ()), STREAMS, "/g, /h").unmatched
    assert message.endswith("in /g, /h yet: 'gapless executions LOG-GROUP' lists those there are")
