"""Heartbeats on a real socket go on while hostile messages are matched.

By order alone: matching ends only after the viewer has had its heartbeats.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from websockets.asyncio.client import connect

from forwarder.ingest.executions import Ends, Lifecycle
from forwarder.records import LogEvent
from tests.support.forwarder.feed_server import serve_feed
from wire.codec import decode_server
from wire.messages import Events

LINES = 20


class HeldLifecycle(Lifecycle):
    """A pattern whose matching of a page ends only once ``may_end`` is set."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - Lifecycle's own
        super().__init__(*arguments, **options)
        self.is_matching, self.may_end = threading.Event(), threading.Event()
        self.waited_in_vain = False
        self.pages = 0

    def ends_among(self, events: Iterable[LogEvent]) -> Ends:
        page = list(events)
        found = super().ends_among(page)
        if page:
            self.is_matching.set()
            # On the event loop, it would wait for heartbeats that cannot be sent.
            self.waited_in_vain = self.waited_in_vain or not self.may_end.wait(20)
            self.pages += 1
        return found


@pytest.mark.parametrize(
    ("rule", "message"),
    [("(a+)+b", "a" * (1 << 20)), ("error.*timeout", ("error " * (1 << 18))[: 1 << 20])],
)
async def test_heartbeats_while_long_lines_are_matched(rule: str, message: str) -> None:
    lifecycle = HeldLifecycle.pattern(rule)
    assert isinstance(lifecycle, HeldLifecycle)
    async with (
        asyncio.timeout(240),
        serve_feed(lifecycle, heartbeat_ms=100) as served,
        connect(f"{served.url}?since=0", max_size=8 << 20, proxy=None) as viewer,
    ):
        served.put(*([message] * LINES))
        kinds: Counter[str] = Counter()
        while kinds["Heartbeat"] < 3:
            kind = type(decode_server(await viewer.recv())).__name__
            kinds[kind] += lifecycle.is_matching.is_set()
        assert lifecycle.pages == 0, "the page is matched all the time"
        assert not lifecycle.waited_in_vain
        assert not kinds["Events"]
        lifecycle.may_end.set()
        received = 0
        while received < LINES:
            answer = decode_server(await viewer.recv())
            received += len(answer.items) if isinstance(answer, Events) else 0
