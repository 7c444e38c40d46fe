"""Every metric, in one table: its name, its help, and where its value comes from.

Values are read when somebody asks; nothing is counted twice, and nothing in the hot path.

Writes METRICS.md from the table: ``python -m forwarder.server.metrics > METRICS.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec
from msgspec.structs import asdict
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from forwarder.delivery.hub import Hub
from forwarder.ingest.scan import ScanKind
from forwarder.live.inlet import LiveCounts
from forwarder.live.records import Counts, LiveState
from forwarder.server.admission import Reason
from wire.messages import GapState, Origin, UpstreamState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Value = tuple[tuple[str, ...], float]
"""The values of the labels beside ``group``, and the metric's."""


class Metric(msgspec.Struct, frozen=True):
    """One metric of a log group."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[Hub], Iterable[Value]]
    labels: tuple[str, ...] = ()


def _one(read: Callable[[Hub], float]) -> Callable[[Hub], Iterable[Value]]:
    return lambda hub: [((), float(read(hub)))]


def _states(hub: Hub) -> Iterable[Value]:
    state = hub.feed.upstream.state
    return [((one,), float(one == state)) for one in get_args(UpstreamState)]


def _live_states(hub: Hub) -> Iterable[Value]:
    state = "poll" if hub.live is None else hub.live.status.state
    return [((one,), float(one == state)) for one in get_args(LiveState)]


def _live_events(hub: Hub) -> Iterable[Value]:
    counts = LiveCounts() if hub.live is None else hub.live.counts
    return [((name,), float(count)) for name, count in asdict(counts).items()]


def _live_records(hub: Hub) -> Iterable[Value]:
    counts = None if hub.live is None else hub.live.path_counts
    return [((name,), float(count)) for name, count in asdict(counts or Counts()).items()]


def _gaps(hub: Hub) -> Iterable[Value]:
    gaps = hub.counts.gaps
    return [((one,), float(gaps.get(one, 0))) for one in get_args(GapState)]


METRICS: Final[Sequence[Metric]] = (
    Metric(
        "gapless_ready",
        "gauge",
        "Whether a whole scan has finished, so that what is served is complete.",
        _one(lambda hub: hub.unready_reason is None),
    ),
    Metric(
        "gapless_journal_head_seq",
        "gauge",
        "Events discovered since the journal's chain began.",
        _one(lambda hub: hub.group.head_seq),
    ),
    Metric(
        "gapless_events_total",
        "counter",
        "Events taken in since the start, by what brought them: the live path, a repair of what it "
        "had missed, or somebody's asking for the past.",
        lambda hub: [((one,), float(hub.group.counts.events[one])) for one in get_args(Origin)],
        ("origin",),
    ),
    Metric(
        "gapless_duplicates_ignored_total",
        "counter",
        "Events that came again, as they do with every scan.",
        _one(lambda hub: hub.group.counts.duplicates),
    ),
    Metric(
        "gapless_late_events_total",
        "counter",
        "Events that appeared after a scan had proved their time.",
        _one(lambda hub: hub.group.counts.late),
    ),
    Metric(
        "gapless_scans_total",
        "counter",
        "Scans of CloudWatch Logs by kind, and by whether they came to their end.",
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
        "Time that scans took; divided by their number, what one takes.",
        lambda hub: [
            ((kind,), hub.group.counts.scan_s.get(kind, 0.0)) for kind in get_args(ScanKind)
        ],
        ("kind",),
    ),
    Metric(
        "gapless_mark_through_timestamp_seconds",
        "gauge",
        "Up to when scans have proved what is served, since the Unix epoch (0 = not at all yet): "
        "the age of the mark is time() less this.",
        _one(lambda hub: hub.counts.marked_through / 1000),
    ),
    Metric(
        "gapless_journal_size_bytes",
        "gauge",
        "What the journal takes.",
        _one(lambda hub: hub.group.journal.size_bytes()),
    ),
    Metric(
        "gapless_marks_total",
        "counter",
        "Whole scans that proved a range of time.",
        _one(lambda hub: hub.counts.marks),
    ),
    Metric(
        "gapless_visibility_allowance_seconds",
        "gauge",
        "How late an event may become visible and still be covered by a mark; learned, bounded.",
        _one(lambda hub: hub.group.allowance_ms / 1000),
    ),
    Metric(
        "gapless_gaps_total",
        "counter",
        "Gaps by the state that they came into.",
        _gaps,
        ("state",),
    ),
    Metric(
        "gapless_resets_total",
        "counter",
        "New chains: the log group was made anew, or the journal too large.",
        _one(lambda hub: hub.counts.resets),
    ),
    Metric(
        "gapless_upstream_state",
        "gauge",
        "1 for the state that the way to CloudWatch Logs is in.",
        _states,
        ("state",),
    ),
    Metric(
        "gapless_upstream_lag_seconds",
        "gauge",
        "How far what is served may be behind CloudWatch Logs.",
        _one(lambda hub: (hub.feed.upstream.lag_ms or 0) / 1000),
    ),
    Metric(
        "gapless_live_path_state",
        "gauge",
        "1 for how news come in: by polls, or by a live path that is only a hint, relied on, "
        "late, or down.",
        _live_states,
        ("state",),
    ),
    Metric(
        "gapless_live_events_total",
        "counter",
        "Events of the live path: rows, known ones, hints to scan, refused ones, and ones that "
        "conflict with what is known.",
        _live_events,
        ("outcome",),
    ),
    Metric(
        "gapless_live_records_total",
        "counter",
        "Records of the stream that the live path reads (others' log groups included), what was "
        "the matter with them, and calls that were throttled or failed.",
        _live_records,
        ("outcome",),
    ),
    Metric(
        "gapless_live_confirmed_total",
        "counter",
        "Events of the live path that a scan has returned with the same id and text.",
        _one(lambda hub: hub.group.agreement.returned_count),
    ),
    Metric(
        "gapless_live_missed_total",
        "counter",
        "Events that scans found and that the live path did not bring in time.",
        _one(lambda hub: hub.group.punctuality.missed_count),
    ),
    Metric(
        "gapless_live_repaired_total",
        "counter",
        "Events that polls found after the live path had had its chance: repairs.",
        _one(lambda hub: hub.group.punctuality.repaired_count),
    ),
    Metric(
        "gapless_viewers",
        "gauge",
        "Viewers that are connected.",
        _one(lambda hub: len(hub.viewers)),
    ),
    Metric(
        "gapless_viewer_lag_events",
        "gauge",
        "How many events the slowest connected viewer is behind.",
        _one(lambda hub: max((one.session.lag_events for one in hub.viewers), default=0)),
    ),
    Metric(
        "gapless_viewers_connected_total",
        "counter",
        "Connections of viewers.",
        _one(lambda hub: hub.counts.viewers),
    ),
    Metric(
        "gapless_viewers_too_slow_total",
        "counter",
        "Viewers that were cut off since they read too slowly.",
        _one(lambda hub: hub.counts.too_slow),
    ),
    Metric(
        "gapless_bad_messages_total",
        "counter",
        "Messages of viewers that did not keep to the protocol.",
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
        "Frames read and encoded for another viewer before.",
        _one(lambda hub: hub.slices.hits),
    ),
)


class Process(msgspec.Struct, frozen=True):
    """What is not a log group's."""

    http_requests: Mapping[int, int] = {}
    """Answers over HTTP by status."""
    refused: Mapping[Reason, int] = {}
    """Refusals by reason."""
    calls: Mapping[str, int] = {}
    """Calls of CloudWatch by outcome."""
    skew_ms: int = 0
    """How far this machine's clock is ahead of CloudWatch's, at least."""


class ProcessMetric(msgspec.Struct, frozen=True):
    """One metric of the process."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[Process], Iterable[Value]]
    labels: tuple[str, ...] = ()


CALL_OUTCOMES: Final[tuple[str, ...]] = ("ok", "throttled", "failed")
"""What may come of a call of CloudWatch Logs."""

PROCESS_METRICS: Final[Sequence[ProcessMetric]] = (
    ProcessMetric(
        "gapless_http_requests_total",
        "counter",
        "Answers over HTTP.",
        lambda process: [((str(k),), float(v)) for k, v in sorted(process.http_requests.items())],
        ("status",),
    ),
    ProcessMetric(
        "gapless_refused_total",
        "counter",
        "Connections and requests refused, and viewers sent away for what they did.",
        lambda process: [((one,), float(process.refused.get(one, 0))) for one in get_args(Reason)],
        ("reason",),
    ),
    ProcessMetric(
        "gapless_cloudwatch_calls_total",
        "counter",
        "Calls of CloudWatch Logs by what came of them.",
        lambda process: [((one,), float(process.calls.get(one, 0))) for one in CALL_OUTCOMES],
        ("outcome",),
    ),
    ProcessMetric(
        "gapless_clock_skew_seconds",
        "gauge",
        "How far this machine's clock is ahead of CloudWatch's (below 0: behind), at least, by the "
        "Date of its answers; 0 where that does not tell.",
        lambda process: [((), process.skew_ms / 1000)],
    ),
)


def render(hubs: Sequence[Hub], process: Process) -> bytes:
    """All metrics as Prometheus text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(hubs, process))
    return generate_latest(registry)


class _Now(Collector):
    """The values at the moment at which they are asked for."""

    def __init__(self, hubs: Sequence[Hub], process: Process) -> None:
        self._hubs = hubs
        self._process = process

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """What ``generate_latest`` calls."""
        for metric in METRICS:
            family = _family(metric.name, metric.kind, metric.help, ("group", *metric.labels))
            for hub in self._hubs:
                for labels, value in metric.read(hub):
                    family.add_metric((hub.group.name, *labels), value)
            yield family
        for one in PROCESS_METRICS:
            family = _family(one.name, one.kind, one.help, one.labels)
            for labels, value in one.read(self._process):
                family.add_metric(labels, value)
            yield family


def _family(
    name: str, kind: Literal["counter", "gauge"], text: str, labels: Sequence[str]
) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    return make(name, text, labels=list(labels))


_HEAD: Final = """\
# Metrics

`GET /metrics` answers in Prometheus' text format; a token sees its own log groups. Import
`forwarder/server/grafana.json` into Grafana for a dashboard of them. This page is generated:
`python -m forwarder.server.metrics > METRICS.md`.

| metric | kind | labels | what it says |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
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
