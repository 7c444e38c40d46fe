"""Checks what viewers show and claim against the ledger and the scans.

The judge knows every accepted event, its visibility, and what each scan returned. It trusts no
claim of the forwarder or a viewer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from common.ranges import RangeSet
from forwarder.config import ALLOWANCE_MS
from forwarder.ingest.alterations import has_first_text
from forwarder.ingest.retention import concerns
from forwarder.records import LogEvent
from tests.simulation.cloudwatch import first_text
from tui.client.status import EndStatus, MarkStatus
from tui.lines.rows import Line, is_altered, line_key
from wire.digest import event_digest
from wire.messages import ServerMessage, Welcome
from wire.query import Filter

if TYPE_CHECKING:
    from tests.simulation.cloudwatch import Stored
    from tests.simulation.forwarder import Forwarder, ScanRecord
    from tests.simulation.viewer import Viewer
    from tests.simulation.world import World

STARVED_MS = 30_000
"""Longest time without events on an open connection while events are missing."""


class Kind(StrEnum):
    """Kinds of fault."""

    LOST = "lost"
    """An event never arrives and is not declared lost."""
    DUPLICATED = "duplicated"
    """An event is shown twice."""
    ALTERED = "altered"
    """An event is shown with another content or position."""
    UNEXPECTED = "unexpected"
    """An event counts that was not written or not requested."""
    FALSE_GREEN = "false green"
    """The verified range exceeds what scans covered or the viewer holds."""
    FALSE_RED = "false red"
    """Viewer and forwarder disagree without a reason."""
    DISHONEST = "dishonest"
    """A connection's outcome (resumed or rebased) is wrong."""
    STARVED = "starved"
    """No events arrive on an open connection although some are missing."""
    NEVER_CONVERGES = "never converges"
    """A viewer does not converge within the bound after healing."""


class FaultError(AssertionError):
    """A fault of the system, of one ``kind``."""

    def __init__(self, kind: Kind, what: str) -> None:
        """Describe the fault."""
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class Judge:
    """Checks one run after every step and at its end."""

    def __init__(self, world: World) -> None:
        """Judge ``world``."""
        self.world = world
        self._backed = RangeSet()
        self._open: list[ScanRecord] = []
        self._looked_at = 0
        self._by_message: dict[str, Stored] = {}
        self._indexed = 0
        self._required: dict[tuple[int, Filter], frozenset[str]] = {}
        self._claimed: dict[str, int | None] = {}
        self.marks = 0

    # During the run

    def before(self, viewer: Viewer, message: ServerMessage) -> None:
        """Check a frame before the viewer handles it."""
        if isinstance(message, Welcome):
            self._judge_welcome(viewer, message)

    def after(self, viewer: Viewer) -> None:
        """Check the viewer's new lines and claims after it handled a frame."""
        for line in viewer.new_lines:
            self._judge_line(viewer, line)
        viewer.new_lines.clear()
        for mark in viewer.new_marks:
            self._judge_mark(viewer, mark)
        viewer.new_marks.clear()
        for end in viewer.new_ends:
            self._judge_end(viewer, end)
        viewer.new_ends.clear()

    def look(self) -> None:
        """Check that no viewer's verified time exceeds the range of complete scans."""
        for viewer in self.world.viewers:
            through, poller = viewer.complete_through, self.world.pollers[viewer.name]
            by_polling, poller.has_proved = poller.has_proved, False
            if through is None or self._claimed.get(viewer.name) == through:
                continue
            self._claimed[viewer.name] = through
            self._back()
            since = viewer.session.since
            end = None if since is None else self._backed.end_from(since)
            if end is None or through > end:
                what = f"{viewer.name} is verified to {through}, complete scans reach {end}"
                raise FaultError(Kind.FALSE_GREEN, what)
            if by_polling:
                self._judge_polled(viewer, since, through)

    def _judge_polled(self, viewer: Viewer, since: int | None, through: int) -> None:
        """Check a verified time by polling, which claims all scans that ended before its round."""
        began_at = self.world.pollers[viewer.name].began_at
        required: set[str] = set()
        for record in self.world.records:
            # Scans of another journal may have returned events that are hidden now.
            is_ours = record.epoch == viewer.session.epoch
            ended = is_ours and record.ended is not None and record.ended < began_at
            if ended and not self._failed(record):
                required |= self._required_by(record, viewer.wanted)
        missing = [
            one
            for one in required - viewer.good - viewer.had
            if (since or 0) <= self._by_message[one].event.timestamp <= through
            and not self._is_declared(viewer, self._by_message[one])
            and self._by_message[one].generation == self.world.cloudwatch.generation
        ]
        if missing:
            what = f"{viewer.name} polls, verified to {through}, without {missing[:5]}"
            raise FaultError(Kind.FALSE_GREEN, what)

    def _back(self) -> None:
        records = self.world.records
        fresh = [*self._open, *records[self._looked_at :]]
        self._looked_at = len(records)
        self._open = [record for record in fresh if record.is_open]
        for record in fresh:
            if record.ended is not None and not self._failed(record):
                self._backed.add(record.from_, self._covered(record))

    def _covered(self, record: ScanRecord) -> int:
        """The last millisecond that a successful scan proves."""
        return record.covered

    def _judge_line(self, viewer: Viewer, line: Line) -> None:
        if line.key in viewer.invented:
            return
        stored = self._find(line.message)
        if stored is None:
            raise FaultError(Kind.UNEXPECTED, f"{viewer.name} shows {line}, which was not written")
        event = stored.event
        if (event.timestamp, event.id, event.stream) != (line.timestamp, line.id, line.stream):
            raise FaultError(Kind.ALTERED, f"{viewer.name} shows {line} for {event}")
        if not viewer.wanted.matches(event.stream):
            raise FaultError(Kind.UNEXPECTED, f"{viewer.name} shows {line} against its filter")
        forwarder = self.world.forwarder
        if stored.masked and forwarder is not None:
            own = event_digest(line.id, line.timestamp, line.stream, line.message)
            row = forwarder.journal.find([line.id]).get(line.id)
            is_ours = viewer.session.epoch == forwarder.group.epoch
            if is_ours and row is not None and row.seq == line.seq and row.digest != own:
                what = f"{viewer.name} shows {line}, which was numbered with another text"
                raise FaultError(Kind.ALTERED, what)

    def _find(self, message: str) -> Stored | None:
        message, ledger = first_text(message), self.world.cloudwatch.ledger
        for stored in ledger[self._indexed :]:
            self._by_message[stored.event.message] = stored
        self._indexed = len(ledger)
        return self._by_message.get(message)

    def _judge_welcome(self, viewer: Viewer, welcome: Welcome) -> None:
        """Check that a resume is in the cursor's journal."""
        forwarder = self.world.forwarder
        if forwarder is None or welcome.epoch != forwarder.group.epoch:
            return
        if welcome.outcome == "resumed":
            rows = {row.seq: row.id for row in forwarder.journal.read_after(0, welcome.after)}
            for key in viewer.confirmed - viewer.invented:
                line = viewer.shown[key]
                if line.seq <= welcome.after and rows.get(line.seq) != line.id:
                    what = f"{viewer.name} was resumed in another journal: {line}"
                    raise FaultError(Kind.DISHONEST, what)
        elif welcome.outcome == "rebased" and self.world.journal_is_intact:
            raise FaultError(Kind.DISHONEST, f"{viewer.name} was rebased without a reason")

    def _judge_end(self, viewer: Viewer, end: EndStatus) -> None:
        """Checks that everything written before the end, and visible in time, was shown [11].

        An execution that continued after an end may end again: the viewer may receive the first
        end while the next is not discovered yet, so only events up to the first end must be there.
        """
        if not end.equal:
            return
        ledger = [
            one
            for one in self.world.cloudwatch.ledger
            if one.generation == self.world.cloudwatch.generation
            and one.event.stream.rpartition("/")[2] == end.execution
        ]
        done_at = min((one.put_at for one in ledger if " DONE" in one.event.message), default=0)
        since = viewer.session.since or 0
        last_words = {
            one.event.message
            for one in ledger
            if since <= one.event.timestamp <= self.world.now
            and one.put_at <= done_at
            and one.visible_at - one.put_at < ALLOWANCE_MS
            and one.put_at - one.event.timestamp < ALLOWANCE_MS
            and one.gone_at is None
            and not one.hidden
            and viewer.wanted.matches(one.event.stream)
            and not self._is_declared(viewer, one)
        }
        missing = sorted(last_words - viewer.good - viewer.had)
        if missing and not self.world.lost:
            raise FaultError(Kind.LOST, f"{viewer.name} received {end} before {missing[:5]}")

    def _judge_mark(self, viewer: Viewer, mark: MarkStatus) -> None:
        """Check that the viewer has all events of the scan behind an equal mark."""
        self.marks += 1
        best: list[str] | None = None
        for record in self.world.records:
            covers = record.from_ <= mark.from_ms and mark.through_ms <= record.covered
            if record.begun != mark.scanned_at_ms or not covers or record.ended is None:
                continue
            missing = [
                one
                for one in self._required_by(record, viewer.wanted) - viewer.good - viewer.had
                if mark.from_ms <= self._by_message[one].event.timestamp <= mark.through_ms
                and not self._is_declared(viewer, self._by_message[one])
            ]
            missing += self._altered(viewer, mark, record)
            if not missing:
                return
            best = missing
        if best is None:
            what = f"{viewer.name} received {mark} without a complete scan"
            raise FaultError(Kind.FALSE_GREEN, what)
        raise FaultError(Kind.FALSE_GREEN, f"{viewer.name}: {mark}, but {best[:5]} are missing")

    def _altered(self, viewer: Viewer, mark: MarkStatus, record: ScanRecord) -> list[str]:
        """Shown lines of which the scan of a mark returned another text, without a gap [18]."""
        assert record.ended is not None
        found = []
        for stored in self.world.cloudwatch.ledger:
            if not stored.masked:
                continue
            event, line = stored.event, self._line(viewer, stored)
            is_returned = (
                stored.generation == record.generation
                and stored.is_visible_throughout(record.begun, record.ended)
                # A gap may be repaired before the mark arrives if the text is the first one again.
                and stored.is_same_throughout(record.begun, self.world.now)
            )
            is_marked = mark.from_ms <= event.timestamp <= mark.through_ms
            if line is not None and is_marked and is_returned and line.seq <= mark.seq:
                is_other = line.message != stored.text_at(record.begun)
                if is_other and not self._is_declared(viewer, stored):
                    found.append(f"{line.message} with its first text")
        return found

    def _line(self, viewer: Viewer, stored: Stored) -> Line | None:
        """The counted line of an event; None if there is none."""
        key = line_key(stored.event.timestamp, stored.event.id, 0)
        line = viewer.shown[key] if key in viewer.confirmed else None
        is_it = line is not None and first_text(line.message) == stored.event.message
        return line if is_it else None

    def _required_by(self, record: ScanRecord, wanted: Filter) -> frozenset[str]:
        """Messages that a viewer must have once the scan is marked."""
        found = self._required.get((id(record), wanted))
        if found is None:
            found = self._required[id(record), wanted] = frozenset(self._messages(record, wanted))
        return found

    def _messages(self, record: ScanRecord, wanted: Filter) -> list[str]:
        self._find("")
        assert record.ended is not None
        failed = self._failed(record)
        return [
            one.event.message
            for one in self.world.cloudwatch.ledger
            if one.generation == record.generation
            and one.visible_at < record.begun
            and record.from_ <= one.event.timestamp <= record.covered
            and wanted.matches(one.event.stream)
            and (
                one.is_visible_throughout(record.begun, record.ended)
                or (failed and one.gone_at is None)
            )
        ]

    def _failed(self, record: ScanRecord) -> bool:
        """Whether the scan missed a known event that still exists [8]."""
        if record.failed is None:
            assert record.ended is not None
            there = {
                one.event.id: one
                for one in self.world.cloudwatch.ledger
                if one.generation == record.generation
            }
            top, remade = record.through, self.world.cloudwatch.remade
            record.failed = any(
                there[event_id].event.timestamp == timestamp
                and there[event_id].is_there(record.ended)
                for event_id, (timestamp, stream) in record.known.items()
                # Early rows of a recreated stream are excused as well.
                if event_id in there
                and stream not in remade
                and event_id not in record.returned
                and record.from_ <= timestamp
                and (top is None or timestamp <= top)
            )
        return record.failed

    def _is_declared(self, viewer: Viewer, stored: Stored) -> bool:
        """Whether an event was declared lost or in a gap to the viewer."""
        holdings, timestamp = viewer.session.holdings, stored.event.timestamp
        if holdings.tally.base and stored.event.id in self.world.lost:
            # An earlier run received the declaration, and its cursor is past the event: if found
            # later, the event is below the base, where nothing is proved [16].
            return True
        gaps = [gap for gap in holdings.proof.gaps if gap.state == "unrecoverable"]
        lost = [*viewer.lost, *((gap.from_ms, gap.through_ms) for gap in gaps)]
        return any(low <= timestamp <= high for low, high in lost)

    # At the end

    def is_at_rest(self, healed_at: int) -> bool:
        """Whether every viewer is complete and verified."""
        return all(
            # What is missing takes long to find, and without these a viewer is not at rest anyway.
            self._seems_at_rest(viewer, healed_at) and self._trouble_of(viewer, healed_at) is None
            for viewer in self.world.viewers
        )

    def _seems_at_rest(self, viewer: Viewer, healed_at: int) -> bool:
        """Whether a viewer is connected, has read everything, and shows it as verified."""
        forwarder = self.world.forwarder
        if forwarder is None or viewer.link is None or not viewer.session.is_welcomed:
            return False
        return self._has_read(viewer, forwarder) and self._is_green(viewer, healed_at)

    def _has_read(self, viewer: Viewer, forwarder: Forwarder) -> bool:
        """Whether a viewer has received everything that the forwarder has."""
        session = viewer.session
        return session.is_backfilled and session.after == forwarder.group.head_seq

    def _is_green(self, viewer: Viewer, healed_at: int) -> bool:
        """Whether everything until the healing is verified."""
        since = viewer.session.since
        assert since is not None
        reached = viewer.session.holdings.proof.settled_through(since)
        return since > healed_at or (reached is not None and reached >= healed_at)

    def why_not_at_rest(self, healed_at: int) -> FaultError:
        """The fault of a run that did not converge within its bound."""
        for viewer in self.world.viewers:
            trouble = self._trouble_of(viewer, healed_at)
            if trouble is not None:
                return trouble
        raise AssertionError(healed_at)

    def _trouble_of(self, viewer: Viewer, healed_at: int) -> FaultError | None:
        world, session = self.world, viewer.session
        forwarder, proof = world.forwarder, viewer.session.holdings.proof
        if forwarder is None or viewer.link is None or not session.is_welcomed:
            return FaultError(
                Kind.NEVER_CONVERGES, f"{viewer.name} is not connected: {viewer.closes}"
            )
        assert session.since is not None
        missing = self._missing(viewer, forwarder)
        reached = proof.settled_through(session.since)
        green = self._is_green(viewer, healed_at)
        has_read = self._has_read(viewer, forwarder)
        if missing and (green or has_read):
            return FaultError(Kind.LOST, f"{viewer.name} never gets {missing[:5]}")
        what = (
            f"{viewer.name}, done: {session.is_backfilled}, at {session.after}, "
            f"missing {missing[:5]}"
        )
        if (missing or not session.is_backfilled) and world.now - viewer.items_at > STARVED_MS:
            return FaultError(Kind.STARVED, what)
        if missing or not green or not has_read:
            what = f"{what}, verified to {reached} of {healed_at}"
            return FaultError(Kind.NEVER_CONVERGES, what)
        for look in (
            self._unsaid_gap,
            self._unsaid_expiry,
            self._extra_trouble,
            self._end_trouble,
            self._altered_trouble,
        ):
            trouble = look(viewer, forwarder)
            if trouble is not None:
                break
        return trouble

    def _unsaid_gap(self, viewer: Viewer, forwarder: Forwarder) -> FaultError | None:
        """Check that no verified range contains an unrecoverable gap [9]."""
        through, since = viewer.complete_through, viewer.session.since or 0
        for gap in forwarder.journal.gaps():
            is_ours = gap.state == "unrecoverable" and gap.through >= since
            is_ours = is_ours and concerns(gap.reason, since) and gap.matches(viewer.wanted)
            if is_ours and through is not None and through >= gap.from_:
                return FaultError(
                    Kind.FALSE_GREEN, f"{viewer.name} is verified to {through} over {gap}"
                )
        return None

    def _unsaid_expiry(self, viewer: Viewer, _forwarder: Forwarder) -> FaultError | None:
        """Check that events that expired before a complete scan are declared."""
        if self.world.cloudwatch.retention_ms is None or not viewer.session.since:
            return None  # since 0 requests whatever exists
        since, through = viewer.session.since, viewer.complete_through
        for one in self.world.cloudwatch.ledger:
            at = one.event.timestamp
            is_shown = one.event.message in viewer.good or one.event.message in viewer.had
            if is_shown or one.gone_at is None or not since <= at <= (through or 0):
                continue
            firsts = [
                record.ended
                for record in self.world.records
                if record.ended is not None and record.from_ <= at <= record.covered
            ]
            was_there = one.visible_at < one.gone_at <= min(firsts, default=self.world.now)
            if was_there and viewer.wanted.matches(one.event.stream):
                what = (
                    f"{viewer.name} is verified to {through} over {one.event}, which expired unseen"
                )
                return FaultError(Kind.FALSE_GREEN, what)
        return None

    def _extra_trouble(self, viewer: Viewer, forwarder: Forwarder) -> FaultError | None:
        """Check that all counted lines are in the journal."""
        since, base = viewer.session.since or 0, viewer.session.holdings.tally.base
        lines = [viewer.shown[key] for key in viewer.confirmed]
        # Marks do not cover events older than since or below the base.
        lines = [line for line in lines if line.timestamp >= since and line.seq > base]
        if self.world.lost:
            # Events that were lost or found during a repair stay unverified.
            return None
        found = forwarder.journal.find([line.id for line in lines])
        for line in lines:
            row = found.get(line.id)
            if row is None or row.is_lost or row.timestamp != line.timestamp:
                return FaultError(Kind.UNEXPECTED, f"{viewer.name} counts {line}")
        return None

    def _missing(self, viewer: Viewer, forwarder: Forwarder) -> list[str]:
        """Events of CloudWatch and the journal that the viewer must have at the end but lacks."""
        since = viewer.session.since or 0
        required = {
            one.event.message
            for one in self.world.cloudwatch.stored
            if one.event.timestamp >= since and viewer.wanted.matches(one.event.stream)
        }
        required |= {
            first_text(row.message)
            for row in forwarder.journal.read_after(0, 1_000_000)
            if row.message is not None
            and row.timestamp >= since
            and viewer.wanted.matches(row.stream)
        }
        if self.world.journal_is_intact:
            required |= self._once_returned(viewer, since)
        missing = required - viewer.good - viewer.had
        self._find("")
        return sorted(
            one for one in missing if not self._is_declared(viewer, self._by_message[one])
        )

    def _once_returned(self, viewer: Viewer, since: int) -> set[str]:
        """Check that every event that a scan returned is shown or declared lost [5]."""
        ids = {one for record in self.world.records for one in record.returned}
        return {
            one.event.message
            for one in self.world.cloudwatch.ledger
            if one.event.id in ids
            and one.event.timestamp >= since
            and viewer.wanted.matches(one.event.stream)
        }

    def _altered_trouble(self, viewer: Viewer, forwarder: Forwarder) -> FaultError | None:
        """Check that a viewer has exactly the texts and gaps of what is altered now [18]."""
        session, now, floor = viewer.session, self.world.now, viewer.session.since or 0
        gaps = [gap for gap in session.holdings.proof.gaps if is_altered(gap.reason)]
        gaps = [gap for gap in gaps if gap.state == "unrecoverable"]
        proper: set[str] = set()
        for stored in self.world.cloudwatch.ledger:
            if not stored.masked:
                continue
            line, moment = self._line(viewer, stored), stored.event.timestamp
            inside = [gap.id for gap in gaps if gap.from_ms <= moment <= gap.through_ms]
            if stored.gone_at is not None:
                proper.update(inside)  # nobody can say whether its text is the first one again
                continue
            row = forwarder.journal.find([stored.event.id]).get(stored.event.id)
            text = stored.text_at(now)
            found = LogEvent(stored.event.id, moment, None, stored.event.stream, text)
            if row is not None and not has_first_text(found, row):
                proper.update(inside)
            if line is None or line.message == text or moment < floor:
                continue
            if line.seq <= session.holdings.tally.base:
                continue
            other = session.altered.find(line)
            if not inside or other is None or other.message != text:
                what = f"{viewer.name} is not told that {line.message!r} is {text!r} now"
                return FaultError(Kind.NEVER_CONVERGES, what)
        left = [gap for gap in gaps if gap.id not in proper]
        if left and not self.world.cloudwatch.remade:
            what = f"{viewer.name} has {left[0]}, in which every text is the first one again"
            return FaultError(Kind.NEVER_CONVERGES, what)
        return None

    def _end_trouble(self, viewer: Viewer, forwarder: Forwarder) -> FaultError | None:
        """Check that viewers of ended executions have received the end [11]."""
        rows = forwarder.journal.read_after(0, 1_000_000)
        for stream in sorted({row.stream for row in rows if " DONE" in (row.message or "")}):
            name = stream.rpartition("/")[2]
            named = stream in viewer.wanted.streams or name in viewer.wanted.executions
            if not named or viewer.had:
                continue
            end = viewer.ends.get(name)
            if end is None:
                return FaultError(Kind.NEVER_CONVERGES, f"{viewer.name} received no end of {name}")
            since = viewer.session.since or 0
            low = max(since, end.from_ms)
            base = viewer.session.holdings.tally.base
            count = forwarder.journal.total(low, end.through_ms, viewer.wanted, base=base).count
            last = max(row.timestamp for row in rows if row.stream == stream)
            # The count covers the whole filter; late events of other executions send no new end.
            alone = viewer.wanted in (Filter(streams=(stream,)), Filter(executions=(name,)))
            count = count if alone else end.count
            if not viewer.lost and last >= since and (end.count != count or end.through_ms < last):
                what = f"{viewer.name} received {end} with {count} events through {last}"
                return FaultError(Kind.NEVER_CONVERGES, what)
        return None

    def finally_(self) -> None:
        """Check the final state of all viewers, and that what can't be shown is declared."""
        world = self.world
        gaps = [gap for gap in world.journal.gaps() if gap.state == "unrecoverable"]
        unreadable = world.lies.unreadable if world.lies and world.journal_is_intact else set()
        for at in sorted(unreadable):
            if not any(gap.from_ <= at <= gap.through for gap in gaps):
                raise FaultError(Kind.LOST, f"an unreadable event at {at} is not declared")
        forwarder = world.forwarder
        assert forwarder is not None
        for viewer in world.viewers:
            if viewer.unproved_final and not world.lost:
                raise FaultError(Kind.FALSE_RED, f"{viewer.name} gave up on a range")
            # Lines polled while a welcome was in flight are beyond its cursor: a rollback of the
            # journal to a point between the two makes a repair remove them.
            is_ahead = "blocked" in world.plan.troubles and not world.journal_is_intact
            excused = viewer.rotted or world.lost or is_ahead
            if viewer.unproved and not excused:
                raise FaultError(Kind.FALSE_RED, f"{viewer.name} disagreed without a reason")
