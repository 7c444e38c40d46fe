"""``forwarder_crash``: the forwarder is killed, and comes back.

``viewer_crash``: viewers are killed, and are started again by who started them.

``disk_full``: the forwarder can write nothing any more.

``journal_lost``: the forwarder's journal is gone after a crash.

``journal_rolled_back``: the forwarder finds an earlier journal than the one it wrote.

``clock_jump``: the forwarder's wall clock jumps.
"""

from __future__ import annotations

from random import Random

from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Journal, Levers


class ForwarderCrash(Fault):
    """Kills the forwarder with SIGKILL at a random moment and starts it again; same journal.

    Attributes:
        within_ms: the moment is drawn from so many ms after the fault is switched on.
        down_ms: how long it stays down, counted from the latest such moment; 0 = until healed.
        every_ms: again that long after the last time; 0 = once.

    ``toxicity`` is the chance that it is killed, drawn anew each time.

    A correct viewer says at once that it is offline, and resumes at its cursor: the new epoch
    continues the old one's chain, and what was committed is not sent again.

    """

    type = "forwarder_crash"
    attributes = (
        Attribute("within_ms", 1_000, DAY_MS, "the moment is drawn from so many ms"),
        Attribute("down_ms", 2_000, DAY_MS, "how long it stays down, 0 = until healed"),
        Attribute("every_ms", 0, DAY_MS, "again after, 0 = once"),
    )

    def check(self) -> None:
        """``every_ms`` must leave time for all of it.

        Raises:
            SimulatorError: it does not.

        """
        within_ms, down_ms, every_ms = (self.values[one.name] for one in self.attributes)
        if every_ms and not 0 < within_ms + down_ms < every_ms:
            msg = f"every_ms={every_ms} must be above within_ms + down_ms, and down_ms above 0"
            raise SimulatorError(msg)

    def cycle(self) -> Cycle:
        """Until it is back."""
        on_ms = self.values["within_ms"] + self.values["down_ms"]
        return Cycle(on_ms if self.values["down_ms"] else None, self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Draw the moment."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        if rng.random() < self.toxicity:
            levers.programs.crash(self.name, rng.randint(0, self.values["within_ms"]), "kept")

    def stop(self, levers: Levers) -> None:
        """Start it again; healed before its moment, it is not killed."""
        levers.programs.restart(self.name, is_called_off=True)

    def end(self, levers: Levers) -> None:
        """Start it again."""
        levers.programs.restart(self.name, is_called_off=False)


class ViewerCrash(Fault):
    """Kills viewers with SIGKILL: those whose process ids were handed to the control API.

    Attributes:
        every_ms: again that long after the last time; 0 = once.

    ``toxicity`` is the share of them that it hits. Whoever started a viewer (a scenario) starts
    it again with the same arguments; the viewer on the screen of ``gapless demo`` is nobody's to
    kill, so that this is refused there.

    A correct viewer goes on at the cursor that it saved last: what comes after that is shown
    once, and nothing of it is missing.

    """

    type = "viewer_crash"
    attributes = (Attribute("every_ms", 0, DAY_MS, "again after, 0 = once"),)

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Kill."""
        levers.programs.kill_viewers(self.toxicity, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Nothing: whoever started them starts them again."""


class DiskFull(Fault):
    """Lets the forwarder's writes to files fail, by the limit that the kernel has for their size.

    Attributes:
        room_bytes: how much its journal may still grow; 0 = no write to any file succeeds.
        for_ms: how long; 0 = until healed.

    The error is EFBIG rather than ENOSPC, in the same system calls and to the same effect: that
    can be done to one process without being root, and without filling anybody's disk. It needs
    Linux. ``toxicity`` is the chance that it happens at all.

    A correct forwarder never sends what it could not commit and never says that it is complete;
    it says what is wrong and ends, or waits for room. When there is room again, and it was
    started again if it had ended, everything that was missed is there.

    """

    type = "disk_full"
    attributes = (
        Attribute("room_bytes", 0, 1 << 30, "how much the journal may still grow"),
        Attribute("for_ms", 0, DAY_MS, "how long, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``."""
        return Cycle(on_ms=self.values["for_ms"] or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Fill it."""
        if Random(f"{self.seed}/{turn}").random() < self.toxicity:  # noqa: S311 - a simulation
            levers.programs.fill_disk(self.name, self.values["room_bytes"])

    def stop(self, levers: Levers) -> None:
        """Make room."""
        levers.programs.free_disk(self.name)


class JournalLost(Fault):
    """Kills the forwarder with SIGKILL, takes its journal away, and starts it again.

    Attributes:
        down_ms: how long it stays down; 0 = until healed.

    ``toxicity`` is the chance that the journal is lost; else it is kept.

    A correct viewer is told (``rebased``) that its cursor means nothing any more, and is sent
    everything since its ``since`` anew: what it holds already is not doubled, nothing is lost.

    """

    type = "journal_lost"
    attributes = (Attribute("down_ms", 1_000, DAY_MS, "how long it stays down, 0 = until healed"),)

    def cycle(self) -> Cycle:
        """Until it is back."""
        return Cycle(on_ms=self.values["down_ms"] or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Kill it and take the journal."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        levers.programs.crash(self.name, 0, "lost" if rng.random() < self.toxicity else "kept")

    def stop(self, levers: Levers) -> None:
        """Start it again; healed before its moment, it is not killed."""
        levers.programs.restart(self.name, is_called_off=True)

    def end(self, levers: Levers) -> None:
        """Start it again."""
        levers.programs.restart(self.name, is_called_off=False)


class JournalRolledBack(Fault):
    """Copies the journal, kills the forwarder later, and starts it again with the copy.

    Attributes:
        back_ms: how old the copy is by then.
        down_ms: how long it stays down; 0 = until healed.

    ``toxicity`` is the chance that the copy is put back; else the journal is kept.

    A correct viewer whose cursor lies in the part that was lost is told so by the epochs' chain,
    is sent everything that is owed anew, and shows nothing twice; its cursor is never taken for
    another event that has got the same number since.

    """

    type = "journal_rolled_back"
    attributes = (
        Attribute("back_ms", 5_000, DAY_MS, "how old the copy is that is put back"),
        Attribute("down_ms", 1_000, DAY_MS, "how long it stays down, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """Until it is back."""
        on_ms = self.values["back_ms"] + self.values["down_ms"]
        return Cycle(on_ms=on_ms if self.values["down_ms"] else None)

    def start(self, levers: Levers, turn: int) -> None:
        """Copy now, kill later."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        journal: Journal = "rolled_back" if rng.random() < self.toxicity else "kept"
        levers.programs.crash(self.name, self.values["back_ms"], journal)

    def stop(self, levers: Levers) -> None:
        """Start it again; healed before its moment, it is not killed."""
        levers.programs.restart(self.name, is_called_off=True)

    def end(self, levers: Levers) -> None:
        """Start it again."""
        levers.programs.restart(self.name, is_called_off=False)


class ClockJump(Fault):
    """Sets the forwarder's wall clock ahead, then back; CloudWatch and viewers keep the right one.

    Attributes:
        ahead_ms: how far ahead it is; 0 for a clock that is behind.
        behind_ms: how far behind it is.
        for_ms: how long; 0 = until healed. Healing is a jump, too, the other way.

    ``toxicity`` is the chance that it jumps at all.

    A correct system loses and doubles nothing: no cursor and no mark is made from the clock
    alone, a mark never claims what is still to come, and what is scanned reaches back far enough.
    A clock that is hours ahead may cost freshness for as long as it is wrong, not completeness.

    """

    type = "clock_jump"
    attributes = (
        Attribute("ahead_ms", 60_000, DAY_MS, "how far ahead"),
        Attribute("behind_ms", 0, DAY_MS, "how far behind"),
        Attribute("for_ms", 0, DAY_MS, "how long, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``."""
        return Cycle(on_ms=self.values["for_ms"] or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Jump."""
        if Random(f"{self.seed}/{turn}").random() < self.toxicity:  # noqa: S311 - a simulation
            offset_ms = self.values["ahead_ms"] - self.values["behind_ms"]
            levers.programs.set_clock(self.name, offset_ms)

    def stop(self, levers: Levers) -> None:
        """Jump back."""
        levers.programs.right_clock(self.name)
