"""The cheapest detection of each mutant: a short situation and a kind of fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Kill(NamedTuple):
    """The situation that detects a mutant, and the fault that the oracle must count."""

    situation: str
    kind: str


KILLS: Final[Mapping[str, Kill]] = {
    "cursor-plus-one": Kill("late", "lost"),
    "checkpoint-at-now": Kill("late", "lost"),
    "stops-at-empty-page": Kill("empty-pages", "marks_lied"),
    "truncated-is-empty": Kill("cut-short", "marks_lied"),
    "marks-unfinished-scans": Kill("failing", "marks_lied"),
    "dedups-by-timestamp": Kill("crowd", "marks_lied"),
    "dedups-by-message": Kill("crowd", "marks_lied"),
    "drops-when-full": Kill("crowd", "lost"),
    "hides-holes": Kill("calm", "lost"),
    "sends-nothing": Kill("calm", "marks_lied"),
    "marks-that-lie": Kill("calm", "marks_lied"),
    "marks-begun-scans": Kill("calm", "marks_lied"),
    "counts-wrong": Kill("calm", "unproved"),
    "resumes-off-by-one": Kill("cut-off", "lost"),
    "ends-too-soon": Kill("last-words", "undeclared"),
    "shows-nothing": Kill("late", "marks_lied"),
    "appends-late-lines": Kill("late", "misordered"),
    "strips-text": Kill("strange-lines", "altered"),
    "replaces-controls": Kill("strange-lines", "altered"),
    "doubles-on-reconnect": Kill("cut-off", "duplicated"),
    "drops-on-reconnect": Kill("cut-off", "lost"),
    "trusts-blindly": Kill("lossy", "marks_lied"),
    "ignores-epoch": Kill("journal-lost", "lost"),
    "trusts-held": Kill("journal-lost", "lost"),
}
"""Detection of every mutant, by its name."""

TRIES: Final[Mapping[str, int]] = {"ends-too-soon": 5}
"""Attempts allowed for mutants that are detected only by chance: ``ends-too-soon`` needs the last
event of an execution to become visible first, one in seven runs. All others have one attempt."""
