"""What the faults have in common that have something written.

``burst``: executions that write much at once.

``blank_messages``: events that say nothing one can see.

``duplicate_timestamps``: a crowd of events in one and the same millisecond.

``future_events``: events from executions whose clocks are ahead.

``huge_event``: events as large as CloudWatch takes them.

``identical_messages``: events that are equal in everything but their ids.

``last_words``: an execution that says the most important things as it ends.

``late_events``: events that were written long after their time.

``new_stream``: log streams that are made while somebody watches.

``out_of_order_batches``: what was logged first is written last.

``terminal_escapes``: messages that would act on a terminal.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

from simulator.acceptance import BATCH_BYTES_MAX, EVENT_OVERHEAD_BYTES, NewEvent
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers
from simulator.workload.workload import first_message, last_message, message

EVERY_MS = Attribute("every_ms", 0, DAY_MS, "again after, 0 = once")
"""An attribute of all of them."""


class Writing(NamedTuple):
    """What is known when something is written.

    ``call`` counts the PutLogEvents calls of a turn from 0; ``streams`` are those of the running
    executions, at least one.
    """

    turn: int
    call: int
    now_ms: int
    streams: Sequence[str]
    rng: Random

    def stream(self, number: int) -> str:
        """The log stream of the event ``number``: in turn over all."""
        return self.streams[number % len(self.streams)]


class WritingFault(Fault):
    """Has events written, besides what the executions write; what is written stays.

    What CloudWatch refuses of them is not in the ledger.
    """

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Have it written."""
        for call in range(self.calls()):
            levers.writer.submit(partial(self._compose, turn, call))

    def stop(self, levers: Levers) -> None:
        """Nothing: what is written stays."""

    def calls(self) -> int:
        """How many PutLogEvents calls, at least, write one turn's events."""
        return 1

    @abstractmethod
    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """What one call writes."""

    def hits(self, writing: Writing) -> bool:
        """Whether the next event is hit, by ``toxicity``."""
        return writing.rng.random() < self.toxicity

    def _compose(
        self, turn: int, call: int, now_ms: int, streams: Sequence[str]
    ) -> Iterable[NewEvent]:
        rng = Random(f"{self.seed}/{turn}/{call}")  # noqa: S311 - a simulation
        return self.events(Writing(turn, call, now_ms, streams, rng)) if streams else ()


class Burst(WritingFault):
    """Writes many ordinary lines at once, stack traces and JSON among them.

    Attributes:
        events: how many.
        span_ms: their timestamps lie in so many ms before now.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that is written at all.

    A correct system shows them all; keys stay quick meanwhile, the forwarder's memory stays
    bounded, and the lag is shown until it is caught up.

    """

    type = "burst"
    attributes = (
        Attribute("events", 20_000, 500_000, "lines", minimum=1),
        Attribute("span_ms", 1_000, DAY_MS, "spread over so many ms before now"),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        events, span_ms = self.values["events"], self.values["span_ms"]
        for number in range(events):
            text = message(number, number / events, writing.rng)
            if self.hits(writing):
                at_ms = writing.now_ms - span_ms + span_ms * number // events
                yield NewEvent(writing.stream(number), at_ms, text)


BLANKS = (" ", "\t", "\n", "   ", "\r\n", "\u00a0", "\u3000", "\u200b", "\n\n\n")
"""One character at least; the last but one has no width at all."""


class BlankMessages(WritingFault):
    """Writes messages of blank characters: spaces, tabs, line ends; CloudWatch wants one at least.

    Attributes:
        events: how many.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are blank.

    A correct system shows a row for each, however empty it looks, and counts it.

    """

    type = "blank_messages"
    attributes = (
        Attribute("events", 20, 10_000, "blank events", minimum=1),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """A blank of some kind after another, over all streams."""
        for number in range(self.values["events"]):
            text = BLANKS[number % len(BLANKS)] if self.hits(writing) else "not blank"
            yield NewEvent(writing.stream(number), writing.now_ms, text)


class DuplicateTimestamps(Fault):
    """Writes a burst of different events with one timestamp, over all running executions.

    Attributes:
        events: how many.
        every_ms: another burst that long after the last; 0 = once.

    ``toxicity`` is the share of the events that get that timestamp; the others get the
    millisecond after it. What is written stays written: there is nothing to heal.

    A correct system shows every event of the burst once, in the order of their ids. A cursor
    that is a timestamp, with or without one millisecond added, loses some or repeats some.

    """

    type = "duplicate_timestamps"
    attributes = (
        Attribute("events", 10_000, 100_000, "events in the millisecond", minimum=1),
        Attribute("every_ms", 0, DAY_MS, "another burst after, 0 = once"),
    )

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Have the burst written."""

        def compose(now_ms: int, streams: Sequence[str]) -> Iterable[NewEvent]:
            return self.burst(turn, now_ms, streams)

        levers.writer.submit(compose)

    def stop(self, levers: Levers) -> None:
        """Nothing: what is written stays."""

    def burst(self, turn: int, now_ms: int, streams: Sequence[str]) -> list[NewEvent]:
        """The events of one burst, in turn over ``streams``; no streams, no events."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        events = self.values["events"] if streams else 0
        return [
            NewEvent(
                streams[number % len(streams)],
                now_ms if rng.random() < self.toxicity else now_ms + 1,
                f"INFO  {self.name} {turn}: {number + 1} of {events} in one millisecond",
            )
            for number in range(events)
        ]


AHEAD_MS = 2 * 3_600_000 - 10_000
"""What is more than two hours ahead is refused; some seconds for clocks that differ."""


class FutureEvents(WritingFault):
    """Writes events with timestamps of the future, as far as CloudWatch takes them: 2 hours.

    Attributes:
        events: how many.
        ahead_ms: how far ahead they are.
        jitter_ms: more or less by up to this, each by an amount of its own.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are ahead.

    A correct system loses nothing that comes after them: no cursor is a timestamp. It shows them
    in their place, and claims to be complete to no time that is still to come.

    """

    type = "future_events"
    attributes = (
        Attribute("events", 20, 10_000, "events ahead of time", minimum=1),
        Attribute("ahead_ms", 600_000, AHEAD_MS, "how far ahead"),
        Attribute("jitter_ms", 0, AHEAD_MS, "more or less by up to this"),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        ahead_ms, jitter_ms = self.values["ahead_ms"], self.values["jitter_ms"]
        for number in range(self.values["events"]):
            drawn_ms = ahead_ms + writing.rng.randint(-jitter_ms, jitter_ms)
            by_ms = max(0, min(drawn_ms, AHEAD_MS)) if self.hits(writing) else 0
            text = f"INFO  {self.name} {writing.turn}: {number} is {by_ms} ms ahead"
            yield NewEvent(writing.stream(number), writing.now_ms + by_ms, text)


BYTES_MAX = BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES
"""An event alone in its batch."""

WIDE = "é注🚚"


class HugeEvent(WritingFault):
    """Writes events of almost 1 MB, half of it characters that are several bytes each.

    Attributes:
        events: how many.
        bytes: how large each is, in UTF-8.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that is huge; the others are short.

    A correct system shows each whole where one asks for it, cut where a row ends; nothing of it
    is altered, and frames that hold one alone are no reason to close.

    """

    type = "huge_event"
    attributes = (
        Attribute("events", 3, 100, "huge events", minimum=1),
        Attribute("bytes", BYTES_MAX, BYTES_MAX, "size of each in UTF-8", minimum=100),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        for number in range(self.values["events"]):
            head = f"INFO  {self.name} {writing.turn}: {number} "
            rest = self.values["bytes"] - len(head) if self.hits(writing) else 0
            wide = rest // 2 // len(WIDE.encode())
            text = head + WIDE * wide + "x" * (rest - wide * len(WIDE.encode()))
            yield NewEvent(writing.stream(number), writing.now_ms, text)


class IdenticalMessages(WritingFault):
    """Writes the same message with the same timestamp into the same log stream many times.

    Attributes:
        events: how many.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are equal; the others have numbers.

    A correct system shows every one of them: each is an event with an id of its own. One that
    knows events by what they say shows one.

    """

    type = "identical_messages"
    attributes = (
        Attribute("events", 100, 100_000, "equal events", minimum=1),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """All in one stream and millisecond."""
        for number in range(self.values["events"]):
            text = "WARN  retrying" if self.hits(writing) else f"WARN  retrying ({number})"
            yield NewEvent(writing.stream(0), writing.now_ms, text)


TOOK_MS = 1_500


class LastWords(WritingFault):
    """Lets an execution of its own begin, write, and end at once, with a word after the last one.

    Attributes:
        events: how many lines it writes in its last moments.
        after: how many lines come in after its last word, with timestamps before it.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of the lines that are stamped with the last millisecond itself; the
    others with the second before it.

    A correct system shows them all, the late ones in their place, and only then that it has
    ended: an end is said after the stream is drained, and again if late news changes its count.

    """

    type = "last_words"
    attributes = (
        Attribute("events", 200, 10_000, "lines in the last moments", minimum=1),
        Attribute("after", 20, 1_000, "lines that come in after the end"),
        EVERY_MS,
    )

    def calls(self) -> int:
        """One for the execution, one for what comes after."""
        return 2

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Its whole life, or what comes after it."""
        # Both calls are about the same execution.
        shared = Random(f"{self.seed}/{writing.turn}")  # noqa: S311 - a simulation
        execution = f"{shared.getrandbits(48):012x}"
        stream, end_ms = f"job/main/{execution}", writing.now_ms
        if writing.call:
            for number in range(self.values["after"]):
                text = f"ERROR {self.name}: flushed as it died, {number}"
                yield NewEvent(stream, end_ms - writing.rng.randint(500, 1_500), text)
            return
        yield NewEvent(stream, end_ms - TOOK_MS, first_message(execution, shared))
        for number in range(self.values["events"]):
            at_ms = end_ms if self.hits(writing) else end_ms - writing.rng.randint(1, 1_000)
            yield NewEvent(stream, at_ms, message(number, 1.0, writing.rng))
        yield NewEvent(stream, end_ms, last_message("FAILED", TOOK_MS))


OLDEST_MS = 14 * DAY_MS - 60_000
"""What is older than 14 days is refused; a minute for the way there."""


class LateEvents(WritingFault):
    """Writes events with timestamps of the past, as far as CloudWatch takes them: 14 days.

    Attributes:
        events: how many.
        late_ms: how late they are.
        jitter_ms: more or less by up to this, each by an amount of its own.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are late. CloudWatch refuses what is older than its
    log group's retention.

    A correct system finds them with the scans that reach back so far, shows them where they
    belong, marked as late, and never moves what the reader looks at.

    """

    type = "late_events"
    attributes = (
        Attribute("events", 20, 10_000, "late events", minimum=1),
        Attribute("late_ms", 60_000, 14 * DAY_MS, "how late"),
        Attribute("jitter_ms", 0, 14 * DAY_MS, "more or less by up to this"),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        late_ms, jitter_ms = self.values["late_ms"], self.values["jitter_ms"]
        for number in range(self.values["events"]):
            drawn_ms = late_ms + writing.rng.randint(-jitter_ms, jitter_ms)
            by_ms = max(0, min(drawn_ms, OLDEST_MS)) if self.hits(writing) else 0
            text = f"INFO  {self.name} {writing.turn}: {number} was {by_ms} ms under way"
            yield NewEvent(writing.stream(number), writing.now_ms - by_ms, text)


class NewStream(WritingFault):
    """Makes new log streams, as new executions do, and writes into them at once.

    Attributes:
        streams: how many log streams.
        events: how many events in each.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of the events that go to the new streams; the others go to the
    running executions'.

    A correct system shows them without being told that there is a new stream; where a filter
    has it out, it is not shown.

    """

    type = "new_stream"
    attributes = (
        Attribute("streams", 3, 1_000, "log streams", minimum=1),
        Attribute("events", 10, 10_000, "events in each", minimum=1),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """The first words of each, and what comes after them."""
        for place in range(self.values["streams"]):
            stream = f"job/main/{writing.rng.getrandbits(48):012x}"
            for number in range(self.values["events"]):
                text = f"INFO  {self.name} {writing.turn}: stream {place}, event {number}"
                where = stream if self.hits(writing) else writing.stream(number)
                yield NewEvent(where, writing.now_ms, text)


BATCH_SPAN_MS_MAX = 13 * DAY_MS


class OutOfOrderBatches(WritingFault):
    """Writes several batches, the newest first: as after a log agent's retries.

    Attributes:
        batches: how many PutLogEvents calls.
        events: how many events in each, over all running executions.
        step_ms: how much older each batch is than the one written before it.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of the batches that are older; the others have their time.

    A correct system shows them in the order of their timestamps, wherever they came in; a cursor
    that has seen the newest loses none of the older ones.

    """

    type = "out_of_order_batches"
    attributes = (
        Attribute("batches", 10, 50, "calls", minimum=1),
        Attribute("events", 50, 10_000, "events in each", minimum=1),
        Attribute("step_ms", 1_000, DAY_MS, "how much older each is than the one before"),
        EVERY_MS,
    )

    def check(self) -> None:
        """CloudWatch takes nothing older than 14 days.

        Raises:
            SimulatorError: they would be.

        """
        if self.values["batches"] * self.values["step_ms"] > BATCH_SPAN_MS_MAX:
            msg = f"batches times step_ms must be at most {BATCH_SPAN_MS_MAX}, 13 days"
            raise SimulatorError(msg)

    def calls(self) -> int:
        """A call for each batch."""
        return self.values["batches"]

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """One batch."""
        by_ms = writing.call * self.values["step_ms"] if self.hits(writing) else 0
        for number in range(self.values["events"]):
            text = f"INFO  {self.name} {writing.turn}: batch {writing.call}, event {number}"
            yield NewEvent(writing.stream(number), writing.now_ms - by_ms + number % 100, text)


ESCAPES = (
    "\x1b[31mred\x1b[0m and \x1b[1;5mblinking\x1b[0m",
    "\x1b[2J\x1b[H\x1b[?1049l cleared",
    "\x1b]0;another title\x07",
    "\x1b]52;c;c3RvbGVu\x07 clipboard",
    "\x1b]8;;http://127.0.0.1/\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP1$qm\x1b\\ device control, \x1b[6n\x1b[c answers asked for",
    "\x1b unfinished",
    "\x9b31m and \x9d0;title\x9c of C1",
    "before\rafter\x08\x08\x07\x00\x0e\x0f\x7f",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u200fright",
    "zero\u200bwidth\u200djoiner\ufeff \u00ad soft",
    "a" + "\u0301" * 60 + " stacked",
    "half \ud83d a pair, \udc00 and the other half",
    "line\u2028separator\u2029paragraph\x0b\x0c",
    "tag \U000e0041\U000e007f characters, \ufff9 annotated",
    "\x1b]" + "x" * 5_000,
)
"""Each of them with what it would do, if anything could."""


class TerminalEscapes(WritingFault):
    """Writes messages of control sequences, bidirectional and zero-width characters, half pairs.

    Attributes:
        rounds: how many times each of them.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are dangerous; the others are plain.

    A correct viewer shows them harmlessly: no escape of a message ever reaches the terminal, rows
    keep their width and order, and what is recorded and printed as JSON is what was written.

    """

    type = "terminal_escapes"
    attributes = (
        Attribute("rounds", 1, 1_000, "times each of them", minimum=1),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        for number in range(self.values["rounds"] * len(ESCAPES)):
            text = ESCAPES[number % len(ESCAPES)]
            text = f"INFO  {text} (end)" if self.hits(writing) else "INFO  plain"
            yield NewEvent(writing.stream(number), writing.now_ms, text)
