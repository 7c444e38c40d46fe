"""Reads a record or another tool's NDJSON log, line by line. Pure.

Lines that cannot be used are shown where they stand, as they are, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, cast

import msgspec

from tui.client.status import (
    ConnectionEntry,
    ConnectionOutage,
    EndStatus,
    MarkStatus,
    StateChange,
)
from tui.lines.rows import Line, Row, Rule, line_key, rule_key
from tui.replay.logs import parse_log_line
from tui.replay.recording import Problems, RecordedTarget, Recording
from tui.replay.tape import Tape
from wire import record as entries
from wire.errors import WireError
from wire.limits import TIMESTAMP_MAX
from wire.messages import AlteredText
from wire.record import RECORD_VERSION, TARGETS_MAX, RuleKind

UNUSABLE: Final = "(unusable line)"
"""The log stream of lines that cannot be used."""

LINE_BYTES_MAX: Final = 64 << 20
"""A longer line is cut; a line of a log is at most 1 MiB, and a record's hardly more."""

_UNUSABLE_ID: Final = 10**56
"""Ids of unusable lines begin here: below the other lines of their millisecond."""

Steps = list[tuple[int, Row]]

_ENTRIES: Final = entries.EntryReader[entries.AnyEntry](entries.AnyEntry)


class ReplayError(Exception):
    """A file cannot be replayed; the text is one line with the remedy."""


class Reader(Protocol):
    """Reads the lines of one file, in slices."""

    @property
    def began_ms(self) -> int | None:
        """Where the replay will start; None while that is not known."""

    @property
    def targets(self) -> list[RecordedTarget]:
        """The targets, as far as they are known."""

    def take(self, lines: Sequence[bytes]) -> Steps:
        """Read the next lines, each with its line break; return the rows of them with times."""

    def finish(self) -> Recording:
        """Return what was read, after the last line."""


def open_reader(lines: Sequence[bytes], name: str) -> Reader | None:
    """Return the reader for a file that begins with these lines, none of them read yet.

    Returns:
        None if none of the lines can be used.

    Raises:
        ReplayError: It is the record of a later version.
    """
    for text in lines:
        try:
            header = _ENTRIES.read(text)
        except (msgspec.DecodeError, RecursionError):
            header = None
        if isinstance(header, entries.Header):
            if header.version != RECORD_VERSION:
                msg = f"it is a record of version {header.version}: install a later gapless"
                raise ReplayError(msg)
            return RecordReader()
        if header is not None:
            return RecordReader()  # its beginning is missing
        if not _problem_of(text):
            return LogReader(name)
    return None


def check_lines(lines: Iterable[bytes]) -> str:
    """Return why the first line cannot be used; empty if there is none."""
    first = next((one for one in enumerate(lines, 1) if one[1].strip()), None)
    return "it is empty" if first is None else f"line {first[0]}: {_problem_of(first[1])}"


def _problem_of(text: bytes) -> str:
    try:
        parse_log_line(text.decode("utf-8", "replace"))
    except ValueError as error:
        return str(error)
    return ""


class _Unusable:
    """Keeps lines that cannot be used, and counts them."""

    def __init__(self) -> None:
        self.problems = Problems()
        self.number = 0

    def row(self, text: bytes, why: str, timestamp: int) -> Line:
        problems = self.problems
        problems.unusable += 1
        problems.first = problems.first or f"line {self.number}: {why}"
        return Line(
            key=line_key(timestamp, str(_UNUSABLE_ID + self.number), 0),
            seq=0,
            ingestion_time=None,
            stream=UNUSABLE,
            message=text.decode("utf-8", "replace").rstrip("\r\n"),
            origin="live",
        )


def _is_cut(text: bytes) -> bool:
    """Whether a line is the last one, of which the end is missing."""
    return not text.endswith(b"\n")


class LogReader:
    """Reads another tool's log; each line comes at the time that it names."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._unusable = _Unusable()
        self._groups: dict[str, int] = {}
        self.targets: list[RecordedTarget] = []
        self._last_ms: int | None = None
        self._waiting: list[tuple[bytes, str]] = []
        """Unusable lines before the first usable one, whose time they are shown at."""
        self._steps: Steps = []

    @property
    def began_ms(self) -> int | None:
        """None: the oldest line may come last."""
        return None

    def take(self, lines: Sequence[bytes]) -> Steps:
        """Read the next lines."""
        found: Steps = []
        for text in lines:
            self._unusable.number += 1
            if not text.strip():
                continue
            try:
                found.append(self._line(text))
            except ValueError as error:
                if _is_cut(text):
                    self._unusable.problems.is_truncated = True
                found += self._place(text, str(error))
            else:
                found += self._place_waiting()
        self._steps += found
        return found

    def finish(self) -> Recording:
        """Return what was read."""
        tape = Tape(self._steps)
        self._steps = []
        began, ended = tape.first_ms or 0, tape.last_ms or 0
        targets = self.targets or [RecordedTarget(self._name)]
        return Recording("log", targets, tape, began, ended, problems=self._unusable.problems)

    def _line(self, text: bytes) -> tuple[int, Line]:
        message = text.decode("utf-8", "replace").rstrip("\r\n")
        found = parse_log_line(message)
        self._last_ms = found.timestamp
        name = found.id or str(self._unusable.number)
        line = Line(
            key=line_key(found.timestamp, name, self._target(found.group)),
            seq=self._unusable.number,
            ingestion_time=found.ingestion_time,
            stream=found.stream or self._name,
            message=found.message,
            origin=found.origin,
            id_digits=len(name),
        )
        return found.timestamp, line

    def _target(self, group: str) -> int:
        if group not in self._groups and len(self._groups) < TARGETS_MAX:
            self._groups[group] = len(self._groups)
            self.targets.append(RecordedTarget(group or self._name, group=group or None))
        return self._groups.get(group, 0)

    def _place(self, text: bytes, why: str) -> Steps:
        if self._last_ms is None:
            self._waiting.append((text, why))
            return []
        return [(self._last_ms, self._unusable.row(text, why, self._last_ms))]

    def _place_waiting(self) -> Steps:
        if not self._waiting:
            return []
        waiting, self._waiting = self._waiting, []
        now, self._unusable.number = self._unusable.number, 0
        placed: Steps = []
        for text, why in waiting:
            self._unusable.number += 1
            placed += self._place(text, why)
        self._unusable.number = now
        return placed


class RecordReader:
    """Reads the record of a viewer."""

    def __init__(self) -> None:
        self.targets: list[RecordedTarget] = []
        self.began_ms: int | None = None
        self._ended_ms: int | None = None
        self._unusable = _Unusable()
        self._steps: Steps = []
        self._unplaced: list[Line] = []
        """Lines whose arrival is to be estimated."""
        self._derived: Steps = []
        """Rules made of the last states, for records without changes of rules."""
        self._has_rules = False
        self._ends: list[EndStatus] = []
        self._altered: dict[tuple[int, str], AlteredText] = {}
        self._is_whole = False
        self._last_ms = 0
        self._moments: list[int] = []
        self._rebased: dict[int, int] = {}

    def take(self, lines: Sequence[bytes]) -> Steps:
        """Read the next lines; the times of lines whose arrival is estimated are provisional."""
        before, unplaced = len(self._steps), len(self._unplaced)
        for text in lines:
            self._unusable.number += 1
            if not text.strip():
                continue
            try:
                entry = _ENTRIES.read(text)
                if isinstance(entry, entries.Event):  # most lines
                    self._take_event(entry)
                elif entry is not None:
                    self._take(entry)
                elif not _is_cut(text):
                    self._unusable.problems.unknown += 1
            except (msgspec.DecodeError, RecursionError, WireError) as error:
                self._take_unusable(text, str(error))
        provisional = [(_accepted_ms(one), one) for one in self._unplaced[unplaced:]]
        return [*self._steps[before:], *provisional]

    def finish(self) -> Recording:
        """Return what was read, with what had to be estimated."""
        moments = [one for one in self._moments if one]
        moments += [at_ms for at_ms, _ in self._steps]
        for target in self.targets:
            target.states.sort(key=lambda one: one.at_ms)
            target.verified.sort(key=lambda one: one.at)
            target.marks.sort(key=lambda one: one.scanned_at_ms)
        if self.began_ms is None:
            unplaced = [one.ingestion_time or one.timestamp for one in self._unplaced]
            self.began_ms = min(self._starts() or moments or unplaced, default=0)
        began_ms = self.began_ms
        if not self._has_rules:
            self._steps += [(max(began_ms, at_ms), row) for at_ms, row in self._derived]
        self._steps += [step for line in self._unplaced for step in self._placed(line)]
        self._steps = [step for one in self._steps for step in self._with_rebase(one)]
        tape = Tape([(max(began_ms, at_ms), row) for at_ms, row in self._steps])
        self._steps, self._unplaced = [], []
        if self.targets:
            self.targets[0].ends = self._ends
        self._unusable.problems.is_truncated = not self._is_whole
        ended_ms = max([began_ms, tape.last_ms or 0, self._ended_ms or 0, *moments])
        return Recording(
            "record",
            self.targets or [RecordedTarget("record")],
            tape,
            began_ms,
            ended_ms,
            self._altered,
            self._unusable.problems,
        )

    def _starts(self) -> list[int]:
        """When each target was first connected or tried."""
        return [one.states[0].at_ms for one in self.targets if one.states]

    def _estimate(self, line: Line) -> int:
        """When a line came at the earliest: as CloudWatch accepted it, or after an outage."""
        at_ms = line.ingestion_time or line.timestamp
        if line.origin == "backfill":
            return max(self.began_ms or 0, at_ms)
        target = self._target(line.target)
        if line.origin == "repair":
            scans = [one.scanned_at_ms for one in target.marks if one.scanned_at_ms >= at_ms]
            at_ms = min(scans, default=at_ms)
        for outage in target.outages:
            if outage.ended_ms is not None and outage.began_ms <= at_ms < outage.ended_ms:
                return outage.ended_ms
        return at_ms

    def _placed(self, line: Line) -> Steps:
        """Estimate when a line came.

        One that came as history, though CloudWatch accepted it after the beginning, had come live:
        it was sent again when its target was rebased.
        """
        at_ms = self._estimate(line)
        rebased_ms = self._rebased_after(line.target, at_ms)
        if line.origin != "backfill" or at_ms <= (self.began_ms or 0) or rebased_ms is None:
            return [(at_ms, line)]
        return [(at_ms, msgspec.structs.replace(line, origin="live")), (rebased_ms, line)]

    def _with_rebase(self, step: tuple[int, Row]) -> Steps:
        """Show a line that is unconfirmed in the end as confirmed until its target was rebased."""
        at_ms, row = step
        if isinstance(row, Rule) or row.era >= 0:
            return [step]
        rebased_ms = self._rebased_after(row.target, at_ms)
        if rebased_ms is None:
            return [step]
        return [(at_ms, msgspec.structs.replace(row, era=0)), (rebased_ms, row)]

    def _rebased_after(self, number: int, at_ms: int) -> int | None:
        """When a target was rebased last; None if that was not after a moment."""
        if number not in self._rebased:
            connections = self._target(number).connections
            times = [one.at_ms for one in connections if one.outcome == "rebased"]
            self._rebased[number] = max(times, default=-1)
        last_ms = self._rebased[number]
        return last_ms if last_ms > at_ms else None

    def _target(self, number: int) -> RecordedTarget:
        while len(self.targets) <= number:
            self.targets.append(RecordedTarget(f"target {len(self.targets) + 1}"))
        return self.targets[number]

    def _take_unusable(self, text: bytes, why: str) -> None:
        if _is_cut(text):
            return  # the record is truncated, which is said anyway
        row = self._unusable.row(text, why, self._last_ms)
        self._steps.append((self._last_ms, row))

    def _take(self, entry: entries.AnyEntry) -> None:
        match entry:
            case entries.Header():
                self._take_header(entry)
            case entries.RuleChange():
                self._has_rules = True
                self._steps.append((entry.at, _rule(entry)))
            case entries.Ending():
                self._is_whole = True
                self._ended_ms = entry.ended
                self._ends = [EndStatus(*msgspec.structs.astuple(one)) for one in entry.ends]
            case entries.Altered():
                self._altered[entry.target, entry.id] = AlteredText(
                    entry.id, entry.timestamp, entry.message, entry.length or 0
                )
            case entries.Evicted():
                self._take_evicted(entry)
            case entries.Gap() | entries.Lost():
                self._take_missing(entry)
            case entries.Moment() | entries.Mark() | entries.Outage():
                self._take_course(entry)

    def _take_header(self, header: entries.Header) -> None:
        self.began_ms = header.began or None
        for one in header.targets:
            if isinstance(one, str):
                self.targets.append(RecordedTarget(one))
            else:
                self.targets.append(
                    RecordedTarget(one.name, one.url, one.group, one.since, one.filter.pattern)
                )

    def _take_event(self, event: entries.Event) -> None:
        ingested = event.ingestion_time
        late_ms = event.late_ms or max(1, (ingested or 0) - event.timestamp) if event.late else 0
        self._target(event.target)
        line = Line(
            key=line_key(event.timestamp, event.id, event.target),
            seq=event.seq,
            ingestion_time=ingested,
            stream=event.log_stream,
            message=event.message,
            origin=event.origin,
            late_ms=late_ms,
            era=-1 if event.confirmed is False else 0,
            id_digits=len(event.id),
        )
        self._last_ms = event.timestamp
        if isinstance(event.arrived, int):
            self._steps.append((event.arrived, line))
        elif self.began_ms is not None and _is_history(line, self.began_ms):
            self._steps.append((self.began_ms, line))
        else:
            self._unplaced.append(line)

    def _take_evicted(self, entry: entries.Evicted) -> None:
        problems = self._unusable.problems
        problems.evicted += entry.count
        rule = Rule(
            key=rule_key(entry.through, _UNUSABLE_ID + self._unusable.number),
            kind="evicted",
            target=None,
            from_ms=entry.from_,
            through_ms=entry.through,
            state="failed",
            reason=entry.reason or "the record does not contain them",
            count=entry.count,
        )
        self._steps.append((self.began_ms or entry.through, rule))

    def _take_missing(self, entry: entries.Gap | entries.Lost) -> None:
        """Make the rule of what is declared missing, for records without changes of rules."""
        kind: RuleKind = "lost"
        state, count = "", None
        if isinstance(entry, entries.Gap):
            kind = "unequal" if entry.state == "unproved" else "gap"
            state, count = entry.state, entry.recovered
        self._derive(entry.through, kind, entry.target, entry.from_, entry.through, state, count)
        at_ms, rule = self._derived[-1]
        self._derived[-1] = at_ms, msgspec.structs.replace(cast("Rule", rule), reason=entry.reason)

    def _derive(
        self,
        at_ms: int,
        kind: RuleKind,
        target: int,
        from_ms: int,
        through_ms: int | None,
        state: str = "",
        count: int | None = None,
    ) -> None:
        rule = Rule(
            key=rule_key(from_ms, self._unusable.number),
            kind=kind,
            target=target,
            from_ms=from_ms,
            through_ms=through_ms,
            state=state,
            count=count,
        )
        self._derived.append((at_ms, rule))

    def _take_course(self, entry: entries.Moment | entries.Mark | entries.Outage) -> None:
        target = self._target(entry.target)
        match entry:
            case entries.State():
                target.states.append(StateChange(entry.at, entry.state, entry.detail))
                self._moments.append(entry.at)
            case entries.Verified():
                target.verified.append(entry)
                self._moments.append(entry.at)
            case entries.Upstream():
                target.upstream.append(entry)
            case entries.Detail():
                target.details.append(entry)
            case entries.AlteredLines():
                target.altered.append(entry)
            case entries.SecondEntry():
                target.seconds.append(entry)
            case entries.Connection():
                target.connections.append(ConnectionEntry(entry.at, entry.outcome, entry.epoch))
            case entries.Mark():
                target.marks.append(_mark(entry))
            case entries.Outage():
                self._take_outage(entry)

    def _take_outage(self, one: entries.Outage) -> None:
        self._target(one.target).outages.append(
            ConnectionOutage(
                one.from_, one.through, one.code, one.reason, one.recovered, one.outcome
            )
        )
        self._derive(one.from_, "offline", one.target, one.from_, None)
        if one.through is not None:
            self._derive(
                one.through, "offline", one.target, one.from_, one.through, count=one.recovered
            )


def _is_history(line: Line, began_ms: int) -> bool:
    """Whether a line was there before a viewer began, and is not one that was sent again later."""
    at_ms = line.timestamp if line.ingestion_time is None else line.ingestion_time
    return line.origin == "backfill" and at_ms <= began_ms


def _accepted_ms(line: Line) -> int:
    """When a line came at the earliest; one that a scan found, some unknown time later."""
    return TIMESTAMP_MAX if line.origin == "repair" else line.ingestion_time or line.timestamp


def _rule(entry: entries.RuleChange) -> Rule:
    return Rule(
        key=rule_key(entry.timestamp, entry.number),
        kind=entry.kind,
        target=entry.target,
        from_ms=entry.from_,
        through_ms=entry.through,
        state=entry.state,
        reason=entry.reason,
        count=entry.count,
    )


def _mark(one: entries.Mark) -> MarkStatus:
    return MarkStatus(
        target=one.target,
        from_ms=one.from_,
        through_ms=one.through,
        scanned_at_ms=one.scanned_at,
        seq=one.seq,
        count=one.count,
        digest=one.digest,
        own_count=one.count,
        own_digest=one.digest,
        equal=one.equal,
    )
