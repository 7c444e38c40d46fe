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
    belongs_to_execution,
    parse_digest,
    parse_feed,
    parse_logs,
    parse_tail,
)


def test_an_empty_query_gives_the_defaults() -> None:
    assert parse_tail("") == TailQuery()
    assert parse_logs("") == LogsQuery()
    assert parse_feed("") == (None, "")


def test_tail_accepts_all_its_parameters() -> None:
    query = (
        "group=%2Faws%2Fjobs&stream=a&stream=b&execution=c&prefix=d&pattern=%3Fx%20%3Fy&since=5"
        "&epoch=E&after=7&held=6:1..9:2&history=oldest&base=3&credit=500"
    )
    assert parse_tail(query) == TailQuery(
        group="/aws/jobs",
        filter=Filter(("a", "b"), ("c",), ("d",), "?x ?y"),
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
    ("query", "named"),
    [
        ("since=-1", "since"),
        ("since=1.5", "since"),
        ("since=now", "since"),
        ("since=%D9%A3", "since"),
        (f"since={TIMESTAMP_MAX + 1}", "since"),
        (f"after={SEQ_MAX + 1}&epoch=E&since=0", "after"),
        ("since=1&since=2", "since is given 2 times"),
        ("group=", "group"),
        ("group=" + "g" * 641, "group"),
        ("pattern=", "pattern must have 1 to 1024"),
        ("pattern=" + "p" * 1025, "pattern must have 1 to 1024"),
        ("pattern=a&pattern=b", "pattern is given 2 times"),
        ("pattern=%20+", "pattern is blank"),
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
def test_the_error_names_the_malformed_parameter(query: str, named: str) -> None:
    with pytest.raises(WireError) as caught:
        parse_tail(query)
    assert named in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "epoch=E", "after=1"])
def test_logs_rejects_a_bad_limit_or_half_a_cursor(query: str) -> None:
    with pytest.raises(WireError):
        parse_logs(query)


def test_a_limit_above_the_page_size_is_reduced_to_it() -> None:
    assert parse_logs("limit=50000").limit == LOGS_PAGE_EVENTS_MAX


@pytest.mark.parametrize("omitted", ["from", "through", "epoch", "seq"])
def test_digest_requires_from_through_epoch_and_seq(omitted: str) -> None:
    parts = {"from": "1", "through": "2", "epoch": "E", "seq": "3"}
    del parts[omitted]
    with pytest.raises(WireError, match="all needed"):
        parse_digest("&".join(f"{name}={value}" for name, value in parts.items()))


def test_digest_accepts_all_its_parameters() -> None:
    assert parse_digest("from=1&through=2&epoch=E&seq=3&base=2&prefix=p") == DigestQuery(
        filter=Filter(prefixes=("p",)), from_=1, through=2, epoch="E", seq=3, base=2
    )


def test_encoding_a_name_with_a_lone_surrogate_raises_a_wire_error() -> None:
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
def test_a_filter_matches_the_union_of_its_kinds(stream: str, *, matched: bool) -> None:
    assert Filter(("exact",), ("1f",), ("pre",)).matches(stream) is matched


def test_an_empty_filter_matches_every_stream() -> None:
    assert Filter().matches_all
    assert Filter().matches("anything")
    assert not Filter(prefixes=("p",)).matches_all


def test_a_pattern_chooses_the_feed_and_no_streams_of_it() -> None:
    assert Filter(pattern="ERROR").matches_all
    assert Filter(pattern="ERROR").matches("anything")
    assert not Filter(streams=("a",), pattern="ERROR").matches("b")
    assert parse_feed("group=g&pattern=%7B+%24.a+%3D+1+%7D") == ("g", "{ $.a = 1 }")


def test_a_filter_of_one_kind_does_not_match_other_streams() -> None:
    assert not Filter(streams=("s",)).matches("t")
    assert not Filter(executions=("s",)).matches("t")
    assert not Filter(prefixes=("s",)).matches("t")


def test_a_stream_belongs_to_an_execution_by_whole_path_segments() -> None:
    assert belongs_to_execution("id", "id")
    assert belongs_to_execution("a/b/id", "id")
    assert not belongs_to_execution("a/b/id2", "id")
    assert not belongs_to_execution("bid", "id")
