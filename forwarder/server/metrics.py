"""All metrics in one table: name, help text, and where each value comes from.

Values are read when ``/metrics`` is requested; nothing is counted twice. ``python -m
forwarder.server.metrics > METRICS.md`` writes the table as a page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec.structs import asdict
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from forwarder.delivery.hub import Hub
from forwarder.ingest.scan import ScanKind
from forwarder.live.receiver import LiveCounts, LiveState, PathCounts
from forwarder.server.admission import RefusalReason
from wire.messages import GapState, Origin, UpstreamCode, UpstreamState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Value = tuple[tuple[str, ...], float]
"""Values of a metric's labels (``group`` excepted), and the metric's value."""

Owner = TypeVar("Owner")


class Metric(msgspec.Struct, Generic[Owner], frozen=True):
    """One metric, and how to read its values from a hub or from the process."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[Owner], Iterable[Value]]
    labels: tuple[str, ...] = ()


class ProcessStats(msgspec.Struct, frozen=True):
    """Values that belong to no log group."""

    http_responses: Mapping[int, int] = {}
    """HTTP responses by status."""
    refused: Mapping[RefusalReason, int] = {}
    """Refusals by reason."""
    calls: Mapping[str, int] = {}
    """CloudWatch calls by outcome."""
    skew_ms: int = 0
    """How far this machine's clock is ahead of CloudWatch's, at least."""
    groups: int = 0
    """Log groups served at present."""
    failed_starts: int = 0
    """Log groups that could not be started."""


def _one(read: Callable[[Hub], float]) -> Callable[[Hub], Iterable[Value]]:
    return lambda hub: [((), float(read(hub)))]


def _states(hub: Hub) -> Iterable[Value]:
    state = hub.feed.upstream.state
    return [((one,), float(one == state)) for one in get_args(UpstreamState)]


def _problems(hub: Hub) -> Iterable[Value]:
    code = hub.feed.upstream.code
    return [((one,), float(one == code)) for one in get_args(UpstreamCode)]


def _live_states(hub: Hub) -> Iterable[Value]:
    state = "poll" if hub.live is None else hub.live.status.state
    return [((one,), float(one == state)) for one in get_args(LiveState)]


def _live_events(hub: Hub) -> Iterable[Value]:
    counts = LiveCounts() if hub.live is None else hub.live.counts
    return [((name,), float(count)) for name, count in asdict(counts).items()]


def _live_records(hub: Hub) -> Iterable[Value]:
    counts = None if hub.live is None else hub.live.path_counts
    return [((name,), float(count)) for name, count in asdict(counts or PathCounts()).items()]


def _gaps(hub: Hub) -> Iterable[Value]:
    gaps = hub.counts.gaps
    return [((one,), float(gaps.get(one, 0))) for one in get_args(GapState)]


METRICS: Final[Sequence[Metric[Hub]]] = (
    Metric(
        "gapless_ready",
        "gauge",
        "1 once a whole scan has finished, so that the log group is served completely.",
        _one(lambda hub: hub.unready_reason is None),
    ),
    Metric(
        "gapless_journal_head_seq",
        "gauge",
        "Last seq of the journal: events discovered since its chain began.",
        _one(lambda hub: hub.group.head_seq),
    ),
    Metric(
        "gapless_events_total",
        "counter",
        "Events recorded since the start, by origin: live, repair (missed by the live path or a "
        "poll), or backfill (requested history).",
        lambda hub: [((one,), float(hub.group.counts.events[one])) for one in get_args(Origin)],
        ("origin",),
    ),
    Metric(
        "gapless_duplicates_ignored_total",
        "counter",
        "Known events received again, as with every scan.",
        _one(lambda hub: hub.group.counts.duplicates),
    ),
    Metric(
        "gapless_late_events_total",
        "counter",
        "Late events: discovered after a mark had passed their timestamp.",
        _one(lambda hub: hub.group.counts.late),
    ),
    Metric(
        "gapless_altered_events_total",
        "counter",
        "Known events of which a scan returned another text than the first one.",
        _one(lambda hub: hub.group.counts.altered),
    ),
    Metric(
        "gapless_events_held_back_total",
        "counter",
        "Events held back: a known event id came with another timestamp or log stream.",
        _one(lambda hub: hub.group.counts.held),
    ),
    Metric(
        "gapless_unreadable_events_total",
        "counter",
        "Events that can't be shown, counted in each scan: an invalid id, timestamp or field.",
        _one(lambda hub: hub.group.counts.unreadable),
    ),
    Metric(
        "gapless_inconclusive_scans_total",
        "counter",
        "Whole scans that proved nothing: they contradicted the journal, or were resumed by time "
        "after a refused page token.",
        _one(lambda hub: hub.group.counts.inconclusive),
    ),
    Metric(
        "gapless_scans_total",
        "counter",
        "Scans of CloudWatch Logs by kind, and by whether they reached the last page.",
        lambda hub: [
            (
                (kind, "whole" if is_whole else "broken"),
                float(hub.group.counts.scans[kind, is_whole]),
            )
            for kind in get_args(ScanKind)
            for is_whole in (True, False)
        ],
        ("kind", "outcome"),
    ),
    Metric(
        "gapless_scan_seconds_total",
        "counter",
        "Duration of all scans; divide by their number for the mean.",
        lambda hub: [
            ((kind,), hub.group.counts.scan_s.get(kind, 0.0)) for kind in get_args(ScanKind)
        ],
        ("kind",),
    ),
    Metric(
        "gapless_mark_through_timestamp_seconds",
        "gauge",
        "Latest time covered by a mark, s since the Unix epoch (0 before the first). The mark's "
        "age is time() minus this.",
        _one(lambda hub: hub.counts.marked_through / 1000),
    ),
    Metric(
        "gapless_journal_size_bytes",
        "gauge",
        "Size of the journal.",
        _one(lambda hub: hub.group.journal.size_bytes()),
    ),
    Metric(
        "gapless_marks_total",
        "counter",
        "Marks: scans that completely covered a time range.",
        _one(lambda hub: hub.counts.marks),
    ),
    Metric(
        "gapless_visibility_allowance_seconds",
        "gauge",
        "Visibility allowance: how long CloudWatch may take to show an event that is not late.",
        _one(lambda hub: hub.group.allowance_ms / 1000),
    ),
    Metric(
        "gapless_gaps_total", "counter", "Gaps by the state that they entered.", _gaps, ("state",)
    ),
    Metric(
        "gapless_resets_total",
        "counter",
        "New chains: the log group was recreated, or the journal reached its size limit.",
        _one(lambda hub: hub.counts.resets),
    ),
    Metric(
        "gapless_shared_journal_trimmed_total",
        "counter",
        "With a shared journal: entries of former chains that this process, as the owner, has "
        "removed from the database. They follow each of gapless_resets_total.",
        _one(lambda hub: hub.counts.trimmed),
    ),
    Metric(
        "gapless_upstream_state",
        "gauge",
        "1 for the present state of the connection to CloudWatch Logs.",
        _states,
        ("state",),
    ),
    Metric(
        "gapless_upstream_problem",
        "gauge",
        "1 for what is wrong with the connection to CloudWatch Logs at present; /readyz has the "
        "reason and the remedy.",
        _problems,
        ("code",),
    ),
    Metric(
        "gapless_upstream_lag_seconds",
        "gauge",
        "How far viewers may be behind CloudWatch Logs.",
        _one(lambda hub: (hub.feed.upstream.lag_ms or 0) / 1000),
    ),
    Metric(
        "gapless_owner_age_seconds",
        "gauge",
        "With a shared journal: time since the forwarder that reads the log group last reported, a "
        "second at most while it is well. 0 where this process reads it.",
        _one(lambda hub: hub.owner_age_ms() / 1000),
    ),
    Metric(
        "gapless_live_path_state",
        "gauge",
        "1 for the present state of the live path: poll (none), hints (only triggers polls), live "
        "(delivers events), late, or down.",
        _live_states,
        ("state",),
    ),
    Metric(
        "gapless_live_events_total",
        "counter",
        "Events of the live path: recorded as rows, known before, hints to scan, refused, and in "
        "conflict with known events.",
        _live_events,
        ("outcome",),
    ),
    Metric(
        "gapless_live_records_total",
        "counter",
        "Records of the live path's stream (those of other log groups included) by what was wrong "
        "with them, and calls that were throttled or failed.",
        _live_records,
        ("outcome",),
    ),
    Metric(
        "gapless_live_confirmed_total",
        "counter",
        "Events of the live path that a scan returned with the same id and text.",
        _one(lambda hub: hub.group.agreement.returned_count),
    ),
    Metric(
        "gapless_live_missed_total",
        "counter",
        "Events that scans found and the live path did not deliver in time.",
        _one(lambda hub: hub.group.punctuality.missed_count),
    ),
    Metric(
        "gapless_live_repaired_total",
        "counter",
        "Events that polls found after the live path should have delivered them: repairs.",
        _one(lambda hub: hub.group.punctuality.repaired_count),
    ),
    Metric("gapless_viewers", "gauge", "Connected viewers.", _one(lambda hub: len(hub.viewers))),
    Metric(
        "gapless_viewer_lag_events",
        "gauge",
        "How many events the slowest connected viewer is behind the journal.",
        _one(lambda hub: max((one.session.lag_events for one in hub.viewers), default=0)),
    ),
    Metric(
        "gapless_viewers_connected_total",
        "counter",
        "Viewer connections since the start.",
        _one(lambda hub: hub.counts.viewers),
    ),
    Metric(
        "gapless_viewers_too_slow_total",
        "counter",
        "Viewers closed because they read too slowly.",
        _one(lambda hub: hub.counts.too_slow),
    ),
    Metric(
        "gapless_bad_messages_total",
        "counter",
        "Viewer messages that violated the protocol.",
        _one(lambda hub: hub.counts.bad_messages),
    ),
    Metric(
        "gapless_events_sent_total",
        "counter",
        "Events sent to viewers.",
        _one(lambda hub: hub.events_sent),
    ),
    Metric(
        "gapless_sent_bytes_total",
        "counter",
        "Bytes of frames sent to viewers.",
        _one(lambda hub: hub.bytes_sent),
    ),
    Metric(
        "gapless_frames_shared_total",
        "counter",
        "Frames shared: sent from the cache after another viewer had received them.",
        _one(lambda hub: hub.slices.hits),
    ),
)


CALL_OUTCOMES: Final[tuple[str, ...]] = ("ok", "throttled", "failed")
"""Outcomes of a CloudWatch Logs call."""

PROCESS_METRICS: Final[Sequence[Metric[ProcessStats]]] = (
    Metric(
        "gapless_http_requests_total",
        "counter",
        "HTTP responses by status.",
        lambda process: [((str(k),), float(v)) for k, v in sorted(process.http_responses.items())],
        ("status",),
    ),
    Metric(
        "gapless_refused_total",
        "counter",
        "Connections and requests refused, and viewers closed, by reason.",
        lambda process: [
            ((one,), float(process.refused.get(one, 0))) for one in get_args(RefusalReason)
        ],
        ("reason",),
    ),
    Metric(
        "gapless_cloudwatch_calls_total",
        "counter",
        "CloudWatch Logs calls by outcome.",
        lambda process: [((one,), float(process.calls.get(one, 0))) for one in CALL_OUTCOMES],
        ("outcome",),
    ),
    Metric(
        "gapless_groups",
        "gauge",
        "Log groups served at present; viewers' requests, patterns and the groups file change it.",
        lambda process: [((), float(process.groups))],
    ),
    Metric(
        "gapless_group_start_failures_total",
        "counter",
        "Log groups that could not be started: missing, unreadable, or without a journal.",
        lambda process: [((), float(process.failed_starts))],
    ),
    Metric(
        "gapless_clock_skew_seconds",
        "gauge",
        "How far this machine's clock is at least ahead of CloudWatch's (negative: behind), by the "
        "Date header of its responses; 0 if they don't show a difference.",
        lambda process: [((), process.skew_ms / 1000)],
    ),
)


def render(hubs: Sequence[Hub], process: ProcessStats) -> bytes:
    """Render all metrics as Prometheus text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_MetricsCollector(hubs, process))
    return generate_latest(registry)


class _MetricsCollector(Collector):
    """Reads the present values of all metrics."""

    def __init__(self, hubs: Sequence[Hub], process: ProcessStats) -> None:
        self._hubs = hubs
        self._process = process

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Yield all metrics; ``generate_latest`` calls it."""
        for metric in METRICS:
            family = _family(metric, ("group", *metric.labels))
            for hub in self._hubs:
                for labels, value in metric.read(hub):
                    family.add_metric((hub.group.name, *labels), value)
                    if hub.group.pattern:
                        # Two feeds of a log group must not have the same labels.
                        family.samples[-1].labels["pattern"] = hub.group.pattern
            yield family
        for process_metric in PROCESS_METRICS:
            family = _family(process_metric, process_metric.labels)
            for labels, value in process_metric.read(self._process):
                family.add_metric(labels, value)
            yield family


def _family(metric: Metric[Any], labels: Sequence[str]) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return make(metric.name, metric.help, labels=list(labels))


_HEAD: Final = """\
# Metrics

`GET /metrics` returns them in Prometheus' text format; a token gets those of its log groups.
The label `pattern` marks a feed of events that match a filter pattern; it is beside `group`.
`forwarder/server/grafana.json` is a dashboard for Grafana. This page is generated:
`python -m forwarder.server.metrics > METRICS.md`.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Render METRICS.md."""
    rows = [
        *((one.name, one.kind, ("group", *one.labels), one.help) for one in METRICS),
        *((one.name, one.kind, one.labels, one.help) for one in PROCESS_METRICS),
    ]
    lines = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels) or '-'} | {text} |\n"
        for name, kind, labels, text in rows
    ]
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
