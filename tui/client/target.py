"""One target: its session, connection, polling and history, put together. A shell."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from common.http import HttpFailure
from tui.client.connection import (
    Address,
    Disconnection,
    ForwarderConnection,
    HttpGetter,
    TokenSource,
)
from tui.client.history import TargetHistory, TargetParts
from tui.client.polling import PollingLoop, PollPlan, RoundResult
from tui.client.saved import CONTEXT_LINES, Cursor, PreviousRun, SavedCursor, Subject
from tui.client.session import ViewerSession
from tui.client.status import JOIN_MS, Effect, Phase, SendMessage
from tui.lines.rows import Rule, time_of
from wire.query import Filter, History

GROUP_S: Final = 2
"""Timeout for learning the name of the one log group that a forwarder serves."""


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One target to watch: a log group of a forwarder, and which of its events."""

    url: str
    """The forwarder's ``ws://`` or ``wss://`` URL."""
    name: str = ""
    """The name on screen; the group or the URL where empty."""
    group: str | None = None
    """The log group; None where the forwarder serves exactly one."""
    filter: Filter = Filter()
    since: int | None = None
    """Start of the requested history, ms; None leaves it to the forwarder."""
    history: History = "newest"
    token: TokenSource = None
    identity: str = ""
    """Identifies the target from run to run, for its saved cursor; the URL where empty."""
    consumer: str = ""
    """The named consumer whose cursor is saved; empty: the screen's own."""
    cursor: Cursor | None = None
    """A cursor saved by an earlier run, from which to resume without that run's lines."""
    previous: PreviousRun | None = None
    """Which lines that run received; saved with its cursor."""
    region: str | None = None
    """The Region and account of the log group, where they are known, for JSON output."""
    account: str | None = None
    awaits_group: bool = True
    """Whether to wait for the log group's name before any line, as output prints it."""


class LineSource(msgspec.Struct, frozen=True):
    """Where a target's lines come from, for output."""

    name: str
    group: str | None
    region: str | None = None
    account: str | None = None

    @property
    def shown_name(self) -> str:
        """The name for a column of log groups: a URL only where the group is unknown."""
        return self.group or self.name if "://" in self.name else self.name


class EngineTarget:
    """One target's session with the connection and the polling that feed it.

    Args:
        number: The target's number, which its lines' keys hold.
        spec: What to watch.
        rule_numbers: Numbers the rules, so that no two of any target have the same key.
        on_effects: Called with effects of the session, and the rules that are new or changed.
        on_status: Called where only the status has changed.
        wait_until_ready: Lets other tasks run, and waits until more lines can be processed.
        steady_ms: A monotonic clock.
        rng: Source of the jitter.
        is_watched: Whether someone watches a screen, who should not wait for long.

    Attributes:
        group: The log group's name, once it is known.
        phase: Whether the target counts for what is verified.
        joined_ms: When it joined; None if it was there from the start.
        absent_ms: A time at which it did not exist yet; None if it was there from the start.
        is_listed: Whether it comes from a pattern, so that its end is not the viewer's.
    """

    def __init__(  # noqa: PLR0913 - one collaborator each
        self,
        number: int,
        spec: TargetSpec,
        *,
        rule_numbers: Iterator[int],
        on_effects: Callable[[list[Effect], Sequence[Rule]], None],
        on_status: Callable[[], None],
        wait_until_ready: Callable[[], Awaitable[None]],
        wall_ms: Callable[[], int],
        steady_ms: Callable[[], int],
        rng: random.Random,
        is_watched: bool,
    ) -> None:
        self.spec = spec
        self.group = spec.group
        self.phase: Phase = "here"
        self.joined_ms: int | None = None
        self.absent_ms: int | None = None
        self.is_listed = False
        self.session = ViewerSession(
            number,
            group=spec.group,
            event_filter=spec.filter,
            since=spec.since,
            history=spec.history,
            cursor=spec.cursor,
        )
        self.history = TargetHistory(number, self.session, rule_numbers, spec.previous)
        self._sending: asyncio.Task[None] | None = None
        self._on_effects = on_effects
        self._on_status = on_status
        self._wait_until_ready = wait_until_ready
        self._wall_ms = wall_ms
        address = Address(spec.url, spec.token)
        self.connection = ForwarderConnection(
            self.session,
            address,
            on_attempt=self._begin_attempt,
            on_effects=self._take_effects,
            on_malformed=self._count_malformed,
            on_end=self._end_attempt,
            wait_until_ready=wait_until_ready,
            now_ms=steady_ms,
            rng=rng,
            is_watched=is_watched,
        )
        self.getter = HttpGetter(address)
        self.polling = PollingLoop(
            PollPlan(self.session),
            self.getter,
            on_effects=self._take_polled,
            on_round_end=self._end_round,
            now_ms=wall_ms,
        )

    @property
    def source(self) -> LineSource:
        """Where its lines come from; an ARN is given as the name in it."""
        spec, group = self.spec, self.group
        if group is not None and group.startswith("arn:"):
            group = group.partition(":log-group:")[2]
        return LineSource(spec.name or group or spec.url, group, spec.region, spec.account)

    @property
    def parts(self) -> TargetParts:
        """What its status is made of."""
        spec, absent_ms = self.spec, self.absent_ms
        return TargetParts(
            spec.name,
            self.group,
            spec.url,
            self.session,
            self.history,
            self.phase,
            absent_ms,
            self.is_listed,
        )

    def update_phase(self, now_ms: int) -> None:
        """End joining with the first verification, or after a time without."""
        if self.phase != "joining":
            return
        is_verified = self.session.holdings.proof.complete_through is not None
        if is_verified or now_ms - (self.joined_ms or 0) > JOIN_MS:
            self.phase = "here"

    @property
    def is_reached(self) -> bool:
        """Whether the forwarder is or was connected; ``welcome`` has a timeout of its own."""
        history = self.history
        return history.was_connected or history.was_reached or self.session.is_open

    @property
    def saved(self) -> SavedCursor | None:
        """The cursor as it may be saved now; None before there is one."""
        cursor, since = self.session.cursor(), self.session.requested_since
        if cursor is None or since is None:
            return None
        spec = self.spec
        identity = spec.identity or spec.url
        subject = Subject(identity, spec.group, spec.filter, since, spec.consumer)
        return SavedCursor(subject, cursor, self._run_so_far())

    def _run_so_far(self) -> PreviousRun | None:
        """The lines that this run and the one it resumed have, for the next one."""
        tally = self.session.holdings.tally
        # If the cursor was not accepted, that run's lines have come again, and count here.
        before = self.spec.previous if tally.base else None
        left_ms = self._wall_ms()
        newest, first = tally.key_before_last(0), tally.key_before_last(CONTEXT_LINES)
        if newest is None or first is None:
            return None if before is None else msgspec.structs.replace(before, left_ms=left_ms)
        newest_ms, context_ms = time_of(newest), time_of(first)
        if before is None:
            older = max(0, len(tally) - 1 - CONTEXT_LINES)
            return PreviousRun(left_ms, newest_ms, context_ms, older)
        newest_ms = max(newest_ms, before.newest_ms)
        # That run's lines that were refetched are not new ones.
        if tally.fresh <= CONTEXT_LINES:
            context_ms = min(context_ms, before.context_ms)
            return PreviousRun(left_ms, newest_ms, context_ms, before.older)
        return PreviousRun(left_ms, newest_ms, context_ms, before.older + tally.fresh - 1)

    @property
    def can_read(self) -> bool:
        """Whether lines come from CloudWatch at present, as far as is known."""
        if (
            self.session.report.upstream_seen_ms is None
        ):  # of a forwarder that does not say it to pollers
            return self.history.is_polling
        problem = self.history.problem
        return self.history.hears_of_cloudwatch and not (problem and problem.code)

    @property
    def unread_reason(self) -> str:
        """Why no lines come, in one line; empty if they can."""
        if self.can_read:
            return ""
        problem = self.history.problem
        reason = self.history.detail if problem is None else problem.reason or problem.code
        return reason or f"{self.spec.url} does not answer"

    def extend(self, since: int) -> None:
        """Ask for history from an earlier time on."""
        effects = self.session.extend(since)
        if effects:
            self._sending = asyncio.create_task(self.connection.send_messages(effects))
        elif self.session.is_restricted:
            self.connection.reconnect_now()
        elif self.history.is_polling:
            self.polling.poll_now()

    # Events of the connection

    def _begin_attempt(self, attempt: int) -> None:
        self.history.attempt_began(attempt, self._wall_ms())
        self._on_status()

    def _take_effects(self, effects: list[Effect]) -> None:
        """Record the session's effects, and pass them on with the rules that follow."""
        self._on_effects(effects, self.history.take_effects(effects, self._wall_ms()))

    def _count_malformed(self, why: str) -> None:
        """Count a message that could not be decoded; the next one shows whether it is missing."""
        self.history.malformed += 1
        self.history.detail = why
        self._on_status()

    def _end_attempt(self, end: Disconnection, wait_ms: int) -> None:
        """Record the end; if only the WebSocket is refused, start polling."""
        self.history.was_reached |= end.is_cut
        rules = self.history.attempt_ended(
            end.reason, end.code, wait_ms, final=end.final, now_ms=self._wall_ms()
        )
        if end.is_refused and not end.final and not self.history.is_polling:
            self.polling.poll_now()
        self._on_effects([], rules)

    # Events of the polling

    async def _take_polled(self, effects: list[Effect]) -> None:
        self._take_effects(effects)
        await self._wait_until_ready()
        if any(isinstance(effect, SendMessage) for effect in effects):
            await self.connection.send_messages(effects)

    def _end_round(self, result: RoundResult) -> None:
        if result.fetched_lines and not self.session.is_welcomed:
            self._on_effects([], self.history.round_ended(result.failure, self._wall_ms()))

    async def _learn_group(self) -> None:
        """Ask for the log group's name, where the forwarder serves exactly one."""
        with contextlib.suppress(HttpFailure, TimeoutError, msgspec.DecodeError):
            async with asyncio.timeout(GROUP_S):
                status, body = await self.getter.get("/v1/groups")
            names = msgspec.json.decode(body, type=list[str]) if status == HTTPStatus.OK else []
            if len(names) == 1:
                self.group = names[0]

    async def run(self) -> None:
        """Connect and poll until the forwarder forbids reconnecting, or until cancelled."""
        if self.group is None and self.spec.awaits_group:
            await self._learn_group()
        tasks = [asyncio.create_task(self.polling.run())]
        if self.group is None:
            tasks.append(asyncio.create_task(self._learn_group()))
        try:
            await self.connection.run()
        finally:
            tasks += [] if self._sending is None else [self._sending]
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended
