"""The simulator behind a screen: keys switch its faults and scenarios, and it judges the screen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

from common.concurrency import in_thread
from common.errors import GaplessError, UsageError
from gapless.rehearsal.summary import one_or_more
from gapless.viewing.session_summary import session_course, session_lines
from simulator.client import ControlApi
from simulator.faults.base import DAY_MS
from tui.client.engine import Engine
from tui.lines.rows import Line
from tui.output.record import closing_entries, event_entry, record_header, verification_entries
from tui.screen.ports import (
    SCENARIO,
    ActiveSwitch,
    ControlsError,
    FaultField,
    ScenarioStatus,
    VerdictStatus,
)
from wire.codec import encode
from wire.record import Entry

UNJUDGED: Final = "unjudged"
"""Key of the reason that stands in place of a verdict."""

_WRONG: Final = {
    "duplicated": "duplicated",
    "misordered": "out of order",
    "unexpected": "unexpected",
    "altered": "altered",
    "marks_lied": "called complete too early",
}
"""Counts of a verdict that are errors at any time, and how the screen names them; losses are errors
once the faults have ended."""

SETTLE_MS: Final = 120_000
"""How long after a fault lines may still be missing: scans of the last hours repeat each minute."""

_END_STATES: Final = {"done": "done", "stopped": "stopped", "failed": "failed"}


def name_of(scenario: Mapping[str, Any]) -> str:
    """Return the switch of a scenario."""
    return f"{SCENARIO}{scenario.get('name')}"


def scenario_of(switch: str) -> str | None:
    """Return the scenario of a switch; None for a fault's."""
    return switch.removeprefix(SCENARIO) if switch.startswith(SCENARIO) else None


def scenario_status(scenario: Mapping[str, Any]) -> ScenarioStatus:
    """Describe a scenario for the screen."""
    state = str(scenario.get("state"))
    ends_s = int(scenario.get("ends_ms", 0)) / 1_000
    following = scenario.get("next") or {}
    progress = f"step {scenario.get('step')} of {scenario.get('steps')}"
    is_over = state in _END_STATES
    return ScenarioStatus(
        title=f"{name_of(scenario)}, seed {scenario.get('seed')}",
        progress=_END_STATES[state] if is_over else f"{progress}, {ends_s:.0f} s in all",
        now=str(scenario.get("error") or scenario.get("says") or scenario.get("doc") or ""),
        then=str(following.get("says", "")),
    )


def verdict_status(verdict: Mapping[str, Any], *, is_settled: bool) -> VerdictStatus:
    """Describe a verdict for the screen.

    ``is_settled``: whether every fault ended long enough ago for all lines to be here. Before that
    a missing line is no error, unless the viewer itself called its time complete.
    """
    if UNJUDGED in verdict:
        return VerdictStatus("", str(verdict[UNJUDGED]))
    lost, pending = verdict.get("lost", 0), verdict.get("pending", 0)
    gone = verdict.get("expired", 0) + verdict.get("vanished", 0)
    # Not the lines shown: some may be older than the start that was asked for, or not accepted yet.
    owed = verdict.get("owed", 0)
    counts = f"{max(0, owed - lost - pending - gone):,}/{owed:,}"
    if gone:
        counts += f" · {gone:,} deleted"
    wrong = [f"{verdict[one]:,} {_WRONG[one]}" for one in _WRONG if verdict.get(one)]
    if is_settled and lost:
        wrong.insert(0, f"{lost:,} lost")
    if wrong:
        return VerdictStatus("FAIL", f"{', '.join(wrong)} · {counts}")
    if lost:
        return VerdictStatus("WAIT", f"{counts} · {lost + pending:,} not here yet")
    if verdict.get("clean") is not True:
        return VerdictStatus("WAIT", f"{counts} · no line is shown yet")
    return VerdictStatus("PASS", f"{counts} · {pending:,} in flight" if pending else counts)


WAIT_MS: Final = 20_000
"""Longest that the simulator holds back its answer while nothing changes."""

COUNT_MS: Final = 2_000
"""The same while a fault is on: what it has affected grows without a change."""

RETRY_S: Final = 1.0
"""Pause before asking again if the simulator does not answer."""

GRACE_MS: Final = 15_000
"""How long an event may be in flight before a live screen without it counts as a loss.

On a busy machine the simulator's processes may stand still for seconds, and a line that comes then
was not lost.
"""

PAUSE_S: Final = 1.5
"""Shortest pause between two judgements."""

LOOK_S: Final = 0.25
"""Interval at which a change of the screen's state is noticed."""

PAUSE_FACTOR: Final = 9
"""The pause is at least this many times the last judgement: judging takes a tenth of the time."""

LINES_MAX: Final = 200_000
"""Screens with more lines are not judged, and say so: the simulator would have to read them all."""

SLICE_ROWS: Final = 500
"""Lines encoded at once: some milliseconds, so that keys are handled in between."""

TOXICITY: Final = "toxicity"

_SCHEDULE: Final = {
    "for_ms": "how long, 0 = as long as the fault itself lasts",
    "every_ms": "repeated after, 0 = once",
}
"""Fields of every fault that has no attribute of that name."""

_UNITS: Final = ("ms", "kbps", "bytes")
"""Units that names of attributes end with."""

SEED: Final = 1
"""Seed of scenarios that are started with a key."""


class SimulatorControls:
    """Switches faults and scenarios; implements ``tui.screen.ports.Controls``."""

    def __init__(self, url: str) -> None:
        """``url`` is ``control`` of the simulator's ready line."""
        self._api = ControlApi(url)
        self._titles: dict[str, str] = {}
        self._types: dict[str, Mapping[str, Any]] = {}
        self._late_connecting: set[str] = set()
        """Scenarios that begin before the viewer connects."""
        self._used: dict[str, dict[str, float]] = {}
        """Names of the switches that were used, the newest last, with the values of a form."""
        self._on: dict[str, list[str]] = {}
        """Names of the faults that were switched on and not healed, by type; replaced as a whole,
        since threads read it."""
        self._active: dict[str, ActiveSwitch] = {}
        """The state of each of them, likewise."""
        self._ended = threading.Event()
        self._scenario: dict[str, Any] = {}
        self._verdict: dict[str, Any] = {}
        self._fault_at_ms: int | None = None
        self._is_backfilled = False
        self._began_ms = time.time_ns() // 1_000_000

    @property
    def names(self) -> Sequence[str]:
        """The faults, then the scenarios; empty until the first ``refresh``."""
        return tuple(self._titles)

    @property
    def titles(self) -> Mapping[str, str]:
        """The description of each."""
        return self._titles

    @property
    def states(self) -> Mapping[str, bool]:
        """Which of them are in effect, as last reported."""
        active = self._active
        return {name: name in active and active[name].is_on for name in self._titles}

    @property
    def active(self) -> Mapping[str, ActiveSwitch]:
        """Those that are in effect or will be, as last reported."""
        return self._active

    @property
    def scenario(self) -> ScenarioStatus | None:
        """The scenario that runs, or ran last."""
        return scenario_status(self._scenario) if self._scenario else None

    @property
    def verdict(self) -> VerdictStatus | None:
        """The last verdict on this screen."""
        if not self._verdict:
            return None
        return verdict_status(self._verdict, is_settled=self._is_settled())

    def _is_settled(self) -> bool:
        """Whether the history is here, no fault is on, and none was for long enough."""
        if not self._is_backfilled:
            return False
        is_running = self._scenario.get("state") == "running"
        if self._on or is_running or self._fault_at_ms is None:
            return not (self._on or is_running)
        return time.time_ns() // 1_000_000 - self._fault_at_ms > SETTLE_MS

    def judge(self, record: bytes, age_ms: int = 0) -> None:
        """Have the simulator judge what the screen shows.

        ``age_ms``: how long ago the encoding of the record started.

        Raises:
            GaplessError: the simulator does not answer.
        """
        self._verdict = self._api.verdict(record, GRACE_MS + age_ms)

    def skip(self, reason: str) -> None:
        """Show the reason why the screen is not judged in place of the last verdict."""
        self._verdict = {UNJUDGED: reason}

    async def keep_judging(self, engine: Engine) -> None:
        """Have the screen judged every few seconds, until cancelled.

        A screen whose state has changed is judged sooner: beside RECONNECTING or LIVE nobody should
        read the verdict on the state before.
        """
        took_s = 0.0
        while True:
            await _pause(engine, took_s, max(PAUSE_S, PAUSE_FACTOR * took_s))
            reason = reason_to_skip(engine.timeline.lines, engine.timeline.evicted)
            if reason:
                self.skip(reason)
                continue
            began = time.monotonic()
            self._is_backfilled = engine.is_backfilled
            record = await _encode_record(engine)
            age_ms = round((time.monotonic() - began) * 1_000)
            # A simulator that does not answer now may answer the next time.
            with contextlib.suppress(GaplessError):
                await in_thread(partial(self.judge, record, age_ms))
            took_s = time.monotonic() - began

    async def summarise(self, engine: Engine, columns: int, *, ascii_only: bool) -> list[str]:
        """Judge the screen for the last time; return what to print about the session.

        Raises:
            GaplessError: the simulator does not answer.
        """
        record = await _encode_record(engine)
        reason = reason_to_skip(engine.timeline.lines, engine.timeline.evicted)
        if reason:
            self.skip(reason)
        else:
            await in_thread(partial(self.judge, record))
        log = await in_thread(self._api.fault_log)
        verdict = self.verdict
        course = session_course(log, record, self._began_ms, time.time_ns() // 1_000_000)
        line = "not judged" if verdict is None else verdict.line
        return session_lines(course, line, columns, ascii_only=ascii_only)

    def follow(self) -> Self:
        """Follow all changes, by other clients too, until ``close``.

        A daemon thread waits for them, so that the end need not wait for the simulator's answer.
        """
        threading.Thread(target=self._follow, name="faults", daemon=True).start()
        return self

    def close(self) -> None:
        """Follow changes no longer."""
        self._ended.set()

    @property
    def recent(self) -> Sequence[str]:
        """The switches that were used, the newest first."""
        return tuple(reversed(self._used))

    def fields(self, name: str) -> Sequence[FaultField]:
        """The values that a fault can be switched on with; those of the last time, or defaults."""
        kind = self._types.get(name)
        if kind is None:
            return ()
        last = self._used.get(name, {})
        return [field._replace(value=last.get(field.name, field.value)) for field in _fields(kind)]

    async def switch_on(self, name: str, values: Mapping[str, float]) -> None:
        """Switch a fault on with these values of its fields.

        Raises:
            ControlsError: the simulator did not answer, or refused.
        """
        own = {str(one["name"]) for one in self._types[name]["attributes"]}
        schedule = {one: int(values[one]) for one in _SCHEDULE if one in values and one not in own}
        request = {
            "type": name,
            "toxicity": values.get(TOXICITY),
            "attributes": {one: int(value) for one, value in values.items() if one in own},
            "schedule": {one: value for one, value in schedule.items() if value},
        }
        try:
            await in_thread(partial(self._api.switch_on, request))
        except GaplessError as error:
            raise ControlsError(str(error)) from error
        self._note_used(name, values)
        await self.refresh()

    async def heal(self) -> None:
        """Stop the scenario that runs, and heal every fault.

        Raises:
            ControlsError: the simulator did not answer.
        """
        try:
            # Stopping heals as well; a scenario that went on would switch its faults on again.
            if self._scenario.get("state") == "running":
                with contextlib.suppress(UsageError):  # it has ended meanwhile
                    await in_thread(self._api.stop_scenario)
            await in_thread(self._api.heal)
        except GaplessError as error:
            raise ControlsError(str(error)) from error
        await self.refresh()

    def _note_used(self, name: str, values: Mapping[str, float]) -> None:
        self._used[name] = {**self._used.pop(name, {}), **values}

    async def toggle(self, name: str) -> bool:
        """Switch a fault or scenario; return whether it is on now.

        Raises:
            ControlsError: the simulator did not answer, or refused.
        """
        await self.refresh()
        on = tuple(self._on.get(name, ()))  # changes from here on are those of this call
        try:
            await in_thread(partial(self._switch, name, on))
        except GaplessError as error:
            raise ControlsError(str(error)) from error
        self._note_used(name, {})
        await self.refresh()
        return name in self._on

    def _switch(self, name: str, on: Sequence[str]) -> None:
        """Switch off the faults with these names; without any, switch it on."""
        scenario = scenario_of(name)
        if scenario is not None and on:
            self._api.stop_scenario()
        elif scenario in self._late_connecting:
            # Its texts would contradict the screen, which is connected.
            msg = (
                f"in {scenario} the viewer connects after the start, and this one is connected: "
                f"quit, and run gapless demo --scenario {scenario}"
            )
            raise GaplessError(msg)
        elif scenario is not None:
            self._api.run_scenario(scenario, SEED)
        elif on:
            for one in on:
                self._api.switch_off(one)
        else:
            self._api.switch_on({"type": name})

    async def refresh(self) -> None:
        """Read again which faults exist and which are on.

        Raises:
            ControlsError: the simulator did not answer.
        """
        try:
            await in_thread(partial(self._update, None, 0))
        except GaplessError as error:
            raise ControlsError(str(error)) from error

    def _follow(self) -> None:
        seq: int | None = None
        while not self._ended.is_set():
            try:
                seq = self._update(seq, COUNT_MS if any(self.states.values()) else WAIT_MS)
            except GaplessError:
                # The viewer goes on without it; opening the fault panel shows the error.
                seq = None
                self._ended.wait(RETRY_S)

    def _update(self, after: int | None, wait_ms: int) -> int | None:
        """Read the active faults once they differ from state ``after``; return the new number."""
        if not self._titles:
            types = self._api.types()
            titles = {str(one.get("type")): str(one.get("meaning", "")) for one in types}
            described = self._api.scenarios()
            scenarios = {name_of(one): str(one.get("doc", "")) for one in described}
            self._late_connecting = {
                str(one.get("name"))
                for one in described
                if (one.get("setup") or {}).get("connect_after_ms")
            }
            self._types = {str(one.get("type")): one for one in types}
            self._titles = titles | scenarios
        answer = self._api.changes(after, wait_ms)
        on: dict[str, list[str]] = {}
        for one in answer["faults"]:
            on.setdefault(str(one.get("type")), []).append(str(one.get("name")))
        active = {kind: _active(kind, answer["faults"], self._types.get(kind, {})) for kind in on}
        self._scenario = answer.get("scenario") or {}
        self._fault_at_ms = answer.get("fault_at_ms")
        if self._scenario.get("state") == "running":
            on[name_of(self._scenario)] = [name_of(self._scenario)]
            active[name_of(self._scenario)] = ActiveSwitch()
        self._on, self._active = on, active
        seq = answer.get("seq")
        return seq if isinstance(seq, int) else None


def _active(
    kind: str, faults: Iterable[Mapping[str, Any]], described: Mapping[str, Any]
) -> ActiveSwitch:
    """The state of the faults of one type: in effect if one of them is, since the earliest."""
    own = [one for one in faults if one.get("type") == kind]
    since = [one["since_ms"] for one in own if one.get("since_ms") is not None]
    return ActiveSwitch(
        is_on=any(one.get("on") for one in own),
        since_ms=min(since, default=None),
        turns=sum(int(one.get("turns", 0)) for one in own),
        settings=_settings(own[0], described) if len(own) == 1 else f"{len(own)} of this kind",
        affected=_affected(own, str(described.get("counts", ""))),
    )


def _affected(faults: Iterable[Mapping[str, Any]], counts: str) -> str:
    """How much the faults of a type have affected; its turns are shown anyway."""
    if counts in ("", "turns"):
        return ""
    count = sum(int(one.get("affected", 0)) for one in faults)
    return f"{count:,} {one_or_more(count, counts)}"


def _settings(fault: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    """What a fault was given that is not its default, as ``name=value``."""
    defaults = {one["name"]: one["default"] for one in described.get("attributes", ())}
    defaults |= {TOXICITY: described.get(TOXICITY, 1.0)}
    given = {**fault.get("attributes", {}), TOXICITY: fault.get(TOXICITY, defaults[TOXICITY])}
    given |= {name: value for name, value in fault.get("schedule", {}).items() if value}
    return " ".join(
        f"{name}={value:,}" for name, value in given.items() if value != defaults.get(name)
    )


def _fields(kind: Mapping[str, Any]) -> list[FaultField]:
    """The fields of a fault: its attributes, its share, and when it is on."""
    found = [
        FaultField(
            str(one["name"]),
            one["default"],
            one["minimum"],
            one["maximum"],
            str(one["meaning"]),
            next((unit for unit in _UNITS if str(one["name"]).endswith(f"_{unit}")), ""),
        )
        for one in kind["attributes"]
    ]
    share = float(kind.get("toxicity", 1.0))
    meaning = "share of connections or calls that it affects"
    found.append(FaultField(TOXICITY, share, 0, 1, meaning, is_share=True))
    known = {one.name for one in found}
    found += [
        FaultField(name, 0, 0, DAY_MS, meaning, "ms")
        for name, meaning in _SCHEDULE.items()
        if name not in known
    ]
    return found


def reason_to_skip(lines: int, evicted: int) -> str:
    """Return why a screen with these numbers of lines is not judged; empty if it is."""
    if lines > LINES_MAX:
        return f"not judged: more than {LINES_MAX:,} lines"
    return "not judged: some lines are not in memory" if evicted else ""


async def _pause(engine: Engine, least_s: float, most_s: float) -> None:
    """Pause for ``most_s``, or as soon as the state changes after ``least_s``."""
    state = engine.status.state
    ends_s = time.monotonic() + most_s
    await asyncio.sleep(least_s)
    while engine.status.state == state and time.monotonic() < ends_s:  # noqa: ASYNC110 - no event
        await asyncio.sleep(min(LOOK_S, max(0, ends_s - time.monotonic())))


async def _encode_record(engine: Engine) -> bytes:
    """Encode the record, a slice at a time.

    The marks come first, so that events which arrive meanwhile cannot make a mark wrong.
    """
    engine.merge()
    status, timeline = engine.status, engine.timeline
    written = [_lines([record_header(engine, status), *verification_entries(engine, status)])]
    key = -1
    while rows := timeline.rows(at := timeline.index_of(key + 1), at + SLICE_ROWS):
        key = rows[-1].key
        written.append(_lines([event_entry(engine, row) for row in rows if isinstance(row, Line)]))
        await asyncio.sleep(0)
    return b"".join([*written, _lines(closing_entries(engine, status))])


def _lines(entries: Iterable[Entry]) -> bytes:
    return b"".join(encode(entry) + b"\n" for entry in entries)
