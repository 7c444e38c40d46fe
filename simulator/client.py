"""Client of the simulator's control API.

Every call raises GaplessError where the simulator does not answer, or something else does, and
UsageError, in the simulator's words, where it refuses the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from common.errors import GaplessError, UsageError
from common.http import TIMEOUT_S, HttpStatusError, request

VERDICT_TIMEOUT_S: Final = 600.0
"""Judging the record of a million events takes a while."""

SWITCH_TIMEOUT_S: Final = 60.0
"""A fault may have to wait for those before it, and then takes up to 20 s itself."""

_BAD_REQUEST: Final = 400
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404


class ControlApi:
    """Client of one simulator's control API; each call blocks the calling thread."""

    def __init__(self, url: str) -> None:
        """``url`` is ``control`` of the simulator's ready line."""
        self._base = url.rstrip("/") + "/simulator"

    def types(self) -> list[dict[str, Any]]:
        """Every fault that can be switched on: type, meaning, attributes."""
        return self._list("/types")

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on or scheduled."""
        return self._list("/faults")

    def fault_log(self) -> dict[str, Any]:
        """What was switched and when, with the simulator's setup."""
        return self._object("/log")

    def switch_on(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        """Switch a fault on: ``{"type", "name", "toxicity", "attributes", "schedule"}``."""
        return self._object("/faults", "POST", body=dict(fault), timeout_s=SWITCH_TIMEOUT_S)

    def switch_off(self, name: str) -> bool:
        """Heal a fault, and return whether it was on."""
        try:
            self._ask(f"/faults/{quote(name, safe='')}", "DELETE", timeout_s=SWITCH_TIMEOUT_S)
        except HttpStatusError as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        return True

    def heal(self) -> list[str]:
        """Heal every fault, and return the names of those that were on."""
        answer = self._object("/heal", "POST", timeout_s=SWITCH_TIMEOUT_S)
        return list(answer.get("healed", []))

    def changes(self, after: int | None, wait_ms: int = 0) -> dict[str, Any]:
        """The current state, with ``seq`` and ``faults``; waits while ``seq`` is ``after``."""
        query = f"?wait_ms={wait_ms}" + ("" if after is None else f"&after={after}")
        answer = self._object(f"/changes{query}", timeout_s=TIMEOUT_S + wait_ms / 1_000)
        if not isinstance(answer.get("faults"), list):
            msg = f"{self._base}/changes answers with something else: is it a simulator?"
            raise GaplessError(msg)
        return answer

    def scenarios(self) -> list[dict[str, Any]]:
        """Every scenario that can be run."""
        return self._list("/scenarios")

    def run_scenario(self, name: str, seed: int, speed: float = 1.0) -> dict[str, Any]:
        """Start a scenario, and return its state."""
        body = {"seed": seed, "speed": speed}
        return self._object(f"/scenarios/{quote(name, safe='')}", "POST", body=body)

    def run_script(self, script: str, path: str, seed: int, speed: float = 1.0) -> dict[str, Any]:
        """Start the scenario of a file with that text and path, and return its state."""
        body = {"script": script, "path": path, "seed": seed, "speed": speed}
        return self._object("/scenario", "POST", body=body)

    def scenario(self) -> dict[str, Any]:
        """State of the scenario that runs or ran last; empty before the first."""
        return self._object("/scenario")

    def stop_scenario(self) -> None:
        """Stop the running scenario, and heal every fault."""
        self._ask("/scenario", "DELETE", timeout_s=SWITCH_TIMEOUT_S)

    def register_viewer(self, pid: int) -> None:
        """Let faults kill a viewer process."""
        self._ask("/viewers", "POST", body={"pid": pid})

    def stop_writing(self) -> bool:
        """Stop the executions' writing, and return whether everything is written by now."""
        return self._object("/workload", "POST", body={"running": False}).get("idle") is True

    def verdict(self, record: bytes, grace_ms: int = 0) -> dict[str, Any]:
        """Judge a viewer's record; events that became visible within the grace may be missing."""
        path = f"/verdict?grace_ms={grace_ms}"
        return self._object(path, "POST", raw=record, timeout_s=VERDICT_TIMEOUT_S)

    def _ask(self, path: str, method: str = "GET", **sent: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            return request(self._base + path, method=method, **sent)
        except HttpStatusError as error:
            # The simulator's own words are for a person, the URL around them is not.
            if error.status in (_BAD_REQUEST, _CONFLICT) and error.detail:
                raise UsageError(error.detail) from error
            raise

    def _object(self, path: str, method: str = "GET", **sent: Any) -> dict[str, Any]:  # noqa: ANN401
        answer = self._ask(path, method, **sent)
        return answer if isinstance(answer, dict) else {}

    def _list(self, path: str) -> list[dict[str, Any]]:
        answer = self._ask(path)
        if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
            msg = f"{self._base}{path} answers with something else: is it a simulator?"
            raise GaplessError(msg)
        return answer
