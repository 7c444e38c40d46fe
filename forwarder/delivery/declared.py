"""What is declared about one viewer's range: gaps, and texts that changed under their ids. Pure."""

from __future__ import annotations

from typing import Final

from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import concerns
from forwarder.records import AlteredEvent, GapRecord
from wire.messages import AlteredText, DeclaredBody, DeclaredGap
from wire.query import Filter

TEXT_CHARS_MAX: Final = 100_000
"""Characters of other texts in one response: a polling client gets them all with each round."""


def is_declared_to(gap: GapRecord, filter_: Filter, since: int) -> bool:
    """Whether a gap concerns a viewer."""
    return gap.through >= since and gap.matches(filter_) and concerns(gap.reason, since)


def altered_text(event: AlteredEvent) -> AlteredText:
    """The other text of an event, as the protocol sends it."""
    return AlteredText(event.id, event.timestamp, event.message, event.length)


def declared_to(group: LogGroup, filter_: Filter, since: int) -> DeclaredBody:
    """Everything that is declared to a viewer now; of the other texts the newest that fit."""
    texts, room = [], TEXT_CHARS_MAX
    for event in reversed(group.alterations.texts()):
        if event.timestamp < since or not filter_.matches(event.stream):
            continue
        room -= len(event.message or "")
        if room < 0:
            break
        texts.append(altered_text(event))
    texts.reverse()
    gaps = [
        DeclaredGap(gap.id, gap.from_, gap.through, gap.state, gap.reason, gap.recovered)
        for gap in group.gaps()
        if is_declared_to(gap, filter_, since)
    ]
    return DeclaredBody(group.epoch, gaps, texts, group.alterations.count(filter_, since))
