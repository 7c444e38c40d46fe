"""The simulator's faults, switched over its control API.

Pure: a scenario as the screen tells it, from what the control API says.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from common.errors import GaplessError
from simulator.client import ControlApi
from tui.screen.ports import SCENARIO, ControlsError, ScenarioStatus

UNJUDGED: Final = "unjudged"
"""In a verdict's place: why there is none."""

_WRONG: Final = (
    "lost",
    "undeclared",
    "duplicated",
    "misordered",
    "unexpected",
    "altered",
    "marks_lied",
)
_ENDS: Final = {"done": "over", "stopped": "stopped", "failed": "failed"}


def name_of(scenario: Mapping[str, Any]) -> str:
    """The switch of a scenario."""
    return f"{SCENARIO}{scenario.get('name')}"


def scenario_of(switch: str) -> str | None:
    """The scenario of a switch; None where it is a fault's."""
    return switch.removeprefix(SCENARIO) if switch.startswith(SCENARIO) else None


def scenario_status(scenario: Mapping[str, Any], verdict: Mapping[str, Any]) -> ScenarioStatus:
    """What is told of a scenario, and of the last verdict about this screen."""
    state = str(scenario.get("state"))
    ends_s = int(scenario.get("ends_ms", 0)) / 1_000
    following = scenario.get("next") or {}
    progress = f"step {scenario.get('step')} of {scenario.get('steps')}"
    is_over = state in _ENDS
    return ScenarioStatus(
        title=f"{name_of(scenario)}, seed {scenario.get('seed')}",
        progress=_ENDS[state] if is_over else f"{progress}, {ends_s:.0f} s in all",
        now=str(scenario.get("error") or scenario.get("says") or scenario.get("doc") or ""),
        then=str(following.get("says", "")),
        verdict=_verdict(verdict),
        is_clean=verdict.get("clean") is True,
    )


def _verdict(verdict: Mapping[str, Any]) -> str:
    if not verdict:
        return ""
    if UNJUDGED in verdict:
        return str(verdict[UNJUDGED])
    counts = f"{verdict.get('shown')} of {verdict.get('owed')} lines shown"
    wrong = [f"{verdict[name]} {name.replace('_', ' ')}" for name in _WRONG if verdict.get(name)]
    if verdict.get("pending"):
        counts += f", {verdict['pending']} on their way"
    return f"{counts}: {', '.join(wrong) or 'nothing is wrong'}"


WAIT_MS: Final = 20_000
"""How long the simulator may hold back an answer while nothing changes."""

RETRY_S: Final = 1.0
"""Between two attempts at hearing of changes, where the simulator does not answer."""

GRACE_MS: Final = 5_000
"""An event may be on its way for so long without being called lost, on a screen that is live."""

SEED: Final = 1
"""Of scenarios that are begun with a key."""


class SimulatorControls:
    """What the viewer's keys switch under ``demo``; keeps to ``tui.screen.ports.Controls``."""

    def __init__(self, url: str) -> None:
        """``url`` is ``control`` of the simulator's ready line."""
        self._api = ControlApi(url)
        self._titles: dict[str, str] = {}
        self._on: dict[str, list[str]] = {}
        """The names of the faults that are on, by type; replaced as a whole, never changed."""
        self._ended = threading.Event()
        self._scenario: dict[str, Any] = {}
        self._verdict: dict[str, Any] = {}

    @property
    def names(self) -> Sequence[str]:
        """The faults there are, then the scenarios; empty until the first ``refresh``."""
        return tuple(self._titles)

    @property
    def titles(self) -> Mapping[str, str]:
        """What each of them does."""
        return self._titles

    @property
    def states(self) -> Mapping[str, bool]:
        """Which of them are on, as last heard."""
        on = self._on
        return {name: name in on for name in self._titles}

    @property
    def scenario(self) -> ScenarioStatus | None:
        """The scenario that runs, or ran last."""
        return scenario_status(self._scenario, self._verdict) if self._scenario else None

    def judge(self, record: bytes, age_ms: int = 0) -> None:
        """Have what the screen shows judged, for ``scenario``.

        Args:
            record: What it shows.
            age_ms: How long ago it was begun to be written.

        Raises:
            GaplessError: the simulator does not answer.

        """
        self._verdict = self._api.verdict(record, GRACE_MS + age_ms)

    def leave_off(self, why: str) -> None:
        """The screen is not judged; ``scenario`` says why, instead of what was true before."""
        self._verdict = {UNJUDGED: why}

    def follow(self) -> Self:
        """Hear of every change as it happens, whoever makes it, until ``close``.

        A daemon thread waits: nobody has to wait for the simulator's answer at the end.
        """
        threading.Thread(target=self._follow, name="faults", daemon=True).start()
        return self

    def close(self) -> None:
        """Hear of nothing more."""
        self._ended.set()

    async def toggle(self, name: str) -> bool:
        """Switch a fault, and say whether it is on now.

        Raises:
            ControlsError: the simulator did not answer, or refused.

        """
        await self.refresh()
        on = tuple(self._on.get(name, ()))  # what is heard meanwhile is what this call does
        try:
            await asyncio.to_thread(self._switch, name, on)
        except GaplessError as error:
            raise ControlsError(str(error)) from error
        await self.refresh()
        return name in self._on

    def _switch(self, name: str, on: Sequence[str]) -> None:
        """Switch off what is on under these names; where nothing is, switch it on."""
        scenario = scenario_of(name)
        if scenario is not None and on:
            self._api.stop_scenario()
        elif scenario is not None:
            self._api.run_scenario(scenario, SEED)
        elif on:
            for one in on:
                self._api.switch_off(one)
        else:
            self._api.switch_on({"type": name})

    async def refresh(self) -> None:
        """Hear again which faults there are and which of them are on.

        Raises:
            ControlsError: the simulator did not answer.

        """
        try:
            await asyncio.to_thread(self._hear, None, 0)
        except GaplessError as error:
            raise ControlsError(str(error)) from error

    def _follow(self) -> None:
        seq: int | None = None
        while not self._ended.is_set():
            try:
                seq = self._hear(seq, WAIT_MS)
            except GaplessError:
                # The viewer goes on without; who opens the panel is told why.
                seq = None
                self._ended.wait(RETRY_S)

    def _hear(self, after: int | None, wait_ms: int) -> int | None:
        """What is on, once it is not what it was at ``after``; the present number."""
        if not self._titles:
            types = self._api.types()
            titles = {str(one.get("type")): str(one.get("meaning", "")) for one in types}
            scenarios = {name_of(one): str(one.get("doc", "")) for one in self._api.scenarios()}
            self._titles = titles | scenarios
        told = self._api.changes(after, wait_ms)
        on: dict[str, list[str]] = {}
        for one in told["faults"]:
            if one.get("on"):
                on.setdefault(str(one.get("type")), []).append(str(one.get("name")))
        self._scenario = told.get("scenario") or {}
        if self._scenario.get("state") == "running":
            on[name_of(self._scenario)] = [name_of(self._scenario)]
        self._on = on
        seq = told.get("seq")
        return seq if isinstance(seq, int) else None
