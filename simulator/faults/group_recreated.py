"""``group_recreated``: the log group is deleted and made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.cloudwatch.levers import Lever
from simulator.faults.base import Cycle, LeverFault

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs


class GroupRecreatedLever(Lever):
    """Makes every log group anew."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Delete and make them, with their log streams and subscription filters."""
        # Imported in the stand-in's own process alone, where moto is.
        from simulator.cloudwatch.moto_logs import all_groups, make_anew  # noqa: PLC0415

        del logs, now_ms
        for group in all_groups() if self.hits() else ():
            make_anew(group)


class GroupRecreated(LeverFault):
    """Deletes the log groups with everything in them, and makes them anew, empty.

    Log streams and subscription filters are made anew as well, so that whoever writes goes on.
    Healing brings nothing back.

    ``toxicity`` is the chance of each time to happen.

    A correct system goes on with what is written now; what it had read before it keeps, and what
    it had not is gone without a trace that anybody could find.

    """

    type = "group_recreated"
    lever = GroupRecreatedLever

    def cycle(self) -> Cycle:
        """An instant."""
        return Cycle(on_ms=0)
