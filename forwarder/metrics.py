"""Every metric, in one table: its name, its help, and where its value comes from.

Values are read when somebody asks; nothing is counted twice, and nothing in the hot path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from forwarder.hub import Hub
from wire.messages import GapState, UpstreamState

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


def _gaps(hub: Hub) -> Iterable[Value]:
    gaps = hub.tallies.gaps
    return [((one,), float(gaps.get(one, 0))) for one in get_args(GapState)]


METRICS: Final[Sequence[Metric]] = (
    Metric(
        "gapless_ready",
        "gauge",
        "Whether a whole scan has finished, so that what is served is complete.",
        _one(lambda hub: hub.not_ready is None),
    ),
    Metric(
        "gapless_journal_head_seq",
        "gauge",
        "Events discovered since the journal's chain began.",
        _one(lambda hub: hub.group.head_seq),
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
        _one(lambda hub: hub.tallies.marks),
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
        _one(lambda hub: hub.tallies.resets),
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
        "gapless_viewers",
        "gauge",
        "Viewers that are connected.",
        _one(lambda hub: len(hub.viewers)),
    ),
    Metric(
        "gapless_viewer_lag_events",
        "gauge",
        "How many events the slowest connected viewer is behind.",
        _one(
            lambda hub: max(
                (hub.group.head_seq - one.session.lanes.read_seq for one in hub.viewers), default=0
            )
        ),
    ),
    Metric(
        "gapless_viewers_connected_total",
        "counter",
        "Connections of viewers.",
        _one(lambda hub: hub.tallies.viewers),
    ),
    Metric(
        "gapless_viewers_too_slow_total",
        "counter",
        "Viewers that were cut off since they read too slowly.",
        _one(lambda hub: hub.tallies.too_slow),
    ),
    Metric(
        "gapless_bad_messages_total",
        "counter",
        "Messages of viewers that did not keep to the protocol.",
        _one(lambda hub: hub.tallies.bad_messages),
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

HTTP_REQUESTS: Final = "gapless_http_requests_total"
"""The one metric that is not a log group's: answers over HTTP by status."""

_HTTP_HELP: Final = "Answers over HTTP."


def render(hubs: Sequence[Hub], http_requests: Mapping[int, int]) -> bytes:
    """All metrics as Prometheus text; ``http_requests`` is counted by status."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(hubs, http_requests))
    return generate_latest(registry)


class _Now(Collector):
    """The values at the moment at which they are asked for."""

    def __init__(self, hubs: Sequence[Hub], http_requests: Mapping[int, int]) -> None:
        self._hubs = hubs
        self._http_requests = http_requests

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """What ``generate_latest`` calls."""
        for metric in METRICS:
            family = _family(metric.name, metric.kind, metric.help, ("group", *metric.labels))
            for hub in self._hubs:
                for labels, value in metric.read(hub):
                    family.add_metric((hub.group.name, *labels), value)
            yield family
        family = _family(HTTP_REQUESTS, "counter", _HTTP_HELP, ("status",))
        for status, count in sorted(self._http_requests.items()):
            family.add_metric((str(status),), count)
        yield family


def _family(
    name: str, kind: Literal["counter", "gauge"], text: str, labels: Sequence[str]
) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    return make(name, text, labels=list(labels))
