"""A minimal forwarder HTTP API over a list of events, for tests of polling."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from common.http import Response
from tests.support.viewer.server_messages import total
from tui.client.polling import PollPlan
from tui.client.status import Effect
from wire.codec import encode
from wire.messages import (
    AlteredText,
    DeclaredBody,
    DeclaredGap,
    DigestBody,
    ExecutionSummary,
    HttpError,
    Item,
    LogsPage,
    Upstream,
)
from wire.order import key_of
from wire.query import LogsQuery, parse_digest, parse_logs

NOW = 100_000


class HttpJournal:
    """Answers ``/v1/logs``, ``/v1/digest`` and ``/v1/executions`` from its items.

    Args:
        items: The journal's events, with seqs from 1.
        page: Most items per page.

    """

    def __init__(self, items: list[Item], *, epoch: str = "e1", page: int = 3) -> None:
        self.items = items
        self.epoch = epoch
        self.resumable = {epoch}
        self.page = page
        self.complete_through: int | None = None
        self.asked: list[str] = []
        self.executions: list[ExecutionSummary] = []
        self.gaps: list[DeclaredGap] = []
        self.texts: list[AlteredText] = []
        self.declares = True
        """Whether it has ``/v1/declared``, an extension."""
        self.upstream: Upstream | None = None
        self.before: Callable[[str], None] = lambda _target: None
        """Called with the target of every request before the response."""

    @property
    def head_seq(self) -> int:
        return max((one.seq for one in self.items), default=0)

    def answer(self, target: str) -> Response:
        self.before(target)
        self.asked.append(target)
        parts = urlsplit(target)
        if parts.path == "/v1/executions":
            return Response(200, encode(self.executions))
        if parts.path == "/v1/declared":
            declared = DeclaredBody(
                self.epoch, self.gaps, self.texts, len(self.texts), self.upstream
            )
            missing = Response(404, encode(HttpError("no such path")))
            return Response(200, encode(declared)) if self.declares else missing
        if parts.path == "/v1/digest":
            return self._digest(parts.query)
        query = parse_logs(parts.query)
        if query.epoch is not None and query.epoch not in self.resumable:
            return Response(409, encode(HttpError("another journal", self.epoch)))
        found = self._after(query) if query.after is not None else self._between(query)
        begin = int(query.next or 0)
        items = found[begin : begin + min(self.page, query.limit)]
        more = begin + len(items) < len(found)
        page = LogsPage(
            epoch=self.epoch,
            head_seq=self.head_seq,
            next=str(begin + len(items)) if more else None,
            complete_through=self.complete_through,
            items=items,
        )
        return Response(200, encode(page))

    def _after(self, query: LogsQuery) -> list[Item]:
        after = query.after or 0
        return sorted((one for one in self.items if one.seq > after), key=lambda one: one.seq)

    def _between(self, query: LogsQuery) -> list[Item]:
        low, high = query.since or 0, query.through
        found = [
            one
            for one in self.items
            if low <= one.timestamp and (high is None or one.timestamp <= high)
        ]
        return sorted(found, key=lambda one: key_of(one.timestamp, one.id))

    def _digest(self, text: str) -> Response:
        query = parse_digest(text)
        if query.epoch not in self.resumable:
            return Response(409, encode(HttpError("another journal", self.epoch)))
        count, digest = total(
            one
            for one in self.items
            if query.from_ <= one.timestamp <= query.through and query.base < one.seq <= query.seq
        )
        reply = DigestBody(
            epoch=self.epoch,
            from_=query.from_,
            through=query.through,
            seq=query.seq,
            count=count,
            digest=digest,
        )
        return Response(200, encode(reply))


def poll(plan: PollPlan, http_journal: HttpJournal, now_ms: int = NOW) -> list[Effect]:
    """Run one complete polling round; returns its effects."""
    effects: list[Effect] = []
    plan.begin_round(now_ms)
    while (ask := plan.next_request()) is not None:
        effects += plan.take_response(ask, http_journal.answer(ask.target), now_ms)
    plan.end_round()
    return effects
