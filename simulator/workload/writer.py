"""The thread that writes to CloudWatch: the workload, and the events that faults add.

There is only one, because moto's ``put_log_events`` is not thread-safe. Decisions are elsewhere.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from simulator.acceptance import NewEvent, PutBatch, accepted_part, batches
from simulator.errors import ConflictError, SimulatorError
from simulator.oracle.ledger import Ledger
from simulator.workload.workload import Workload

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

TICK_S: Final = 0.2
"""Interval between writes."""

EXTRAS_MAX: Final = 64
"""Most bursts that may wait to be written."""

_READ_TIMEOUT_S: Final = 120

Compose = Callable[[int, Sequence[str]], Iterable[NewEvent]]
"""Builds the events to write from the time in ms and the running executions' log streams."""


class Writer:
    """Writes to one log group until it is stopped, and records what was accepted in the ledger."""

    def __init__(
        self,
        workload: Workload,
        ledger: Ledger,
        *,
        endpoint: str,
        region: str,
        group: str,
        now_ms: Callable[[], int],
        failed: Callable[[str], None],
    ) -> None:
        """``failed`` is called from the writer's thread with one line if writing fails for good."""
        self._workload = workload
        self._ledger = ledger
        self._endpoint = endpoint
        self._region = region
        self._group = group
        self._now_ms = now_ms
        self._failed = failed
        self._streams: set[str] = set()
        self._extras: queue.Queue[Compose] = queue.Queue(EXTRAS_MAX)
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._open = threading.Event()
        self._running = True
        self._busy = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.history_written = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether the executions write; events of faults are written regardless."""
        return self._running

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written or waiting to be written."""
        # In this order: an entry counts as busy before it leaves the queue.
        return self._extras.empty() and not self._busy

    def start(self) -> None:
        """Start the thread, which imports boto3 (slow) and then waits for ``open``."""
        self._thread.start()

    def open(self) -> None:
        """Begin to write, first the history; called once CloudWatch is reachable."""
        self._open.set()

    def pause(self) -> None:
        """Stop the executions from writing, until ``resume``."""
        self._running = False

    def resume(self) -> None:
        """Let the executions write again; what they skipped meanwhile is never written."""
        self._running = True

    def submit(self, compose: Compose) -> None:
        """Queue events to be written besides the workload.

        Raises:
            ConflictError: Too many bursts are waiting.
        """
        try:
            self._extras.put_nowait(compose)
        except queue.Full:
            msg = f"{EXTRAS_MAX} bursts are waiting to be written: try again in a few seconds"
            raise ConflictError(msg) from None
        self._wake.set()

    def stop(self, within_s: float = 5.0) -> None:
        """Stop the thread, after the PutLogEvents call in progress."""
        self._stopping.set()
        self._open.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _run(self) -> None:
        # Imported in the thread, while moto and the forwarder start.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        # No retries: repeating a call that was accepted would write its events twice.
        once = Config(retries={"total_max_attempts": 1}, read_timeout=_READ_TIMEOUT_S, proxies={})
        client = boto3.client(
            "logs",
            endpoint_url=self._endpoint,
            region_name=self._region,
            aws_access_key_id="simulator",
            aws_secret_access_key="simulator",  # noqa: S106 - moto takes any
            config=once,
        )
        try:
            self._open.wait()
            while not self._stopping.is_set():
                self._busy = True
                self._write_due(client)
                self._busy = False
                self.history_written.set()
                self._wake.wait(TICK_S)
                self._wake.clear()
        except (BotoCoreError, ClientError, SimulatorError) as error:
            if not self._stopping.is_set():
                self._failed(f"cannot write the workload: {' '.join(str(error).split())}")
        except Exception as error:  # noqa: BLE001 - otherwise writing would stop silently
            traceback.print_exc()
            self._failed(f"cannot write the workload: {type(error).__name__}: {error}")
        finally:
            self._busy = False
            self.history_written.set()  # even on failure, so that no caller waits forever
            client.close()

    def _write_due(self, client: CloudWatchLogsClient) -> None:
        now_ms = self._now_ms()
        due = self._workload.take_due(now_ms)
        if self._running:
            self._put_all(client, due)
        while not self._extras.empty():
            compose = self._extras.get_nowait()
            now_ms = self._now_ms()
            events = compose(now_ms, self._workload.running_streams(now_ms))
            self._put_all(client, batches(events, now_ms))

    def _put_all(self, client: CloudWatchLogsClient, due: Iterable[PutBatch]) -> None:
        for batch in due:
            if self._stopping.is_set():
                return
            self._put(client, batch)

    def _put(self, client: CloudWatchLogsClient, batch: PutBatch) -> None:
        if batch.stream not in self._streams:
            self._create(client, batch.stream)
        self._ledger.offer(batch.events)
        sent_ms = self._now_ms()
        answer = client.put_log_events(
            logGroupName=self._group,
            logStreamName=batch.stream,
            logEvents=[
                {"timestamp": event.timestamp, "message": event.message} for event in batch.events
            ],
        )
        rejected = answer.get("rejectedLogEventsInfo", {})
        indexes = {name: at for name, at in rejected.items() if isinstance(at, int)}
        taken = accepted_part(batch, indexes)
        # The clock names the millisecond that has begun; the response was here before its end.
        self._ledger.accept(taken, sent_ms=sent_ms, accepted_ms=self._now_ms() + 1)
        if len(taken) < len(batch.events):
            refused = len(batch.events) - len(taken)
            print(f"gapless: CloudWatch refused {refused} events", file=sys.stderr)  # noqa: T201

    def _create(self, client: CloudWatchLogsClient, stream: str) -> None:
        # The stream exists already if its execution was silenced before its first event.
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_stream(logGroupName=self._group, logStreamName=stream)
        self._streams.add(stream)
