"""``terminal_escapes``: messages that would act on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.faults.base import Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault

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
