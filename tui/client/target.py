"""One target: its session, connection, polling and story, put together. A shell."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, Protocol

import msgspec

from common.http import HttpFailure
from tui.client.connection import Address, Connection, Disconnection, Getter
from tui.client.history import Story
from tui.client.polling import Polling, PollPlan
from tui.client.saved import CONTEXT_LINES, Cursor, SavedCursor, Seen, Subject
from tui.client.session import ViewerSession
from tui.client.status import Effect, SendMessage
from tui.lines.rows import Rule, time_of
from wire.query import Filter, History

GROUP_S: Final = 2
"""Patience for the name of the one log group that a forwarder serves."""


class Shell(Protocol):
    """What a target needs of the engine that it is part of."""

    rng: random.Random

    def wall_ms(self) -> int:
        """The clock that events are stamped by."""

    def steady_ms(self) -> int:
        """A clock that never jumps."""

    def next_number(self) -> int:
        """A number for a rule."""

    def take(self, effects: list[Effect], rules: Sequence[Rule]) -> None:
        """Let what happened come into the timeline."""

    def changed(self) -> None:
        """Something is different."""

    async def ready(self) -> None:
        """Returns once more lines can be taken."""


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch, and where."""

    url: str
    """Of a forwarder, ``ws://`` or ``wss://``."""
    name: str = ""
    """How the screen calls it; the group or the URL where empty."""
    group: str | None = None
    """None where the forwarder serves exactly one."""
    filter: Filter = Filter()
    since: int | None = None
    """ms; None leaves it to the forwarder."""
    history: History = "newest"
    token: str | None = None
    identity: str = ""
    """What names the target from run to run, for its saved cursor; the URL where empty."""
    cursor: Cursor | None = None
    """Saved by an earlier run about the same: go on there, without the lines of that run."""
    seen: Seen | None = None
    """What that run had; it goes with its cursor."""
    awaits_group: bool = True
    """Whether lines may come only once the log group's name is known: output prints it."""


class Target:
    """One target's parts, put together; hears what its connection and its polling do."""

    def __init__(self, shell: Shell, number: int, spec: TargetSpec) -> None:
        """Create it, without connecting yet."""
        self.spec = spec
        self.group = spec.group
        """The log group's name, once it is known."""
        self.session = ViewerSession(
            number,
            group=spec.group,
            event_filter=spec.filter,
            since=spec.since,
            history=spec.history,
            cursor=spec.cursor,
        )
        self.story = Story(number, self.session, shell.next_number)
        self.story.seen = spec.seen
        self._shell = shell
        address = Address(spec.url, spec.token)
        self.connection = Connection(
            self.session, address, self, now_ms=shell.steady_ms, rng=shell.rng
        )
        self.getter = Getter(address)
        plan = PollPlan(self.session)
        self.polling = Polling(plan, self.getter, self, now_ms=shell.wall_ms)

    @property
    def saved(self) -> SavedCursor | None:
        """The cursor as it may be saved, once there is one."""
        cursor, since = self.session.cursor(), self.session.since
        if cursor is None or since is None:
            return None
        spec = self.spec
        subject = Subject(spec.identity or spec.url, spec.group, spec.filter, since)
        return SavedCursor(subject, cursor, self._seen())

    def _seen(self) -> Seen | None:
        tally = self.session.holdings.tally
        # Where the cursor was not taken up, what that run had has come again, and counts here.
        before = self.spec.seen if tally.base else None
        left_ms = self._shell.wall_ms()
        newest, first = tally.key_before_last(0), tally.key_before_last(CONTEXT_LINES)
        if newest is None or first is None:
            return None if before is None else msgspec.structs.replace(before, left_ms=left_ms)
        newest_ms, context_ms = time_of(newest), time_of(first)
        if before is None:
            older = max(0, len(tally) - 1 - CONTEXT_LINES)
            return Seen(left_ms, newest_ms, context_ms, older)
        newest_ms = max(newest_ms, before.newest_ms)
        # Lines of that run that were fetched again are no new ones.
        if tally.fresh <= CONTEXT_LINES:
            return Seen(left_ms, newest_ms, min(context_ms, before.context_ms), before.older)
        return Seen(left_ms, newest_ms, context_ms, before.older + tally.fresh - 1)

    def connecting(self, attempt: int) -> None:
        """An attempt begins."""
        self.story.connecting(attempt, self._shell.wall_ms())
        self._shell.changed()

    def happened(self, effects: list[Effect]) -> None:
        """The session took in a message."""
        rules = self.story.happened(effects, self._shell.wall_ms())
        self._shell.take(effects, rules)

    def malformed(self, why: str) -> None:
        """A message could not be read; the next one will show whether it is missed."""
        self.story.malformed += 1
        self.story.detail = why
        self._shell.changed()

    def disconnected(self, end: Disconnection, wait_ms: int) -> None:
        """An attempt ended; where only the WebSocket is refused, lines come by polling."""
        rules = self.story.disconnected(
            end.reason, end.code, wait_ms, final=end.final, now_ms=self._shell.wall_ms()
        )
        if end.is_refused and not end.final and not self.story.is_polling:
            self.polling.poll_now()
        self._shell.take([], rules)

    async def polled(self, effects: list[Effect]) -> None:
        """An answer to a poll was taken in; what it has to say goes over the WebSocket."""
        self.happened(effects)
        await self.ready()
        if any(isinstance(effect, SendMessage) for effect in effects):
            await self.connection.send(effects)

    def round_ended(self, failure: str | None, *, brought: bool) -> None:
        """A round of polling is over."""
        if brought and not self.session.is_welcomed:
            self._shell.take([], self.story.polled(failure, self._shell.wall_ms()))

    async def _learn_group(self) -> None:
        """Which log group it is, where the forwarder serves exactly one."""
        with contextlib.suppress(HttpFailure, TimeoutError, msgspec.DecodeError):
            async with asyncio.timeout(GROUP_S):
                status, body = await self.getter.get("/v1/groups")
            names = msgspec.json.decode(body, type=list[str]) if status == HTTPStatus.OK else []
            if len(names) == 1:
                self.group = names[0]

    async def ready(self) -> None:
        """Returns once more lines can be taken."""
        await self._shell.ready()

    async def run(self) -> None:
        """Connect and poll until the forwarder says not to come back, or this is cancelled."""
        if self.group is None and self.spec.awaits_group:
            await self._learn_group()
        tasks = [asyncio.create_task(self.polling.run())]
        if self.group is None:
            tasks.append(asyncio.create_task(self._learn_group()))
        try:
            await self.connection.run()
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome
