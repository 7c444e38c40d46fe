"""Pages return each event once and in order, for any page sizes and concurrent writes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.simulator.stored_logs import NOW, StoredLogs, texts

STREAMS = ("a/1", "a/2", "b")
PAGES_MAX = 500

Writes = list[tuple[str, list[int]]]

WRITES: st.SearchStrategy[Writes] = st.lists(
    st.tuples(
        st.sampled_from(STREAMS), st.lists(st.integers(0, 9), min_size=1, max_size=6).map(sorted)
    ),
    max_size=6,
)
SELECTED: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"logStreamNames": st.lists(st.sampled_from(STREAMS), min_size=1)}),
    st.fixed_dictionaries({"logStreamNamePrefix": st.sampled_from(["a", "a/1", "b", "c"])}),
)
TIMES = st.fixed_dictionaries(
    {}, optional={"startTime": st.integers(-1, 10), "endTime": st.integers(-1, 10)}
).map(lambda times: {name: NOW + at for name, at in times.items()})


class Model:
    """A simple model of AWS's rules over (ms, number, stream, message) tuples."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, str, str]] = []

    def write(self, stored: StoredLogs, writes: Writes) -> None:
        for stream, times in writes:
            numbered = [(at, len(self.events) + n) for n, at in enumerate(times)]
            self.events += [(NOW + at, n, stream, f"m{n}") for at, n in numbered]
            stored.put(stream, *((at, f"m{n}") for at, n in numbered))

    def matching(self, asked: dict[str, Any], end_shift: int = 0) -> list[str]:
        names = asked.get("logStreamNames", STREAMS)
        prefix = asked.get("logStreamNamePrefix", "")
        low, high = asked.get("startTime", 0), asked.get("endTime", 2 * NOW) + end_shift
        return [
            message
            for at, _, stream, message in sorted(self.events)
            if low <= at <= high and stream in names and stream.startswith(prefix)
        ]


@given(before=WRITES, selected=SELECTED, times=TIMES, newest_first=st.booleans())
def test_one_call_returns_the_models_events(
    before: Writes,
    selected: dict[str, Any],
    times: dict[str, int],
    newest_first: bool,  # noqa: FBT001
) -> None:
    stored, model = StoredLogs(*STREAMS), Model()
    model.write(stored, before)
    asked = {"startTime": NOW, **selected, **times}
    wanted = model.matching(asked)
    if newest_first:
        wanted.reverse()
    assert stored.messages(startFromHead=not newest_first, **asked) == wanted


@given(
    before=WRITES,
    meanwhile=st.lists(st.tuples(st.integers(0, 4), WRITES), max_size=8),
    selected=SELECTED,
    times=TIMES,
    newest_first=st.booleans(),
)
def test_any_pages_return_all_events_once_and_in_order(
    before: Writes,
    meanwhile: list[tuple[int, Writes]],
    selected: dict[str, Any],
    times: dict[str, int],
    newest_first: bool,  # noqa: FBT001
) -> None:
    stored, model = StoredLogs(*STREAMS), Model()
    model.write(stored, before)
    asked = {"startTime": NOW, **selected, **times, "startFromHead": not newest_first}
    there = set(model.matching(asked))
    found: list[str] = []
    token: str | None = None
    for step in range(PAGES_MAX):
        events_max, writes = meanwhile[step] if step < len(meanwhile) else (3, [])
        answer = stored.ask("FilterLogEvents", events_max=events_max, nextToken=token, **asked)
        found += texts(answer["events"])
        assert len(answer["events"]) <= events_max
        token = answer.get("nextToken")
        if token is None:
            break
        model.write(stored, writes)
    assert token is None
    # In the model's order, so each at most once, with all events from before the scan.
    order = model.matching(asked)
    places = [order.index(message) for message in found]
    assert places == sorted(set(places), reverse=newest_first)
    assert there <= set(found)


@given(
    before=WRITES,
    times=TIMES,
    limits=st.lists(st.integers(1, 4), max_size=30),
    forward=st.booleans(),
)
def test_get_log_events_pages_return_all_events_once_and_in_order(
    before: Writes,
    times: dict[str, int],
    limits: list[int],
    forward: bool,  # noqa: FBT001
) -> None:
    stored, model = StoredLogs(*STREAMS), Model()
    model.write(stored, before)
    name = "nextForwardToken" if forward else "nextBackwardToken"
    pages: list[list[str]] = []
    token: str | None = None
    for step in range(PAGES_MAX):
        limit = limits[step] if step < len(limits) else 5
        answer = stored.ask(
            "GetLogEvents",
            logStreamName="a/1",
            startFromHead=forward,
            limit=limit,
            nextToken=token,
            **times,
        )
        pages.append(texts(answer["events"]))
        if answer[name] == token:
            break
        token = answer[name]
    assert answer[name] == token
    if not forward:
        pages.reverse()
    wanted = model.matching({"logStreamNames": ["a/1"], **times}, end_shift=-1)
    assert [message for page in pages for message in page] == wanted
