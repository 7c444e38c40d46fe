"""Pure: a scenario as the screen tells it, from what the control API says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.screen.controls import SCENARIO, Story

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


def story_of(scenario: Mapping[str, Any], verdict: Mapping[str, Any]) -> Story:
    """What is told of a scenario, and of the last verdict about this screen."""
    state = str(scenario.get("state"))
    ends_s = int(scenario.get("ends_ms", 0)) / 1_000
    following = scenario.get("next") or {}
    progress = f"step {scenario.get('step')} of {scenario.get('steps')}"
    is_over = state in _ENDS
    return Story(
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
