from __future__ import annotations

import pytest

from wire.errors import WireError
from wire.limits import FILTERS_MAX, LOGS_PAGE_EVENTS_MAX, SEQ_MAX, TIMESTAMP_MAX
from wire.order import parse_interval
from wire.query import (
    DigestQuery,
    Filter,
    LogsQuery,
    TailQuery,
    is_stream_of,
    parse_digest,
    parse_group,
    parse_logs,
    parse_tail,
)


def test_without_parameters() -> None:
    assert parse_tail("") == TailQuery()
    assert parse_logs("") == LogsQuery()
    assert parse_group("") is None


def test_everything_that_tail_takes() -> None:
    query = (
        "group=%2Faws%2Fjobs&stream=a&stream=b&execution=c&prefix=d&since=5&epoch=E&after=7"
        "&held=6:1..9:2&history=oldest&base=3&credit=500"
    )
    assert parse_tail(query) == TailQuery(
        group="/aws/jobs",
        filter=Filter(("a", "b"), ("c",), ("d",)),
        since=5,
        epoch="E",
        after=7,
        held=parse_interval("6:1..9:2"),
        history="oldest",
        base=3,
        credit=500,
    )


def test_unknown_parameters_are_ignored() -> None:
    assert parse_tail("colour=red&colour=blue") == TailQuery()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("since=-1", "since"),
        ("since=1.5", "since"),
        ("since=now", "since"),
        ("since=%D9%A3", "since"),
        (f"since={TIMESTAMP_MAX + 1}", "since"),
        (f"after={SEQ_MAX + 1}&epoch=E&since=0", "after"),
        ("since=1&since=2", "since is given 2 times"),
        ("group=", "group"),
        ("group=" + "g" * 513, "group"),
        ("stream=", "stream"),
        ("prefix=" + "p" * 513, "prefix"),
        ("history=both", "history"),
        ("held=..&since=0", "held needs a cursor"),
        ("held=x&since=0&epoch=E&after=1", "held"),
        ("held=5:1..4:1&since=0&epoch=E&after=1", "ends before it begins"),
        ("epoch=E&since=0", "epoch and after"),
        ("after=1&since=0", "epoch and after"),
        ("epoch=E&after=1", "since"),
        ("base=-1", "base"),
        ("credit=lots", "credit"),
        ("nonsense", "malformed"),
        ("a=%ff", "malformed"),
        ("&".join(["stream=s"] * (FILTERS_MAX + 1)), "more than 100"),
        ("&".join(["x=1"] * 1000), "malformed"),
    ],
)
def test_what_is_wrong_is_named(query: str, names: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_tail(query)
    assert names in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "epoch=E", "after=1"])
def test_what_logs_refuses(query: str) -> None:
    with pytest.raises(WireError):
        parse_logs(query)


def test_who_asks_for_more_than_a_page_holds_gets_a_page() -> None:
    assert parse_logs("limit=50000").limit == LOGS_PAGE_EVENTS_MAX


@pytest.mark.parametrize("left_out", ["from", "through", "epoch", "seq"])
def test_digest_needs_all_four(left_out: str) -> None:
    parts = {"from": "1", "through": "2", "epoch": "E", "seq": "3"}
    del parts[left_out]
    with pytest.raises(WireError, match="all needed"):
        parse_digest("&".join(f"{name}={value}" for name, value in parts.items()))


def test_digest() -> None:
    assert parse_digest("from=1&through=2&epoch=E&seq=3&base=2&prefix=p") == DigestQuery(
        filter=Filter(prefixes=("p",)), from_=1, through=2, epoch="E", seq=3, base=2
    )


def test_a_name_that_is_no_text_gives_the_one_error() -> None:
    with pytest.raises(WireError, match="stream is not valid text"):
        TailQuery(group="g", filter=Filter(streams=("\udcff",))).encode()


@pytest.mark.parametrize(
    ("stream", "matched"),
    [
        ("exact", True),
        ("exactly", False),
        ("1f", True),
        ("jobs/app/1f", True),
        ("jobs/app/x1f", False),
        ("1f/other", False),
        ("pre", True),
        ("prefixed", True),
        ("a-pre", False),
    ],
)
def test_filters_are_united(stream: str, *, matched: bool) -> None:
    assert Filter(("exact",), ("1f",), ("pre",)).matches(stream) is matched


def test_no_filter_is_every_stream() -> None:
    assert Filter().is_all
    assert Filter().matches("anything")
    assert not Filter(prefixes=("p",)).is_all


def test_filters_of_one_kind_alone() -> None:
    assert not Filter(streams=("s",)).matches("t")
    assert not Filter(executions=("s",)).matches("t")
    assert not Filter(prefixes=("s",)).matches("t")


def test_streams_of_an_execution() -> None:
    assert is_stream_of("id", "id")
    assert is_stream_of("a/b/id", "id")
    assert not is_stream_of("a/b/id2", "id")
    assert not is_stream_of("bid", "id")
