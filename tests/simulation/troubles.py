"""Troubles of a run: one method each, selected by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.lies import LIES
from tests.simulation.plan import FILTERS, STREAMS

if TYPE_CHECKING:
    from tests.simulation.viewer import Viewer
    from tests.simulation.world import World


class Saboteur:
    """Injects the troubles of a world's plan at random."""

    def __init__(self, world: World) -> None:
        """Act on ``world``."""
        self.world = world

    def act(self) -> None:
        """Inject at most one trouble of the plan."""
        random = self.world.random
        if random.random() > 0.18:
            return
        trouble = random.choice(self.world.plan.troubles)
        if self.world.lies is not None and trouble in LIES:
            self.world.lies.until[trouble] = self.world.now + random.choice((0, 500, 5_000))
        method = getattr(self, "_" + trouble.replace(" ", "_"), None)
        if method is not None:
            self.world.trace.append(f"{self.world.now} {trouble}")
            method()

    def _linked(self) -> list[Viewer]:
        return [viewer for viewer in self.world.viewers if viewer.link is not None]

    def _cut(self) -> None:
        for viewer in self._linked():
            if self.world.random.random() < 0.7:
                self._pull(viewer)
                viewer.closed(self.world.now, self.world.random.choice((0, 500, 3_000)))

    def _half_open(self) -> None:
        for viewer in self._linked():
            self._pull(viewer)

    def _pull(self, viewer: Viewer) -> None:
        assert viewer.link is not None
        viewer.link.cut()
        if self.world.forwarder is not None and self.world.random.random() < 0.8:
            self.world.forwarder.disconnect(viewer.link.number)

    def _drop(self) -> None:
        self.world.toxics.drop = self.world.random.choice((0.0, 0.1, 0.4))

    def _duplicate(self) -> None:
        self.world.toxics.duplicate = self.world.random.choice((0.0, 0.2, 0.5))

    def _reorder(self) -> None:
        self.world.toxics.reorder = self.world.random.choice((0.0, 0.2, 0.6))

    def _drop_up(self) -> None:
        self.world.toxics.drop_up = self.world.random.choice((0.0, 0.3, 0.9))

    def _restart(self) -> None:
        self._kill()

    def _kill(self) -> None:
        """Kill the forwarder; it restarts a little later."""
        if self.world.forwarder is None:
            return
        for link in self.world.links.values():
            link.cut()
        for viewer in self._linked():
            viewer.closed(self.world.now, self.world.random.choice((0, 500, 3_000)))
        self.world.forwarder = None
        self.world.down_until = self.world.now + self.world.random.choice((0, 300, 4_000))

    def _rollback(self) -> None:
        if self.world.random.random() < 0.5 or not self.world.copies:
            self.world.copies.append(self.world.journal.copy())
            return
        self._kill()
        self.world.journal = self.world.random.choice(self.world.copies).copy()
        self.world.journal_is_intact = False

    def _journal_lost(self) -> None:
        if self.world.random.random() < 0.4:
            self._kill()
            self.world.journal = self.world.new_journal()
            self.world.journal_is_intact = False

    def _retention(self) -> None:
        if self.world.forwarder is not None:
            self.world.forwarder.retain_ms = self.world.random.choice((1_000, 6_000))

    def _stream_deleted(self) -> None:
        if self.world.random.random() < 0.3 and len(self.world.live_streams) > 1:
            stream = self.world.random.choice(self.world.live_streams)
            self.world.cloudwatch.delete_stream(stream, self.world.now)
            if self.world.random.random() < 0.5:
                self.world.live_streams.remove(stream)

    def _flap(self) -> None:
        """Hide a stream's events around some time for a while."""
        random = self.world.random
        stream = random.choice(STREAMS)
        middle = self.world.now - random.choice((0, 500, 5_000))
        width = random.choice((500, 3_000, 20_000))
        span = (self.world.now, self.world.now + random.choice((300, 2_000, 6_000)))
        for one in self.world.cloudwatch.stored:
            if one.event.stream == stream and abs(one.event.timestamp - middle) <= width:
                one.hidden.append(span)

    def _ahead(self) -> None:
        """Hide the events stamped ahead of the clock for a while, or alter their texts."""
        now = self.world.now
        span = (now, now + self.world.random.choice((2_000, 6_000)))
        for one in self.world.cloudwatch.stored:
            if one.event.timestamp <= now:
                continue
            if "altered" in self.world.plan.troubles:
                one.masked.append(now)
            else:
                one.hidden.append(span)

    def _break_off(self) -> None:
        if self.world.forwarder is not None and self.world.forwarder.tasks:
            self.world.forwarder.break_off(
                self.world.random.choice(self.world.forwarder.tasks), self.world.now
            )

    def _viewer_crash(self) -> None:
        viewer = self.world.random.choice(self.world.viewers)
        if self.world.random.random() < 0.6:
            self.world.saved[viewer.name] = viewer.save()
            return
        if viewer.link is not None:
            self._pull(viewer)
        viewer.crash(self.world.saved.get(viewer.name))
        viewer.retry_at = self.world.now + self.world.random.choice((0, 500, 3_000))

    def _refilter(self) -> None:
        """Restart a viewer with another filter."""
        viewer = self.world.random.choice(self.world.viewers)
        if viewer.link is not None:
            self._pull(viewer)
        saved = viewer.save()
        viewer.wanted = self.world.random.choice(FILTERS)
        viewer.crash(saved)
        viewer.retry_at = self.world.now + self.world.random.choice((0, 500))

    def _gap(self) -> None:
        """Delete events that were never scanned, and declare the gap."""
        if self.world.forwarder is None or self.world.random.random() < 0.5:
            return
        through = self.world.now - self.world.random.choice((100, 4_000, 15_000))
        from_ = through - self.world.random.choice((0, 300, 2_000))
        stored = [one.event.id for one in self.world.cloudwatch.stored]
        # Spare events of saved journals: after a rollback nothing would explain their loss.
        journals = [self.world.journal, *self.world.copies]
        known = {one for journal in journals for one in journal.find(stored)}
        self.world.cloudwatch.expire(from_, through, known, self.world.now)
        self.world.forwarder.group.declare_gap(from_, through, "unrecoverable", "retention")
        self.world.forwarder.hub.progress()

    def _altered(self) -> None:
        """Mask some texts, or unmask masked ones."""
        random = self.world.random
        around = self.world.now - random.choice((0, 1_000, 8_000, 30_000))
        for one in self.world.cloudwatch.stored:
            if abs(one.event.timestamp - around) <= random.choice((0, 500, 5_000)):
                one.masked.append(self.world.now)

    def _shorten(self) -> None:
        """Shorten the retention, which deletes older events at once."""
        cloudwatch = self.world.cloudwatch
        kept = self.world.random.choice((30_000, 15_000, 6_000))
        if cloudwatch.retention_ms is None or kept < cloudwatch.retention_ms:
            cloudwatch.retention_ms = kept
            cloudwatch.keep_retention(self.world.now)

    def _log_group_recreated(self) -> None:
        if self.world.random.random() < 0.3:
            self.world.now += 1  # a group can't be recreated in the millisecond of its last event
            self.world.cloudwatch.recreate(self.world.now)
            self.world.journal_is_intact = False

    def _blocked(self) -> None:
        """Refuse WebSocket upgrades for a while, so that viewers poll."""
        self.world.blocked_until = self.world.now + self.world.random.choice((0, 5_000, 10_000))

    def _bit_rot(self) -> None:
        """Remove an event from a viewer's memory, or add one that was never written."""
        self.world.random.choice(self.world.viewers).rot(self.world.random)
