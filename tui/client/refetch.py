"""Lines that are not in memory, asked for again over HTTP: one target's part of a piece. Pure.

They come in by no side door: an event that the viewer was never sent is left to the connection,
and to the comparisons, which would miss it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from tui.client.session import ViewerSession
from tui.lines.rows import RULE_LANE, Line, time_of
from wire.codec import decode_body
from wire.errors import WireError
from wire.messages import HttpError, LogsPage
from wire.query import LogsQuery

LINES_MAX: Final = 10_000
"""Lines asked for at once, of each target: those of a page."""

PAGES_MAX: Final = 100
"""Pages of one question: a page may be empty where the filter leaves out all that is on it."""


class RecallError(Exception):
    """The lines can't be had now; the text is one line for a person."""


class Recall:
    """Asks page by page.

    Args:
        session: The target's.
        low: The first key asked for.
        high: The last one.

    """

    def __init__(self, session: ViewerSession, low: int, high: int) -> None:
        """Nothing has been asked yet."""
        self._session = session
        self._low = low
        self._high = high
        self._next: str | None = None
        self._pages = 0
        self._is_over = False
        self.lines: list[Line] = []
        self.through: int | None = None
        """The last key that has come, where there is more; None where everything is here."""

    def next(self) -> str | None:
        """Path and query to ask for; None at the end.

        Raises:
            RecallError: too many pages.

        """
        if self._is_over:
            return None
        if self._pages >= PAGES_MAX:
            msg = f"{PAGES_MAX} pages were not all of it"
            raise RecallError(msg)
        self._pages += 1
        query = LogsQuery(
            group=self._session.group,
            filter=self._session.wanted,
            since=time_of(self._low),
            through=time_of(self._high),
            next=self._next,
        )
        return f"/v1/logs?{query.encode()}"

    def answered(self, status: int, body: bytes) -> None:
        """Take in an answer.

        Raises:
            RecallError: it is none, or says no.

        """
        try:
            if status != HTTPStatus.OK:
                raise RecallError(decode_body(body, HttpError).error[:200])
            page = decode_body(body, LogsPage)
            found = self._session.holdings.recall(page.items, self._session.after)
        except WireError as error:
            raise RecallError(str(error)) from error
        self.lines += [line for line in found if self._low <= line.key <= self._high]
        self._next = page.next
        if page.next is None:
            self._is_over = True
        elif len(self.lines) >= LINES_MAX:
            self._is_over = True
            # Of all targets that have an event of that id in that millisecond.
            self.through = self.lines[-1].key | RULE_LANE
