"""Client of the simulator's control API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from common.errors import GaplessError, UsageError
from common.http import TIMEOUT_S, HttpStatusError, request

VERDICT_TIMEOUT_S: Final = 600.0
"""A record of a million events takes a while to be judged."""

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
        except HttpStatusError as error:
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
        except HttpStatusError as error:
            # What the simulator says is for a person; where it says it, is not.
            if error.status == _BAD_REQUEST and error.detail:
                raise UsageError(error.detail) from error
            raise

    def _list(self, path: str) -> list[dict[str, Any]]:
        answer = self._ask(path)
        if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
            msg = f"{self._base}{path} answers with something else: is it a simulator?"
            raise GaplessError(msg)
        return answer
