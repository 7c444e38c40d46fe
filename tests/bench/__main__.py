"""``make bench``: runs the benchmarks and prints a report; slow results are not failures.

Absolute figures vary between machines and runs: compare only figures of the same report.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable

from tests.bench import (
    cloudwatch,
    cluster,
    delivery,
    frame,
    lag,
    lines,
    live,
    many,
    pages,
    patterns,
    refusals,
    servers,
    viewer,
    viewers,
)
from tests.bench.pages import Rate
from tests.bench.quota import table as quota

PARTS = (
    "pages", "delivery", "lag", "live", "frame", "patterns", "lines", "viewer", "cloudwatch",
    "quota",
)  # fmt: skip

LIVE_S_MAX = 10.0
"""Longest run on moto, whose scans slow down as it stores more events."""


def main() -> None:
    """Run the selected parts, by default all."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--seconds", type=float, default=20, help="length of each lag run")
    parser.add_argument("--rates", type=int, nargs="*", default=[200, 2_000])
    parser.add_argument("--viewers", type=int, default=500, help="number of viewers")
    parser.add_argument("--rate", type=int, default=1_000, help="events per second")
    parser.add_argument(
        "--cells", nargs="*", default=[], help="rows of quota: all, or GROUPSxRATE@QUOTA[/2]"
    )
    parser.add_argument("--groups", type=int, default=100, help="log groups of many")
    parser.add_argument("--region", default="us-east-1", help="Region whose quota many keeps")
    given = parser.parse_args()
    parts = given.parts or PARTS
    _say(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    if "pages" in parts:
        _say("\n## CloudWatch page to journal (one core)")
        _table(pages.measure())
    if "delivery" in parts:
        _say("\n## Journal to viewer, over a loopback WebSocket")
        _table(delivery.measure())
    if "lag" in parts:
        _say(f"\n## Lag from writing to output, polling every second, {given.seconds:.0f} s")
        head = f"{'events/s':>9} {'events':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"
        _say(f"{head}  CPU in % of a core, memory")
        for rate in given.rates:
            _lag(lag.measure(rate, given.seconds))
    _live(given.rates if "live" in parts else [], min(given.seconds, LIVE_S_MAX))
    if "viewers" in parts:
        _say(f"\n## {given.viewers} viewers, each with {given.rate:,} events/s")
        _viewers(list(viewers.measure(given.viewers, given.rate, given.seconds)))
    if "frame" in parts:
        _say("\n## CPU time of a frame of the screen, over a million lines")
        frame.measure_all()
    _listed("patterns" in parts, "Patterns of a million lines", patterns.report)
    if "viewer" in parts:
        _say("\n## The viewer and other tools, on a million lines")
        viewer.measure(_say)
    _listed("refusals" in parts, "While CloudWatch refuses", refusals.measure)
    if "quota" in parts:
        _say("\n## Many log groups within an account's quota")
        quota.report(_say, given.cells, max(60.0, given.seconds))
    _listed(
        "churn" in parts,
        "300 log groups created and deleted beside a busy one",
        lambda: many.churn(given.seconds),
    )
    _listed(
        "many" in parts,
        "Many idle log groups on one forwarder",
        lambda: many.report(given.groups, given.seconds, given.region),
    )
    _listed("lines" in parts, "One long line: CPU time, the best of some runs", lines.measure)
    _listed("cluster" in parts, "A journal shared through PostgreSQL", cluster.measure)
    _listed(
        "servers" in parts,
        f"{given.viewers} viewers on two servers of a shared journal",
        lambda: servers.measure(given.viewers, given.rate, given.seconds),
    )
    _listed(
        "cloudwatch" in parts,
        "The simulator's CloudWatch and unpatched moto, over HTTP",
        cloudwatch.report,
    )


def _listed(is_wanted: bool, title: str, report: Callable[[], Iterable[str]]) -> None:  # noqa: FBT001
    if is_wanted:
        _say(f"\n## {title}")
        for line in report():
            _say(line)


def _live(rates: list[int], seconds: float) -> None:
    if rates:
        _say("\n## Lag from PutLogEvents to output on moto: Kinesis, and polls alone")
        _say(f"{'events/s':>9} {'events':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    for rate in rates:
        for path in ("kinesis:bench", "poll"):
            report = live.measure(path, rate, seconds)
            _say(
                f"{report.rate:>9,} {report.events:>8,} {report.p50_ms:>8,.0f}"
                f" {report.p99_ms:>8,.0f} {report.max_ms:>8,.0f}  {report.live}"
            )


def _table(rates: list[Rate]) -> None:
    for one in rates:
        _say(f"{one.per_s:>12,.0f} events/s  {one.what}" + (f"  ({one.note})" if one.note else ""))


def _lag(report: lag.LagReport) -> None:
    costs = ", ".join(
        f"{name} {cost.cpu_percent:.1f} % {cost.rss_mb:.0f} MB"
        for name, cost in report.costs.items()
    )
    _say(
        f"{report.rate:>9,} {report.events:>8,} {report.p50_ms:>8,.0f} {report.p99_ms:>8,.0f}"
        f" {report.max_ms:>8,.0f}  {costs}"
    )


def _viewers(reports: list[viewers.Report]) -> None:
    alone = next(report for report in reports if report.viewers == 1)
    for report in reports:
        got = report.got
        _say(
            f"{report.what}: {report.per_s:,.0f} events/s in all (slowest viewer {got.least:,}); "
            f"CPU {report.cpu_percent:.0f} % of a core\n"
            f"    between first and last viewer p50 {got.spread_p50:.0f} ms, p99 "
            f"{got.spread_p99:.0f} ms; from writing p50 {got.lag_p50:.0f} ms, p99 "
            f"{got.lag_p99:.0f} ms"
        )
        if report.viewers > 1 and report is not reports[0]:
            idle, loaded = report.kb_a_viewer(alone)
            _say(f"    memory per viewer {idle:.0f} kB idle, {loaded:.0f} kB loaded")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":  # not in spawned processes
    main()
