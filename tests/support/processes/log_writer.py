"""Plain boto3 writes that remember what CloudWatch accepted, and the comparison with a viewer."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.processes.moto_server import RawMoto, put_events

Written = tuple[str, int, str]
"""(log stream, timestamp in ms, message): all that a writer knows of an event."""


def now_ms() -> int:
    """The wall clock in ms."""
    return time.time_ns() // 1_000_000


class Ledger:
    """Writes to one log group and keeps the list of everything that was accepted."""

    def __init__(self, moto: RawMoto, group: str, streams: Sequence[str]) -> None:
        self.moto, self.group, self.streams = moto, group, streams
        self.accepted: list[Written] = []
        self._client = moto.client()
        moto.create(group, *streams)

    def put(self, stream: str, events: Iterable[tuple[int, str]]) -> None:
        """Write (timestamp, message) pairs."""
        batch = list(events)
        put_events(self._client, self.group, stream, batch)
        self.accepted += [(stream, timestamp, message) for timestamp, message in batch]

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class Load:
    """A thread that writes ``rate`` events a second, round robin, until the block ends."""

    def __init__(self, ledger: Ledger, rate: int, tag: str = "load") -> None:
        self._ledger, self._rate, self._tag = ledger, rate, tag
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self.written = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Write no more; what went wrong while writing is raised here."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def run_for(self, seconds: float) -> None:
        """Let it write for that long; the length is a load's size, nothing is asserted of it."""
        self._stop.wait(seconds)

    def _run(self) -> None:
        started = time.monotonic()
        try:
            while not self._stop.wait(0.05):
                due = int((time.monotonic() - started) * self._rate) - self.written
                self._write(due)
        except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
            self._error = error

    def _write(self, due: int) -> None:
        streams = self._ledger.streams
        now = now_ms()
        for place, stream in enumerate(streams):
            share = range(self.written + place, self.written + due, len(streams))
            if share:
                self._ledger.put(stream, [(now, f"{self._tag} {number}") for number in share])
        self.written += due


class Comparison(NamedTuple):
    """What a viewer shows against what was accepted; a correct system has four zeros."""

    lost: int
    doubled: int
    misordered: int
    unexpected: int


CLEAN = Comparison(0, 0, 0, 0)


def compare(accepted: Sequence[Written], shown: Sequence[Mapping[str, Any]]) -> Comparison:
    """Compare a viewer's events, in display order, with what was accepted.

    Late lines of an output that can't take back what it printed (``"late": true``) are exempt
    from the order, as the command line's contract says.
    """
    assert accepted, "nothing was accepted: the comparison would show nothing"
    want = Counter(accepted)
    have = Counter((one["log_stream"], one["timestamp"], one["message"]) for one in shown)
    extra = have - want
    ids = Counter(one["id"] for one in shown)
    doubled = sum(count - 1 for count in ids.values())
    keys = [(one["timestamp"], int(one["id"])) for one in shown if not one.get("late")]
    misordered = sum(1 for left, right in itertools.pairwise(keys) if left >= right)
    return Comparison(
        lost=(want - have).total(),
        doubled=doubled,
        misordered=misordered,
        unexpected=max(0, extra.total() - doubled),
    )


def events_of(record: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events of a record; in a record even late ones stand in their place."""
    return [{**line, "late": False} for line in record if line["type"] == "event"]
