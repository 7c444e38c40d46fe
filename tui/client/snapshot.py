"""The status as a snapshot, from what the sessions and their stories know. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tui.client.history import Story
from tui.client.session import ViewerSession
from tui.client.status import STATE_ORDER, Progress, Status, TargetStatus
from tui.lines.rows import time_key
from tui.lines.timeline import Timeline
from wire.order import timestamp_of


class Watched(NamedTuple):
    """What is known of one target."""

    name: str
    group: str | None
    url: str
    session: ViewerSession
    story: Story


def snapshot(watched: Sequence[Watched], timeline: Timeline, now_ms: int) -> Status:
    """All targets together, at a time in ms."""
    targets = tuple(_target(number, one, now_ms) for number, one in enumerate(watched))
    throughs = [one.complete_through_ms for one in targets if one.complete_through_ms is not None]
    floors = [one.uncompared_ms for one in targets if one.uncompared_ms is not None]
    lags = [one.lag_ms for one in targets if one.lag_ms is not None]
    volumes = [one.story.volume.seconds(now_ms) for one in watched]
    pasts = [one.story.past.seconds(now_ms) for one in watched]
    return Status(
        at_ms=now_ms,
        targets=targets,
        state=min((one.state for one in targets), key=STATE_ORDER.index, default="connecting"),
        complete_through_ms=min(throughs) if throughs and len(throughs) == len(targets) else None,
        provisional=sum(one.provisional for one in targets),
        missing=sum(one.missing for one in targets),
        gaps=tuple(gap for one in targets for gap in one.gaps),
        lost=tuple(lost for one in targets for lost in one.lost),
        unproved=tuple(unproved for one in targets for unproved in one.unproved),
        lag_ms=max(lags, default=None),
        rate_per_s=sum(one.rate_per_s for one in targets),
        volume=tuple(map(sum, zip(*volumes, strict=True))),
        volume_past=tuple(map(sum, zip(*pasts, strict=True))),
        lines=timeline.lines,
        evicted=timeline.evicted,
        evicted_through_ms=timeline.evicted_through_ms,
        events=sum(one.events for one in targets),
        duplicates=sum(one.duplicates for one in targets),
        late=sum(one.late for one in targets),
        repaired=sum(one.repaired for one in targets),
        unconfirmed=sum(one.unconfirmed for one in targets),
        uncompared_ms=max(floors, default=None),
    )


def _target(number: int, watched: Watched, now_ms: int) -> TargetStatus:
    session, story = watched.session, watched.story
    holdings, heard = session.holdings, session.heard
    proof, tally, counts = holdings.proof, holdings.tally, holdings.counts
    through = proof.complete_through
    return TargetStatus(
        target=number,
        name=watched.name or watched.group or watched.url,
        url=watched.url,
        group=watched.group,
        state=story.state(now_ms),
        state_since_ms=story.state_since_ms,
        detail=story.detail,
        attempt=story.attempt,
        retry_at_ms=story.retry_at_ms,
        progress=_progress(session),
        epoch=session.epoch,
        after=None if session.epoch is None else session.after,
        head_seq=heard.head_seq,
        generation=session.generation,
        since_ms=session.since,
        complete_through_ms=through,
        provisional=len(tally) if through is None else tally.count_above(time_key(through + 1) - 1),
        missing=sum(one.missing for one in proof.unproved),
        unproved=proof.unproved,
        gaps=proof.gaps,
        lost=proof.lost,
        events=counts.events,
        unconfirmed=tally.unconfirmed,
        duplicates=counts.duplicates,
        late=counts.late,
        repaired=counts.repaired,
        marks=counts.marks,
        marks_unequal=counts.marks_unequal,
        last_mark=holdings.last_mark,
        malformed=story.malformed,
        upstream=heard.upstream.state if heard.upstream else None,
        upstream_lag_ms=heard.upstream.lag_ms if heard.upstream else None,
        lag_ms=story.lag_ms(now_ms),
        rate_per_s=story.volume.rate(now_ms),
        ends=holdings.ends,
        history=tuple(story.history),
        outages=story.outages,
        connections=tuple(story.connections),
        uncompared_ms=holdings.uncompared_ms,
    )


def _progress(session: ViewerSession) -> Progress | None:
    if not session.is_welcomed or session.is_done:
        return None
    heard, held = session.heard, session.held
    edge = None
    if held is not None:
        edge = held.low if session.history == "newest" else held.high
    reached_ms = None if edge is None else timestamp_of(edge)
    return Progress(heard.past_received, heard.past_total, reached_ms)
