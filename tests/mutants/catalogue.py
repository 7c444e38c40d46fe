"""All mutants by name; product modules are imported only when a mutant is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, Literal, NamedTuple

Part = Literal["forwarder", "viewer"]


class Mutant(NamedTuple):
    """A defect, applied by the function of its name in ``forwarders`` or ``viewers``."""

    part: Part
    name: str

    @property
    def _break(self) -> Callable[[], None]:
        module = import_module(f"tests.mutants.{self.part}s")
        function: Callable[[], None] = getattr(module, self.name.replace("-", "_"))
        return function

    @property
    def doc(self) -> str:
        """One-line description of the defect."""
        return (self._break.__doc__ or "").partition("\n")[0]

    def apply(self) -> None:
        """Apply the defect to this process."""
        self._break()

    def __str__(self) -> str:
        """The name, for test ids."""
        return self.name


_FORWARDERS: Final = (
    "cursor-plus-one",
    "checkpoint-at-now",
    "stops-at-empty-page",
    "truncated-is-empty",
    "marks-unfinished-scans",
    "dedups-by-timestamp",
    "dedups-by-message",
    "drops-when-full",
    "hides-holes",
    "sends-nothing",
    "marks-that-lie",
    "marks-begun-scans",
    "counts-wrong",
    "resumes-off-by-one",
    "ends-too-soon",
)
_VIEWERS: Final = (
    "shows-nothing",
    "appends-late-lines",
    "strips-text",
    "replaces-controls",
    "doubles-on-reconnect",
    "drops-on-reconnect",
    "trusts-blindly",
    "ignores-epoch",
    "trusts-held",
)

MUTANTS: Final[Mapping[str, Mutant]] = {
    one.name: one
    for one in (
        *(Mutant("forwarder", name) for name in _FORWARDERS),
        *(Mutant("viewer", name) for name in _VIEWERS),
    )
}
"""All mutants by name."""
