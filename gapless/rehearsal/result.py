"""The result of a rehearsal, as a line, as JSON and as a report for a ticket. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from common.text import format_size, replace_unprintable
from gapless.rehearsal.viewer import Usage

UNSAFE: Final = ("duplicated", "misordered", "unexpected", "altered", "marks_lied")
"""Counts of a verdict that must be 0 at any time, also while faults are on."""

WRONG: Final = (*UNSAFE, "lost", "undeclared", "pending")
"""Counts of a verdict that must be 0 once every fault is healed."""

MARKS_MAX: Final = 3
"""Newest marks that a result lists."""


class RehearsalResult(msgspec.Struct, kw_only=True):
    """The result of one run; the fields are the keys of its JSON.

    Attributes:
        file: The scenario file that was played; empty for a built-in scenario.
        unsafe: What was wrong while faults were on.
        unsafe_ms: When, in ms from the scenario's start.
        looks: How often the viewer was judged while faults were on.
        converged_ms: From the last healing step until the viewer showed all of it as verified;
            None: not within ``bound_ms`` of the scenario's end.
        marks: The last marks that the viewer found equal.
        steps: The steps that were taken, as the control API reports them.
    """

    scenario: str
    seed: int
    speed: float
    version: str
    file: str = ""
    ok: bool = False
    error: str = ""
    expects: str = "clean"
    verdict: dict[str, Any] = {}
    unsafe: list[str] = []
    unsafe_examples: dict[str, list[str]] = {}
    unsafe_ms: int = 0
    looks: int = 0
    converged_ms: int | None = None
    bound_ms: int = 0
    ready_ms: int = 0
    scenario_ms: int = 0
    total_ms: int = 0
    forwarder: Usage | None = None
    forwarder_lives: int = 0
    viewer: Usage | None = None
    viewer_lives: int = 0
    marks: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []

    @property
    def replay(self) -> str:
        """The command that repeats this run, with the same steps at the same times."""
        speed = "" if self.speed == 1 else f" --speed {str(self.speed).removesuffix('.0')}"
        name = shlex.quote(self.file) if self.file else self.scenario
        return f"gapless scenario run {name} --seed {self.seed}{speed}"


def is_met(expects: str, verdict: Mapping[str, Any]) -> bool:
    """Return whether a verdict is clean, and has the losses that the scenario expects."""
    is_clean = verdict.get("clean") is True and not verdict.get("pending")
    return is_clean and (expects != "declared" or bool(verdict.get("expired")))


def findings(verdict: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the counts of ``names`` that are not 0, as text."""
    return [f"{verdict[name]} {name}" for name in names if verdict.get(name)]


def newest_marks(record: bytes) -> list[dict[str, Any]]:
    """Return the last marks that a viewer found equal, from its record."""
    lines = (json.loads(line) for line in record.split(b"\n") if line.startswith(b'{"type":"mark"'))
    return [mark for mark in lines if mark["equal"]][-MARKS_MAX:]


def line(one: RehearsalResult) -> str:
    """Format one run as a line."""
    head = f"{'clean ' if one.ok else 'FAILED'} {one.scenario:<20} seed {one.seed:<4}"
    wrong = [one.error] if one.error else [*one.unsafe, *findings(one.verdict, WRONG)]
    if one.converged_ms is None and not one.error:
        wrong.append(f"not converged within {one.bound_ms / 1_000:.0f} s")
    if one.ok:
        taken = findings(one.verdict, ("expired", "vanished"))
        facts = [f"{one.verdict['shown']} events, {one.verdict['marks']} marks", *taken]
        facts.append(f"converged in {(one.converged_ms or 0) / 1_000:.1f} s")
    else:
        facts = wrong or ["the verdict is not the one that the scenario expects"]
    return f"{head} {'; '.join(facts)}; {_used(one)}".rstrip("; ")


def _used(one: RehearsalResult) -> str:
    parts = [
        f"{name} {format_size(usage.peak_bytes)} {usage.cpu_s:.1f} s CPU"
        for name, usage in (("forwarder", one.forwarder), ("viewer", one.viewer))
        if usage is not None and usage.peak_bytes
    ]
    return ", ".join(parts)


def as_json(one: RehearsalResult) -> dict[str, Any]:
    """Return the result as a JSON object."""
    fields: dict[str, Any] = msgspec.to_builtins(one)
    return {**fields, "replay": one.replay}


def report(results: Sequence[RehearsalResult], *, in_json: bool) -> str:
    """Format a report to attach to a ticket: JSON, or Markdown."""
    if in_json:
        return json.dumps([as_json(one) for one in results], indent=1) + "\n"
    clean = sum(one.ok for one in results)
    head = f"# gapless scenarios: {clean} of {len(results)} clean\n"
    return "\n".join([head, *(_section(one) for one in results)])


def _section(one: RehearsalResult) -> str:
    title = f"## {one.scenario}, seed {one.seed}: {'clean' if one.ok else 'FAILED'}\n"
    rows = {
        "version": one.version,
        "replay": f"`{one.replay}`",
        "error": one.error,
        "while faults were on": f"{', '.join(one.unsafe) or 'clean'} in {one.looks} verdicts",
        "converged": "no" if one.converged_ms is None else f"{one.converged_ms} ms after healing",
        "bound": f"{one.bound_ms} ms after the end",
        "time": f"ready {one.ready_ms} ms, scenario {one.scenario_ms} ms, all {one.total_ms} ms",
        "used": _used(one),
        "processes started": f"forwarder {one.forwarder_lives}, viewer {one.viewer_lives}",
    }
    counts = {name: one.verdict[name] for name in one.verdict if name != "examples"}
    lines = [title, "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows.items() if value]
    lines += [f"| {name} | {value} |" for name, value in counts.items()]
    examples_of = {**one.verdict.get("examples", {})}
    for kind, examples in one.unsafe_examples.items():
        examples_of[f"{kind} after {one.unsafe_ms} ms"] = examples
    for kind, examples in examples_of.items():
        lines += [f"\n{kind}:\n", *(f"    {replace_unprintable(example)}" for example in examples)]
    lines += ["\nThe last marks that the viewer found equal:\n"]
    lines += [
        f"    through {mark['through']} count {mark['count']} digest {mark['digest']}"
        for mark in one.marks
    ]
    lines += ["\nSteps, in ms from the start:\n"]
    lines += [f"    {step['at_ms']:>7}  {_action(step)}" for step in one.steps]
    return "\n".join(lines) + "\n"


def _action(step: Mapping[str, Any]) -> str:
    fault = step.get("fault")
    if not fault:
        return f"{step['action']} {step.get('name', '')}".rstrip()
    values = " ".join(f"{name}={value}" for name, value in fault["attributes"].items())
    toxicity = "" if fault.get("toxicity") is None else f"toxicity={fault['toxicity']:g}"
    name = f"name={fault['name']}" if fault.get("name") else ""
    return " ".join(filter(None, ("inject", fault["type"], name, toxicity, values)))
