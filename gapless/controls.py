"""The simulator's faults, switched over its control API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from gapless.errors import GaplessError
from gapless.http_client import RefusedError, request
from tui.controls import ControlsError

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
            GaplessError: as ``types``; or the fault is refused, in the simulator's words.

        """
        answer = request(f"{self._base}/faults", method="POST", body=dict(fault))
        return answer if isinstance(answer, dict) else {}

    def switch_off(self, name: str) -> bool:
        """Heal a fault; whether it was on. One that is over already is no error.

        Raises:
            GaplessError: as ``types``.

        """
        try:
            request(f"{self._base}/faults/{quote(name, safe='')}", method="DELETE")
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
        answer = request(f"{self._base}/heal", method="POST")
        return list(answer.get("healed", [])) if isinstance(answer, dict) else []

    def _list(self, path: str) -> list[dict[str, Any]]:
        answer = request(self._base + path)
        if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
            msg = f"{self._base}{path} answers with something else: is it a simulator?"
            raise GaplessError(msg)
        return answer


class SimulatorControls:
    """What the viewer's keys switch under ``demo``; keeps to ``tui.controls.Controls``."""

    def __init__(self, url: str) -> None:
        """``url`` is ``control`` of the simulator's ready line."""
        self._api = ControlApi(url)
        self._states: dict[str, bool] = {}

    @property
    def names(self) -> Sequence[str]:
        """The faults there are; empty until the first ``refresh`` or ``toggle``."""
        return tuple(self._states)

    @property
    def states(self) -> Mapping[str, bool]:
        """Which of them are on, as last heard."""
        return self._states

    async def toggle(self, name: str) -> bool:
        """Switch a fault, and say whether it is on now.

        Raises:
            ControlsError: the simulator did not answer, or refused.

        """
        await self.refresh()
        is_on = self._states.get(name, False)
        try:
            if is_on:
                await asyncio.to_thread(self._api.switch_off, name)
            else:
                await asyncio.to_thread(self._api.switch_on, {"type": name})
        except GaplessError as error:
            raise ControlsError(str(error)) from error
        await self.refresh()
        return self._states.get(name, False)

    async def refresh(self) -> None:
        """Hear again which faults there are and which of them are on.

        Raises:
            ControlsError: the simulator did not answer.

        """
        try:
            if not self._states:
                types = await asyncio.to_thread(self._api.types)
                self._states = {str(one["type"]): False for one in types}
            faults = await asyncio.to_thread(self._api.faults)
        except (GaplessError, KeyError) as error:
            raise ControlsError(str(error)) from error
        on = {one.get("name") for one in faults if one.get("on")}
        self._states = {name: name in on for name in self._states}
