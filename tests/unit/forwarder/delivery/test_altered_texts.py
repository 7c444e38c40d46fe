"""The other texts of altered events reach exactly the viewers that they concern."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from forwarder.records import LogEvent
from tests.support.forwarder.session_client import NOW, SessionClient, events, log_group, scan
from wire.messages import Altered, AlteredText, Gap, Heartbeat, ServerMessage
from wire.query import Filter, TailQuery

SINCE = NOW - 600_000
ALL = Filter()
ONE, TWO = "app/one", "app/two"


def numbered(numbers: range, stream: str) -> list[LogEvent]:
    """A line every ten milliseconds."""
    return events(numbers, lambda number: NOW - 100_000 + 10 * (number % 1_000), stream)


def pass_notices(client: SessionClient) -> None:
    """Pass the log group's notices to the session, as the hub does."""
    for notice in client.group.take_notices():
        client.session.notice(notice)


def kinds(messages: Sequence[object]) -> list[str]:
    return [type(message).__name__ for message in messages]


def masked(one: LogEvent) -> LogEvent:
    return replace(one, message=f"masked {one.id}")


def altered_client(
    *, filter_: Filter = ALL, count: int = 60
) -> tuple[SessionClient, list[LogEvent]]:
    """A viewer of two log streams that has got all events, which are masked since."""
    past = [*numbered(range(1, count + 1), ONE), *numbered(range(1_000, 1_000 + count), TWO)]
    group = log_group(past)
    scan(group, SINCE, None, past, at=NOW)
    client = SessionClient(group, TailQuery(since=SINCE, filter=filter_))
    client.pull()
    group.take_notices()
    scan(group, SINCE, None, [masked(one) for one in past], at=NOW)
    return client, past


def altered_texts(messages: Sequence[ServerMessage]) -> list[AlteredText]:
    return [text for one in messages if isinstance(one, Altered) for text in one.texts]


def test_other_texts_follow_the_gap_and_precede_the_mark() -> None:
    client, past = altered_client()
    pass_notices(client)
    got: list[ServerMessage] = [one for one in client.pull() if not isinstance(one, Heartbeat)]
    assert kinds(got) == ["Gap", *["Altered"] * 3, "Mark"]
    texts = altered_texts(got)
    assert {one.id: one.message for one in texts} == {one.id: f"masked {one.id}" for one in past}
    assert [one.count for one in got if isinstance(one, Altered)] == [120] * 3
    scan(client.group, SINCE, None, past, at=NOW)
    pass_notices(client)
    got = client.pull()
    assert {one.message for one in altered_texts(got)} == {None}
    assert [one.state for one in got if isinstance(one, Gap)] == ["repaired"]


def test_only_the_filters_texts_and_gaps_are_sent() -> None:
    client, _ = altered_client(filter_=Filter(streams=(TWO,)))
    pass_notices(client)
    texts = altered_texts(client.pull())
    assert {int(one.id) >= 1_000 for one in texts} == {True}
    other, past = altered_client(filter_=Filter(streams=("app/three",)))
    pass_notices(other)
    assert not {"Gap", "Altered"} & set(kinds(other.pull()))
    assert len(past) == 120


def test_a_viewer_that_connects_later_gets_them_after_welcome() -> None:
    client, past = altered_client()
    later = SessionClient(client.group, TailQuery(since=SINCE))
    got = later.pull()
    assert len(altered_texts(got)) == len(past)
    assert "Gap" in kinds(got)
