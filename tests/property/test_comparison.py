"""Rule [8] on single scans: which scans count as having missed a known row."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from forwarder.ingest.log_group import LogGroup
from forwarder.records import LogEvent
from tests.support.forwarder.memory_journal import MemoryJournal

NOW_MS = 100
STREAMS = ("a", "b")
RETENTION_MS = 60
"""Events before 40 may be missing as the scan begins, before 50 when it ends."""

EVENTS = st.lists(
    st.tuples(st.integers(30, 70), st.sampled_from(STREAMS)), min_size=1, max_size=5
).map(
    lambda places: [
        LogEvent(str(number), timestamp, None, stream, "line")
        for number, (timestamp, stream) in enumerate(places, 1)
    ]
)
Step = tuple[str, int]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(
            ["return", "return", "return again", "lose", "delete", "retire", "new", "find"]
        ),
        st.integers(0, 4),
    ),
    max_size=12,
)


class _Story:
    """One scan over events known when it began, and what happened meanwhile."""

    def __init__(self, held: list[LogEvent], low: int, top: int | None) -> None:
        self.journal = MemoryJournal("group")
        self.group = LogGroup(self.journal, allowance_ms=1)
        self.held = held
        self.excused: set[str] = set()
        self.returned: set[str] = set()
        self.low = low
        self.top = NOW_MS if top is None else top
        self.through = top

    def begin(self) -> None:
        self.scan = self.group.begin_scan("repair", self.low, self.through, NOW_MS)

    def do(self, what: str, which: int) -> None:
        event = self.held[which % len(self.held)]
        if what in ("return", "return again") and self.low <= event.timestamp <= self.top:
            self.scan.take_page([event] if what == "return" else [event, event])
            self.returned.add(event.id)
        elif what == "lose":
            self.group.retain(before=event.timestamp + 1)
            self.journal.mark_lost([event.id], "gone")
        elif what == "retire":
            self.group.retain(before=event.timestamp + 1)
        elif what == "delete":
            self.group.mark_stream_deleted(event.stream)
            self.excused |= {one.id for one in self.held if one.stream == event.stream}
        elif what == "find" and self.low <= 60 <= self.top:
            # New in this scan, and perhaps returned twice: the scan need not return it.
            self.scan.take_page([LogEvent(str(200 + which), 60, None, "a", "news")])
        elif what == "new":
            # Not known when the scan began: it need not return these.
            self.group.ingest([LogEvent(str(100 + which), 60, None, "a", "news")], "live")

    def missing(self, floor: int) -> list[str]:
        found = self.journal.find([one.id for one in self.held])
        return [
            one.id
            for one in self.held
            if self.low <= one.timestamp <= self.top
            and one.timestamp >= floor
            and one.id not in self.returned | self.excused
            and not found[one.id].is_lost
        ]


@given(
    held=EVENTS,
    before=STEPS,
    during=STEPS,
    all_of_them=st.booleans(),
    low=st.integers(25, 60),
    top=st.none() | st.integers(40, 80),
    has_retention=st.booleans(),
)
@settings(max_examples=1_500)
def test_a_scan_completes_its_range_exactly_if_it_returned_all_known_rows(
    held: list[LogEvent],
    before: list[Step],
    during: list[Step],
    low: int,
    top: int | None,
    *,
    all_of_them: bool,
    has_retention: bool,
) -> None:
    story = _Story(held, low, top)
    story.group._expiry.retention_ms = RETENTION_MS if has_retention else None
    story.group.ingest(held, "live")
    for what, which in before:
        if not what.startswith(("return", "new", "find")):
            story.do(what, which)
    story.begin()
    for step in during:
        story.do(*step)
    if all_of_them:
        for which in range(1, len(held)):
            story.do("return", which)
    missing = story.missing(floor=50 if has_retention else 0)
    story.group.take_notices()
    done = story.group.finish_scan(story.scan, NOW_MS + 10)
    proves_nothing = min(NOW_MS - 1, story.top) < low
    assert (done is None) == (bool(missing) or proves_nothing)
    assert bool(story.group.take_suspect_streams()) == bool(missing)
