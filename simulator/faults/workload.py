"""Faults in what the executions write. Pure.

Each writes events beside the workload, in an instant. Events that were written stay: there is
nothing to heal. The ledger has only those that CloudWatch accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Final, NamedTuple

from simulator.acceptance import BATCH_BYTES_MAX, EVENT_OVERHEAD_BYTES, NewEvent
from simulator.faults.base import (
    DAY_MS,
    EVERY_MS,
    Attribute,
    Fault,
    FaultType,
    Values,
    WriteEvents,
    instant,
)
from simulator.workload.workload import first_message, last_message, message

AHEAD_MS_MAX: Final = 2 * 3_600_000 - 10_000
"""CloudWatch refuses events more than two hours ahead; some seconds for clocks that differ."""

AGE_MS_MAX: Final = 14 * DAY_MS - 60_000
"""CloudWatch refuses events older than 14 days; a minute for the way there."""

BATCHES_SPAN_MS_MAX: Final = 13 * DAY_MS

HUGE_BYTES_MAX: Final = BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES
"""An event alone in its batch."""

JOB_MS: Final = 1_500
"""How long the execution of ``last_words`` lasts."""

WIDE: Final = "é注🚚"
"""Characters of two, three and four bytes."""

BLANKS: Final = (" ", "\t", "\n", "   ", "\r\n", "\u00a0", "\u3000", "\u200b", "\n\n\n")
"""One character at least; the last but one has no width at all."""

ESCAPES: Final = (
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
"""Texts that would act on a terminal, each with the effect that it would have."""


COSTLY: Final = (
    "\t",
    "a",
    "error ",
    "e\u0301",
    "\u0301",
    "注",
    "\x1b[31m",
    "\x00\x07",
    "\n",
    "👨\u200d👩\u200d👧",
)
"""Units of lines that cost a careless program much: what expands when it is drawn, what a
backtracking expression (``(a+)+b``, ``error.*timeout``) never finishes, what has no width."""


class WriteCall(NamedTuple):
    """A PutLogEvents call of a turn, about to be written.

    ``part`` counts the calls of the turn from 0; ``streams`` are those of the running executions,
    at least one.
    """

    fault: Fault
    turn: int
    part: int
    now_ms: int
    streams: Sequence[str]
    rng: Random

    def value(self, attribute: str) -> int:
        """The value of one of the fault's attributes."""
        return self.fault.values[attribute]

    def stream(self, number: int) -> str:
        """The log stream of the event ``number``: each stream in turn."""
        return self.streams[number % len(self.streams)]

    def draw_hit(self) -> bool:
        """Draw whether the next event is hit, by ``toxicity``."""
        return self.rng.random() < self.fault.toxicity

    def info(self, text: str) -> str:
        """Make a log line that says which turn of which fault wrote it."""
        return f"INFO  {self.fault.name} {self.turn}: {text}"


Events = Callable[[WriteCall], Iterable[NewEvent]]


def _write(
    events: Events, calls: Callable[[Values], int] = lambda _: 1
) -> Callable[[Fault, int], WriteEvents]:
    """The harm that writes ``events``, in at least ``calls`` PutLogEvents calls."""

    def harm(fault: Fault, turn: int) -> WriteEvents:
        def compose(part: int, now_ms: int, streams: Sequence[str]) -> Iterable[NewEvent]:
            if not streams:
                return ()
            rng = fault.rng(turn, part)
            return events(WriteCall(fault, turn, part, now_ms, streams, rng))

        return WriteEvents(tuple(partial(compose, part) for part in range(calls(fault.values))))

    return harm


def _burst(call: WriteCall) -> Iterable[NewEvent]:
    events, span_ms = call.value("events"), call.value("span_ms")
    for number in range(events):
        text = message(number, number / events, call.rng)
        if call.draw_hit():
            at_ms = call.now_ms - span_ms + span_ms * number // events
            yield NewEvent(call.stream(number), at_ms, text)


def _blank_messages(call: WriteCall) -> Iterable[NewEvent]:
    for number in range(call.value("events")):
        text = BLANKS[number % len(BLANKS)] if call.draw_hit() else "not blank"
        yield NewEvent(call.stream(number), call.now_ms, text)


def _duplicate_timestamps(call: WriteCall) -> Iterable[NewEvent]:
    events = call.value("events")
    for number in range(events):
        at_ms = call.now_ms if call.draw_hit() else call.now_ms + 1
        text = call.info(f"{number + 1} of {events} in one millisecond")
        yield NewEvent(call.stream(number), at_ms, text)


def _shifted_events(sign: int, shift: str, max_ms: int, words: str) -> Events:
    """Events with timestamps ahead of (sign 1) or behind (-1) the present, by an attribute."""

    def events(call: WriteCall) -> Iterable[NewEvent]:
        shift_ms, jitter_ms = call.value(shift), call.value("jitter_ms")
        for number in range(call.value("events")):
            drawn_ms = shift_ms + call.rng.randint(-jitter_ms, jitter_ms)
            by_ms = max(0, min(drawn_ms, max_ms)) if call.draw_hit() else 0
            text = call.info(f"{number} is {by_ms} ms {words}")
            yield NewEvent(call.stream(number), call.now_ms + sign * by_ms, text)

    return events


def _huge_event(call: WriteCall) -> Iterable[NewEvent]:
    for number in range(call.value("events")):
        head = call.info(f"{number} ")
        rest = call.value("bytes") - len(head) if call.draw_hit() else 0
        wide = rest // 2 // len(WIDE.encode())
        text = head + WIDE * wide + "x" * (rest - wide * len(WIDE.encode()))
        yield NewEvent(call.stream(number), call.now_ms, text)


def _hostile_lines(call: WriteCall) -> Iterable[NewEvent]:
    size = call.value("bytes")
    for number in range(call.value("rounds") * len(COSTLY)):
        unit = COSTLY[number % len(COSTLY)]
        head = call.info(f"hostile {number} ")
        repeats = (size - len(head)) // len(unit.encode()) if call.draw_hit() else 1
        yield NewEvent(call.stream(number), call.now_ms, head + unit * max(1, repeats))


def _identical_messages(call: WriteCall) -> Iterable[NewEvent]:
    for number in range(call.value("events")):
        text = "WARN  retrying" if call.draw_hit() else f"WARN  retrying ({number})"
        yield NewEvent(call.stream(0), call.now_ms, text)


def _last_words(call: WriteCall) -> Iterable[NewEvent]:
    """Write the life of an execution in the first call, its late events in the second."""
    # Both calls are about the same execution.
    shared = call.fault.rng(call.turn)
    execution = f"{shared.getrandbits(48):012x}"
    stream, end_ms = f"job/main/{execution}", call.now_ms
    if call.part:
        for number in range(call.value("after")):
            text = f"ERROR {call.fault.name}: flushed as it died, {number}"
            yield NewEvent(stream, end_ms - call.rng.randint(500, 1_500), text)
        return
    yield NewEvent(stream, end_ms - JOB_MS, first_message(execution, shared))
    for number in range(call.value("events")):
        at_ms = end_ms if call.draw_hit() else end_ms - call.rng.randint(1, 1_000)
        yield NewEvent(stream, at_ms, message(number, 1.0, call.rng))
    yield NewEvent(stream, end_ms, last_message("FAILED", JOB_MS))


def _new_stream(call: WriteCall) -> Iterable[NewEvent]:
    for place in range(call.value("streams")):
        stream = f"job/main/{call.rng.getrandbits(48):012x}"
        for number in range(call.value("events")):
            text = call.info(f"stream {place}, event {number}")
            where = stream if call.draw_hit() else call.stream(number)
            yield NewEvent(where, call.now_ms, text)


def _out_of_order_batches(call: WriteCall) -> Iterable[NewEvent]:
    by_ms = call.part * call.value("step_ms") if call.draw_hit() else 0
    for number in range(call.value("events")):
        text = call.info(f"batch {call.part}, event {number}")
        yield NewEvent(call.stream(number), call.now_ms - by_ms + number % 100, text)


def _batches_contradiction(values: Values) -> str | None:
    if values["batches"] * values["step_ms"] <= BATCHES_SPAN_MS_MAX:
        return None
    return f"batches times step_ms must be at most {BATCHES_SPAN_MS_MAX}, 13 days"


def _terminal_escapes(call: WriteCall) -> Iterable[NewEvent]:
    for number in range(call.value("rounds") * len(ESCAPES)):
        text = f"INFO  {ESCAPES[number % len(ESCAPES)]} (end)"
        if not call.draw_hit():
            text = "INFO  plain"
        yield NewEvent(call.stream(number), call.now_ms, text)


_JITTER: Final = "more or less by up to this"

WORKLOAD: Final = (
    FaultType(
        "duplicate_timestamps",
        "Writes a burst of different events with one timestamp, over all running executions.",
        _write(_duplicate_timestamps),
        (
            Attribute("events", 10_000, 100_000, "events in the millisecond", minimum=1),
            Attribute("every_ms", 0, DAY_MS, "another burst after, 0 = once"),
        ),
        instant,
        affects="batches",
    ),
    FaultType(
        "identical_messages",
        "Writes the same message with the same timestamp into the same log stream many times.",
        _write(_identical_messages),
        (Attribute("events", 100, 100_000, "equal events", minimum=1), EVERY_MS),
        instant,
        affects="batches",
    ),
    FaultType(
        "blank_messages",
        "Writes messages of blank characters: spaces, tabs, line ends. CloudWatch takes no less.",
        _write(_blank_messages),
        (Attribute("events", 20, 10_000, "blank events", minimum=1), EVERY_MS),
        instant,
        affects="batches",
    ),
    FaultType(
        "late_events",
        "Writes events with timestamps of the past, as far as CloudWatch takes them: 14 days.",
        _write(_shifted_events(-1, "late_ms", AGE_MS_MAX, "late")),
        (
            Attribute("events", 20, 10_000, "late events", minimum=1),
            Attribute("late_ms", 60_000, 14 * DAY_MS, "how late", is_age=True),
            Attribute("jitter_ms", 0, 14 * DAY_MS, _JITTER, is_age=True),
            EVERY_MS,
        ),
        instant,
        affects="batches",
    ),
    FaultType(
        "future_events",
        "Writes events with timestamps of the future, as far as CloudWatch takes them: 2 hours.",
        _write(_shifted_events(1, "ahead_ms", AHEAD_MS_MAX, "ahead")),
        (
            Attribute("events", 20, 10_000, "events ahead of time", minimum=1),
            Attribute("ahead_ms", 600_000, AHEAD_MS_MAX, "how far ahead", is_age=True),
            Attribute("jitter_ms", 0, AHEAD_MS_MAX, _JITTER, is_age=True),
            EVERY_MS,
        ),
        instant,
        affects="batches",
    ),
    FaultType(
        "out_of_order_batches",
        "Writes several batches, the newest first: as after a log agent's retries.",
        _write(_out_of_order_batches, lambda values: values["batches"]),
        (
            Attribute("batches", 10, 50, "calls", minimum=1),
            Attribute("events", 50, 10_000, "events in each", minimum=1),
            Attribute(
                "step_ms", 1_000, DAY_MS, "how much older each is than the one before", is_age=True
            ),
            EVERY_MS,
        ),
        instant,
        contradiction=_batches_contradiction,
        affects="batches",
    ),
    FaultType(
        "burst",
        "Writes many ordinary lines at once, stack traces and JSON among them.",
        _write(_burst),
        (
            Attribute("events", 20_000, 500_000, "lines", minimum=1),
            Attribute("span_ms", 1_000, DAY_MS, "spread over this time before now", is_age=True),
            EVERY_MS,
        ),
        instant,
        affects="batches",
    ),
    FaultType(
        "huge_event",
        "Writes events of almost 1 MB, half of it characters that are several bytes each.",
        _write(_huge_event),
        (
            Attribute("events", 3, 100, "huge events", minimum=1),
            Attribute("bytes", HUGE_BYTES_MAX, HUGE_BYTES_MAX, "size of each, UTF-8", minimum=100),
            EVERY_MS,
        ),
        instant,
        affects="batches",
    ),
    FaultType(
        "hostile_lines",
        "Writes long lines that are costly to draw, measure or match: tabs, marks, escapes.",
        _write(_hostile_lines),
        (
            Attribute("rounds", 1, 100, "rounds of all the texts", minimum=1),
            Attribute("bytes", HUGE_BYTES_MAX, HUGE_BYTES_MAX, "size of each, UTF-8", minimum=100),
            EVERY_MS,
        ),
        instant,
        affects="batches",
    ),
    FaultType(
        "new_stream",
        "Creates new log streams, as new executions do, and writes into them at once.",
        _write(_new_stream),
        (
            Attribute("streams", 3, 1_000, "log streams", minimum=1),
            Attribute("events", 10, 10_000, "events in each", minimum=1),
            EVERY_MS,
        ),
        instant,
        affects="batches",
    ),
    FaultType(
        "terminal_escapes",
        "Writes control sequences, bidirectional and zero-width characters, and lone surrogates.",
        _write(_terminal_escapes),
        (Attribute("rounds", 1, 1_000, "rounds of all the texts", minimum=1), EVERY_MS),
        instant,
        affects="batches",
    ),
    FaultType(
        "last_words",
        "Starts an execution that writes and ends at once, with events that arrive after its end.",
        _write(_last_words, lambda _: 2),
        (
            Attribute("events", 200, 10_000, "lines in the last moments", minimum=1),
            Attribute("after", 20, 1_000, "lines that arrive after the end"),
            EVERY_MS,
        ),
        instant,
        affects="batches",
    ),
)
"""Every fault of the workload."""
