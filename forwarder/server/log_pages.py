"""Pages of ``GET /v1/logs``: events in display order, or in seq order after a cursor. Pure.

All pages of one request show one state of the journal: the first page fixes the head, and ``next``
carries it. A client that then reads on after that head in seq order misses nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from http import HTTPStatus
from typing import Final

import msgspec

from forwarder.delivery.backfill import last_wire_key
from forwarder.delivery.frames import EMPTY_SLICE, Slice
from forwarder.delivery.hub import Hub
from forwarder.errors import RequestError
from forwarder.ingest.retention import concerns
from wire.codec import encode
from wire.errors import WireError
from wire.limits import LOGS_PAGE_BYTES_MAX, TIMESTAMP_MAX
from wire.order import Interval, first_key, format_key, key_of, last_key, parse_key, timestamp_of
from wire.query import LogsQuery

ENVELOPE_BYTES: Final = 512
"""Room for the JSON around a page's items."""

FETCHES_MAX: Final = 3
"""How often bodies are fetched again for one page before it fails."""

LONG_SLICES_MAX: Final = 10
"""Slices of one page that examined as many rows as they may and are not full. A page ends there,
maybe empty: a client that waits for a rare stream would time out otherwise."""

_TOKEN_PARTS: Final = 6


class BodyRequest(msgspec.Struct):
    """A time range (ms, inclusive) whose bodies must be fetched before the response goes on."""

    hub: Hub
    from_: int
    through: int


class LogsPageBuilder:
    """Builds one page of ``GET /v1/logs``."""

    def __init__(self, hub: Hub, query: LogsQuery) -> None:
        """Start a request, or continue it where ``next`` says.

        Raises:
            RequestError: The cursor or ``next`` belongs to another journal (409).
            WireError: ``next`` is malformed.
        """
        self._hub = hub
        self._group = hub.group
        self._query = query
        self._since = query.since or 0
        self._through = TIMESTAMP_MAX if query.through is None else query.through
        self._epoch = self._group.epoch
        self._is_by_seq = query.after is not None
        self._head = self._until = self._group.head_seq
        self._complete_through: int | None = None
        self._at = query.after or 0
        if query.next is not None:
            self._continue_from(query.next)
            return
        if query.epoch is not None:
            self._check_cursor(query.epoch, self._at)
        if query.until_seq is not None and query.until_seq < self._until:
            self._until = query.until_seq
        else:
            # How far an earlier state of the journal was complete is not known.
            self._complete_through = self._marked_through()
        if not self._is_by_seq:
            self._at = first_key(self._since)

    def _marked_through(self) -> int | None:
        """How far scans mark the range, short of lost events, which a page can't declare."""
        through = self._group.complete_through(self._since)
        if through is None:
            return None
        journal, since = self._group.journal, self._since
        firsts = [lost.from_ for lost in journal.lost(since, through, self._query.filter)]
        firsts += [
            gap.from_
            for gap in self._group.gaps()
            if gap.state == "unrecoverable"
            and gap.through >= since
            and concerns(gap.reason, since)
            and gap.matches(self._query.filter)
        ]
        through = min([through, *(first - 1 for first in firsts)])
        return through if through >= since else None

    def _continue_from(self, token: str) -> None:
        parts = token.split("~")
        if len(parts) != _TOKEN_PARTS or parts[5] not in ("k", "s"):
            msg = "next is not a token of this forwarder"
            raise WireError(msg)
        epoch, head, until, complete, at, order = parts
        if order != ("s" if self._is_by_seq else "k"):
            msg = "next belongs to a request in the other order"
            raise WireError(msg)
        self._head, self._until = _number(head), _number(until)
        self._check_cursor(epoch, self._head)
        self._complete_through = _number(complete) if complete else None
        self._at = _number(at) if self._is_by_seq else parse_key(at)

    def _check_cursor(self, epoch: str, seq: int) -> None:
        if not self._group.journal.is_resumable(epoch, seq):
            text = "the cursor belongs to another journal"
            raise RequestError(HTTPStatus.CONFLICT, text, self._group.epoch)

    def body(self) -> Generator[BodyRequest | None, None, bytes]:
        """Make the page as JSON; yields between slices, and where bodies must be fetched again.

        Raises:
            RequestError: Bodies were not fetched (503), or the journal began a new chain (409).
        """
        parts: list[bytes] = []
        count, size, fetches, long_slices = 0, ENVELOPE_BYTES, 0, 0
        is_end = False
        while True:
            found = self._slice(self._query.limit - count)
            if found.items and parts and size + len(found.body) > LOGS_PAGE_BYTES_MAX:
                break
            self._advance(found)
            if found.items:
                parts.append(found.body[1:-1])
                count += len(found.items)
                size += len(found.body)
            is_end = found.stop == "end"
            long_slices += found.stop == "long"
            if found.bodies is not None:
                if parts:
                    break
                if fetches == FETCHES_MAX:
                    text = "messages could not be fetched again from CloudWatch Logs: retry later"
                    raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text)
                fetches += 1
                yield BodyRequest(self._hub, *found.bodies)
            elif is_end or count >= self._query.limit or long_slices == LONG_SLICES_MAX:
                break
            else:
                yield None
            if self._group.epoch != self._epoch:
                text = "the journal began a new chain"
                raise RequestError(HTTPStatus.CONFLICT, text, self._group.epoch)
        return self._page(parts, is_end=is_end or self._is_last(count))

    def _is_last(self, count: int) -> bool:
        """Whether a full page is the last one: an empty slice finds out."""
        return count >= self._query.limit and self._slice(0).stop == "end"

    def _slice(self, limit: int) -> Slice:
        slices, wanted = self._hub.slices, self._query.filter
        if self._is_by_seq:
            times = self._since, self._through
            return slices.page(self._at, self._until, wanted, times, limit)
        if self._at > last_key(self._through):
            return EMPTY_SLICE
        rest = Interval(self._at, last_key(self._through))
        return slices.between(rest, wanted, limit, until_seq=self._until)

    def _advance(self, found: Slice) -> None:
        last = found.last
        if last is not None:
            self._at = last.seq if self._is_by_seq else key_of(last.timestamp, last.id) + 1

    def _page(self, parts: list[bytes], *, is_end: bool) -> bytes:
        following = None if is_end else self._token()
        head = {
            "epoch": self._epoch,
            "head_seq": self._head,
            "next": following,
            "complete_through": self._complete_through,
        }
        return encode(head)[:-1] + b',"items":[' + b",".join(parts) + b"]}"

    def _token(self) -> str:
        complete = "" if self._complete_through is None else str(self._complete_through)
        if self._is_by_seq:
            at, order = str(self._at), "s"
        else:
            # After the largest id that the wire can express follows the next millisecond.
            is_last = self._at > last_wire_key(timestamp_of(self._at))
            at = format_key(first_key(timestamp_of(self._at) + 1) if is_last else self._at)
            order = "k"
        return "~".join((self._epoch, str(self._head), str(self._until), complete, at, order))


def cursor_of(query: LogsQuery) -> tuple[str, int] | None:
    """The epoch and seq that a request refers to; None: to none, or its token is invalid."""
    if query.next is None:
        return None if query.epoch is None else (query.epoch, query.after or 0)
    epoch, _, rest = query.next.partition("~")
    head = rest.partition("~")[0]
    return (epoch, int(head)) if head.isascii() and head.isdigit() else None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        msg = "next is not a token of this forwarder"
        raise WireError(msg)
    return int(text)
