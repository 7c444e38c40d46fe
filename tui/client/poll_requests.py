"""Polling: asks over plain HTTP what ``PollPlan`` wants to know, each 10 s. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tui.client.effects import Effect
from tui.client.http import Getter, HttpFailure
from tui.client.polling import POLL_MS, Answer, PollError, PollPlan


class PollListener(Protocol):
    """Whom polling tells what happens."""

    async def polled(self, effects: list[Effect]) -> None:
        """An answer was taken in."""

    def round_ended(self, failure: str | None, *, brought: bool) -> None:
        """A round is over: why it broke off, if it did; whether it was to bring lines."""


class Polling:
    """The rounds of one target.

    Args:
        plan: What to ask.
        getter: Asks.
        listener: Whom to tell.
        now_ms: The clock that events are stamped by.

    """

    def __init__(
        self,
        plan: PollPlan,
        getter: Getter,
        listener: PollListener,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        """Create what ``run`` runs."""
        self._plan = plan
        self._getter = getter
        self._listener = listener
        self._now_ms = now_ms
        self._now = asyncio.Event()

    def poll_now(self) -> None:
        """Begin a round without waiting: no WebSocket can be had."""
        self._now.set()

    async def run(self) -> None:
        """Poll until this is cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_MS / 1000):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            await self.round()

    async def round(self) -> None:
        """One round of questions."""
        plan = self._plan
        plan.begin(self._now_ms())
        brings, failure = plan.is_bringing, None
        try:
            while (ask := plan.next()) is not None:
                status, body = await self._getter.get(ask.target)
                effects = plan.answered(ask, Answer(status, body), self._now_ms())
                await self._listener.polled(effects)
        except (HttpFailure, PollError) as error:
            failure = str(error)
        finally:
            plan.stop()
        self._listener.round_ended(failure, brought=brings)
