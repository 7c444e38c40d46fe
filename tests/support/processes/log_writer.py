"""Writes events with boto3, records those accepted, and compares them with a viewer's."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.processes.moto_server import RawMoto, put_events

Written = tuple[str, int, str]
"""(log stream, timestamp in ms, message) of a written event."""


def now_ms() -> int:
    """The wall clock in ms."""
    return time.time_ns() // 1_000_000


class Ledger:
    """Writes to one log group and lists all accepted events."""

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
        """Close the boto3 client."""
        self._client.close()


class Load:
    """A thread that writes ``rate`` events per second, round robin over the log streams."""

    def __init__(
        self,
        ledger: Ledger,
        rate: int,
        tag: str = "load",
        make: Callable[[int], str] | None = None,
    ) -> None:
        """``make`` returns the message of an event, by its number; default: tag and number."""
        self._ledger, self._rate, self._make = ledger, rate, make or f"{tag} {{}}".format
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
        """Stop writing; raises the error that the thread met, if any."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def run_for(self, seconds: float) -> None:
        """Wait while the thread writes; the duration only sets the amount of load."""
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
                self._ledger.put(stream, [(now, self._make(number)) for number in share])
        self.written += due


class Comparison(NamedTuple):
    """Differences between a viewer's events and those accepted; correct is all zero."""

    lost: int
    duplicated: int
    misordered: int
    unexpected: int


CLEAN = Comparison(0, 0, 0, 0)


def compare(accepted: Sequence[Written], shown: Sequence[Mapping[str, Any]]) -> Comparison:
    """Compare a viewer's events, in display order, with what was accepted.

    Late lines (``"late": true``) are exempt from the order: an output cannot insert lines into
    what it has printed.
    """
    assert accepted, "no events were accepted, so the comparison would prove nothing"
    want = Counter(accepted)
    have = Counter((one["log_stream"], one["timestamp"], one["message"]) for one in shown)
    extra = have - want
    ids = Counter(one["id"] for one in shown)
    duplicated = sum(count - 1 for count in ids.values())
    keys = [(one["timestamp"], int(one["id"])) for one in shown if not one.get("late")]
    misordered = sum(1 for left, right in itertools.pairwise(keys) if left >= right)
    return Comparison(
        lost=(want - have).total(),
        duplicated=duplicated,
        misordered=misordered,
        unexpected=max(0, extra.total() - duplicated),
    )


def events_of(record: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events of a record, where late ones are in display order as well."""
    return [{**line, "late": False} for line in record if line["type"] == "event"]
