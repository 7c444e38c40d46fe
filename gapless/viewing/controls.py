"""The simulator's faults, switched over its control API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import quote

from common.errors import GaplessError, UsageError
from common.http import TIMEOUT_S, RefusedError, request
from gapless.viewing.telling import UNJUDGED, name_of, scenario_of, story_of
from tui.screen.controls import ControlsError, Story

WAIT_MS: Final = 20_000
"""How long the simulator may hold back an answer while nothing changes."""

RETRY_S: Final = 1.0
"""Between two attempts at hearing of changes, where the simulator does not answer."""

VERDICT_TIMEOUT_S: Final = 600.0
"""A record of a million events takes a while to be judged."""

GRACE_MS: Final = 5_000
"""An event may be on its way for so long without being called lost, on a screen that is live."""

SEED: Final = 1
"""Of scenarios that are begun with a key."""

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404


class ControlApi:
    """A client of one simulator's control API; every call is made in the calling thread."""

    def __init__(self, url: str) -> None:
        """``url`` is ``control`` of the simulator's ready line."""
        self._base = url.rstrip("/") + "/simulator"

    def types(self) -> list[dict[str, Any]]:
        """Every fault that there is: type, meaning, attributes.

        Raises:
            GaplessError: the simulator does not answer, or is none.

        """
        return self._list("/types")

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on or scheduled.

        Raises:
            GaplessError: as ``types``.

        """
        return self._list("/faults")

    def switch_on(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        """Switch a fault on: ``{"type", "name", "toxicity", "attributes", "schedule"}``.

        Raises:
            GaplessError: as ``types``.
            UsageError: the fault is refused, in the simulator's words.

        """
        answer = self._ask("/faults", "POST", dict(fault))
        return answer if isinstance(answer, dict) else {}

    def switch_off(self, name: str) -> bool:
        """Heal a fault; whether it was on. One that is over already is no error.

        Raises:
            GaplessError: as ``types``.

        """
        try:
            self._ask(f"/faults/{quote(name, safe='')}", "DELETE")
        except RefusedError as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        return True

    def heal(self) -> list[str]:
        """Heal all; the names of those that were on.

        Raises:
            GaplessError: as ``types``.

        """
        answer = self._ask("/heal", "POST")
        return list(answer.get("healed", [])) if isinstance(answer, dict) else []

    def changes(self, after: int | None, wait_ms: int = 0) -> dict[str, Any]:
        """What there is now, ``seq`` and ``faults`` for two; held back while ``seq`` is ``after``.

        Raises:
            GaplessError: as ``types``.

        """
        query = f"?wait_ms={wait_ms}" + ("" if after is None else f"&after={after}")
        answer = self._ask(f"/changes{query}", timeout_s=TIMEOUT_S + wait_ms / 1_000)
        if not isinstance(answer, dict) or not isinstance(answer.get("faults"), list):
            msg = f"{self._base}/changes answers with something else: is it a simulator?"
            raise GaplessError(msg)
        return answer

    def scenarios(self) -> list[dict[str, Any]]:
        """Every scenario that there is.

        Raises:
            GaplessError: as ``types``.

        """
        return self._list("/scenarios")

    def run_scenario(self, name: str, seed: int, speed: float = 1.0) -> dict[str, Any]:
        """Begin a scenario; how it stands.

        Raises:
            GaplessError: as ``types``, or there is none of that name.
            UsageError: it is refused, in the simulator's words.

        """
        body = {"seed": seed, "speed": speed}
        answer = self._ask(f"/scenarios/{quote(name, safe='')}", "POST", body)
        return answer if isinstance(answer, dict) else {}

    def scenario(self) -> dict[str, Any]:
        """How the scenario stands that runs, or ran last; empty before the first.

        Raises:
            GaplessError: as ``types``.

        """
        answer = self._ask("/scenario")
        return answer if isinstance(answer, dict) else {}

    def stop_scenario(self) -> None:
        """End the scenario that runs, and heal everything.

        Raises:
            GaplessError: as ``types``.

        """
        self._ask("/scenario", "DELETE")

    def hand_over(self, pid: int) -> None:
        """Let faults kill a viewer of ours.

        Raises:
            GaplessError: as ``types``.
            UsageError: it is no viewer, or none any more.

        """
        self._ask("/viewers", "POST", {"pid": pid})

    def silence(self) -> bool:
        """Let the executions fall silent; whether all that was to be written is written.

        Raises:
            GaplessError: as ``types``.

        """
        answer = self._ask("/workload", "POST", {"running": False})
        return isinstance(answer, dict) and answer.get("idle") is True

    def verdict(self, record: bytes, grace_ms: int = 0) -> dict[str, Any]:
        """Judge a viewer's record; what became visible within the grace may be missing.

        Raises:
            GaplessError: as ``types``.
            UsageError: it is no record, in the simulator's words.

        """
        path = f"/verdict?grace_ms={grace_ms}"
        answer = self._ask(path, "POST", raw=record, timeout_s=VERDICT_TIMEOUT_S)
        return answer if isinstance(answer, dict) else {}

    def _ask(
        self,
        path: str,
        method: str = "GET",
        body: Mapping[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
        raw: bytes | None = None,
    ) -> Any:  # noqa: ANN401 - whatever JSON gives
        try:
            url = self._base + path
            return request(url, method=method, body=body, raw=raw, timeout_s=timeout_s)
        except RefusedError as error:
            # What the simulator says is for a person; where it says it, is not.
            if error.status == _BAD_REQUEST and error.words:
                raise UsageError(error.words) from error
            raise

    def _list(self, path: str) -> list[dict[str, Any]]:
        answer = self._ask(path)
        if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
            msg = f"{self._base}{path} answers with something else: is it a simulator?"
            raise GaplessError(msg)
        return answer


class SimulatorControls:
    """What the viewer's keys switch under ``demo``; keeps to ``tui.screen.controls.Controls``."""

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
    def story(self) -> Story | None:
        """The scenario that runs, or ran last."""
        return story_of(self._scenario, self._verdict) if self._scenario else None

    def judge(self, record: bytes, age_ms: int = 0) -> None:
        """Have what the screen shows judged, for the story.

        Args:
            record: What it shows.
            age_ms: How long ago it was begun to be written.

        Raises:
            GaplessError: the simulator does not answer.

        """
        self._verdict = self._api.verdict(record, GRACE_MS + age_ms)

    def leave_off(self, why: str) -> None:
        """The screen is not judged; the story says why, instead of what was true before."""
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
