from __future__ import annotations

from pathlib import Path
from typing import Any

from forwarder.delivery.hub import Hub
from forwarder.ingest.log_group import LogGroup
from forwarder.server.metrics import (
    METRICS,
    PROCESS_METRICS,
    Metric,
    ProcessStats,
    page,
    render,
)
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.session_client import NOW, event, log_group
from wire.messages import Upstream
from wire.query import TailQuery


def test_every_metric_of_the_table_is_there_and_named_as_is_usual() -> None:
    group = log_group([event(1)])
    hub = Hub(group, FakeFeed(group))
    text = render([hub], ProcessStats()).decode()
    table: list[Metric[Any]] = [*METRICS, *PROCESS_METRICS]
    for metric in table:
        assert f"# TYPE {metric.name} {metric.kind}" in text
        assert metric.name.startswith("gapless_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_feeds_of_one_log_group_have_different_labels() -> None:
    groups = [LogGroup(MemoryJournal("/app", pattern=one)) for one in ("", 'say "x"')]
    text = render([Hub(one, FakeFeed(one)) for one in groups], ProcessStats()).decode()
    assert 'gapless_ready{group="/app"} ' in text
    assert r'gapless_ready{group="/app",pattern="say \"x\""} ' in text
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(set(series)) == len(series)


def test_values_are_read_when_requested() -> None:
    group = log_group([event(1), event(2)])
    feed = FakeFeed(group)
    hub = Hub(group, feed)
    viewer = hub.open(TailQuery(since=0), NOW, wake=lambda: None)
    feed.upstream = Upstream("throttled", 1_500)
    gap = group.declare_gap(1, 2, "suspected", "polls failed")
    group.widen_gap(gap.id, 1, 9)
    hub.progress()
    while viewer.session.next(NOW) is not None:
        pass
    lines = (
        render([hub], ProcessStats({200: 3, 404: 1}, {"token": 5}, {"throttled": 2}))
        .decode()
        .splitlines()
    )
    for line in (
        'gapless_journal_head_seq{group="/app"} 2.0',
        'gapless_viewers{group="/app"} 1.0',
        'gapless_events_sent_total{group="/app"} 2.0',
        'gapless_upstream_lag_seconds{group="/app"} 1.5',
        'gapless_upstream_state{group="/app",state="throttled"} 1.0',
        'gapless_upstream_state{group="/app",state="ok"} 0.0',
        'gapless_gaps_total{group="/app",state="suspected"} 1.0',
        'gapless_visibility_allowance_seconds{group="/app"} 2.0',
        'gapless_ready{group="/app"} 1.0',
        'gapless_http_requests_total{status="200"} 3.0',
        'gapless_http_requests_total{status="404"} 1.0',
        'gapless_refused_total{reason="token"} 5.0',
        'gapless_cloudwatch_calls_total{outcome="throttled"} 2.0',
        'gapless_events_total{group="/app",origin="live"} 2.0',
        'gapless_duplicates_ignored_total{group="/app"} 0.0',
        'gapless_late_events_total{group="/app"} 0.0',
        'gapless_scans_total{group="/app",kind="repair",outcome="whole"} 0.0',
        'gapless_scan_seconds_total{group="/app",kind="live"} 0.0',
        'gapless_mark_through_timestamp_seconds{group="/app"} 0.0',
        'gapless_refused_total{reason="sockets"} 0.0',
    ):
        assert line in lines


def test_without_hubs_there_are_names_alone() -> None:
    assert b"gapless_viewers" in render([], ProcessStats())


ROOT = Path(__file__).parents[4]


def test_the_page_is_the_one_of_the_code() -> None:
    text = (ROOT / "METRICS.md").read_text(encoding="utf-8")
    assert text == page(), "renew it: python -m forwarder.server.metrics > METRICS.md"


def test_every_metric_has_a_row() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `gapless_")]
    assert len(rows) == len(METRICS) + len(PROCESS_METRICS)
    assert all(row.count("|") == 5 for row in rows)
