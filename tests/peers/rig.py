"""Runs all programs at once on the same events and faults, and counts what each one lost."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from tests.peers.load import STREAMS, Event, Pattern, Plan, Writer
from tests.peers.tools import (
    PEERS,
    Follower,
    Peer,
    PeerProcess,
    Seen,
    gapless_running,
    peer_running,
)
from tests.support.network.cloudwatch_faults import CloudWatchFaults, faulty_cloudwatch
from tests.support.processes.moto_server import raw_moto

GROUP: Final = "/jobs/nightly"
LEAST_S: Final = 15.0
"""Wait after the last event for all programs: three polls of the slowest."""
MOST_S: Final = 90.0
"""Longest wait after the last event."""
LOOK_S: Final = 1.0


class Situation(NamedTuple):
    """How events are written and which faults happen in one run."""

    name: str
    pattern: Pattern = "steady"
    faults: CloudWatchFaults = CloudWatchFaults()


SITUATIONS: Final = (
    Situation("no faults"),
    Situation("10 % of the events 5 to 60 s late", pattern="late"),
    Situation("two streams, one flushed each 5 s", pattern="flush"),
    Situation("throttled, p = 0.3", faults=CloudWatchFaults(throttle=0.3)),
    Situation("truncated responses, p = 0.2", faults=CloudWatchFaults(truncate=0.2)),
    Situation("connections cut, p = 0.3", faults=CloudWatchFaults(cut=0.3)),
    Situation("eight 503 in a row", faults=CloudWatchFaults(outage_at=5, outage_calls=8)),
)


class Result(NamedTuple):
    """One program's output compared with the accepted events; lag from acceptance to output."""

    tool: str
    accepted: int
    lost: int
    duplicated: int
    misordered: int
    lag_p50_ms: float
    lag_p99_ms: float
    died: bool


def judge(
    tool: str, accepted: Mapping[int, tuple[Event, int]], seen: Sequence[Seen], *, died: bool
) -> Result:
    """Compare a program's output, in its order, with the accepted events."""
    counts = Counter(one.number for one in seen)
    stamps = [accepted[one.number][0].timestamp for one in seen if one.number in accepted]
    first: dict[int, int] = {}
    for one in seen:
        first.setdefault(one.number, one.at_ns)
    lags = sorted(
        (first[number] - at_ns) / 1e6 for number, (_, at_ns) in accepted.items() if number in first
    )
    return Result(
        tool=tool,
        accepted=len(accepted),
        lost=sum(1 for number in accepted if number not in counts),
        duplicated=sum(count - 1 for count in counts.values()),
        misordered=sum(1 for left, right in itertools.pairwise(stamps) if left > right),
        lag_p50_ms=lags[len(lags) // 2] if lags else float("nan"),
        lag_p99_ms=lags[len(lags) * 99 // 100] if lags else float("nan"),
        died=died,
    )


def run(
    situation: Situation, rate: int, seconds: float, visible_within_ms: int, peers: Sequence[Peer]
) -> list[Result]:
    """Let every program follow the same log group, each through its own proxy with equal faults."""
    faults = CloudWatchFaults(
        **{
            name: getattr(situation.faults, name)
            for name in CloudWatchFaults.__struct_fields__
            if name != "visible_within_ms"
        },
        visible_within_ms=visible_within_ms,
    )
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        moto = stack.enter_context(raw_moto())
        moto.create(GROUP, *STREAMS)
        url = stack.enter_context(faulty_cloudwatch(moto.url, faults))
        gapless = stack.enter_context(gapless_running(GROUP, url, state))
        printing: dict[str, PeerProcess] = {}
        for peer in peers:
            own_url = stack.enter_context(faulty_cloudwatch(moto.url, faults))
            printing[peer.name] = stack.enter_context(peer_running(peer, GROUP, own_url, state))
        writer = Writer(moto, GROUP, Plan(situation.pattern, rate, faults.seed))
        writer.run(seconds)
        _settle(gapless, time.time_ns() // 1_000_000)
        results = [judge("gapless", writer.accepted, gapless.finish(), died=False)]
        for name, one in printing.items():
            died = one.died
            results.append(judge(name, writer.accepted, one.finish(), died=died))
        return results


def find_peers() -> tuple[list[Peer], list[Peer]]:
    """The peers that are installed, and those that are not."""
    found = [peer for peer in PEERS if peer.path() is not None]
    return found, [peer for peer in PEERS if peer not in found]


def _settle(follower: Follower, through_ms: int) -> None:
    """Wait until the follower is complete and ``LEAST_S`` has passed, ``MOST_S`` at most."""
    began = time.monotonic()
    pause = threading.Event()
    is_done = False
    while (elapsed := time.monotonic() - began) < (LEAST_S if is_done else MOST_S):
        is_done = is_done or follower.is_done(through_ms)
        pause.wait(min(LOOK_S, MOST_S - elapsed))
