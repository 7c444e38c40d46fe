"""Every mutant by its name; the modules that they break are imported when one is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, Literal, NamedTuple

Part = Literal["forwarder", "viewer"]


class Mutant(NamedTuple):
    """A broken program: the function of its name in ``forwarders`` or ``viewers`` breaks it."""

    part: Part
    name: str

    @property
    def _break(self) -> Callable[[], None]:
        module = import_module(f"tests.mutants.{self.part}s")
        function: Callable[[], None] = getattr(module, self.name.replace("-", "_"))
        return function

    @property
    def doc(self) -> str:
        """What is wrong with it, in one line."""
        return (self._break.__doc__ or "").partition("\n")[0]

    def apply(self) -> None:
        """Break this process."""
        self._break()

    def __str__(self) -> str:
        """For the name of a test."""
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
"""All of them."""
