"""``last_words``: an execution that says the most important things as it ends."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from simulator.acceptance import NewEvent
from simulator.faults.base import Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault
from simulator.workload.lines import first_words, last_words, message

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
        yield NewEvent(stream, end_ms - TOOK_MS, first_words(execution, shared))
        for number in range(self.values["events"]):
            at_ms = end_ms if self.hits(writing) else end_ms - writing.rng.randint(1, 1_000)
            yield NewEvent(stream, at_ms, message(number, 1.0, writing.rng))
        yield NewEvent(stream, end_ms, last_words("FAILED", TOOK_MS))
