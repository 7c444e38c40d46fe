"""Broken viewers: each function breaks the viewer of this process.

As with the forwarders: where a mutant would be healed by another rule of the product, it switches
that off, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from tests.mutants.patching import put
from tui.client.holdings import Holdings, RangeRequest
from tui.client.session import RequestQueue, ViewerSession
from tui.client.status import Effect, Stored
from tui.lines.rows import Change, Line, Row
from tui.lines.timeline import Timeline
from tui.render.safe_text import harmless
from wire.messages import Item

Rows = Callable[[list[Row]], Iterable[Row]]


def _no_repairs() -> None:
    """Disable rule [13]: the viewer requests no repairs."""
    ask = RequestQueue.add

    def without(self: RequestQueue, request: RangeRequest) -> bool:
        return request.kind != "repair" and ask(self, request)

    put(RequestQueue, "add", without)


def _displayed(change: Rows) -> None:
    """Change the displayed rows, and thus the record."""
    iterate = Timeline.iterate

    def changed(self: Timeline, start: int = 0) -> Iterator[Row]:
        yield from change(list(iterate(self, start)))

    put(Timeline, "iterate", changed)


# What is shown


def shows_nothing() -> None:
    """Everything is received and verified, but nothing is displayed."""
    _displayed(lambda _rows: ())


def appends_late_lines() -> None:
    """Lines are displayed in order of arrival, so late ones are at the end."""
    places: dict[int, int] = {}
    add_many = Timeline.add_many

    def noting(self: Timeline, rows: Iterable[Row]) -> Change:
        batch = list(rows)
        for row in batch:
            places.setdefault(row.key, len(places))
        return add_many(self, batch)

    put(Timeline, "add_many", noting)
    _displayed(lambda rows: sorted(rows, key=lambda row: places.get(row.key, len(places))))


def strips_text() -> None:
    """Messages are displayed without leading and trailing white space."""
    _texts(str.strip)


def replaces_controls() -> None:
    """Messages are recorded with control characters replaced, as on the screen."""
    _texts(harmless)


def _texts(change: Callable[[str], str]) -> None:
    def changed(rows: list[Row]) -> Iterator[Row]:
        for row in rows:
            yield replace(row, message=change(row.message)) if isinstance(row, Line) else row

    _displayed(changed)


def doubles_on_reconnect() -> None:
    """The viewer reconnects without a cursor and shows resent events twice."""
    copies: Counter[int] = Counter()
    store = Holdings.store

    def counting(self: Holdings, items: Sequence[Item], *, live: bool) -> tuple[Stored, list[int]]:
        stored, keys = store(self, items, live=live)
        copies.update(keys)
        return stored, keys

    def with_duplicates(rows: list[Row]) -> Iterator[Row]:
        for row in rows:
            yield from [row] * max(1, copies[row.key])

    put(Holdings, "store", counting)
    put(ViewerSession, "cursor", lambda _self: None)
    _displayed(with_duplicates)


# What is received


def drops_on_reconnect() -> None:
    """The first events after each reconnection are dropped; repairs are off."""
    store, returned = ViewerSession.store_items, Counter[int]()

    def dropping(
        self: ViewerSession, items: list[Item], now_ms: int, *, live: bool
    ) -> list[Effect]:
        if items and returned[0] < self.welcomes - 1:
            returned[0] = self.welcomes - 1
            items = []
        return store(self, items, now_ms, live=live)

    put(ViewerSession, "store_items", dropping)
    _no_repairs()


def trusts_blindly() -> None:
    """Marks are trusted without comparison, and gaps in the numbering go unnoticed."""
    put(Holdings, "is_equal", lambda _self, _claim: True)
    put(ViewerSession, "_skips_numbers", lambda _self, _n: False)
    put(ViewerSession, "_continues_stream", lambda _self, _message: True)
    put(ViewerSession, "_is_behind", lambda _self, _seq: False)


def ignores_epoch() -> None:
    """Seqs of different epochs are compared: lower ones count as already received."""
    known = 0
    rebase, store = ViewerSession.rebase, ViewerSession.store_items

    def remembering(self: ViewerSession, reason: str) -> list[Effect]:
        nonlocal known
        known = max(known, self.after)
        return rebase(self, reason)

    def above(self: ViewerSession, items: list[Item], now_ms: int, *, live: bool) -> list[Effect]:
        return store(self, [one for one in items if one.seq > known], now_ms, live=live)

    put(ViewerSession, "rebase", remembering)
    put(ViewerSession, "store_items", above)


def trusts_held() -> None:
    """After a rebase, history that was held before is not accepted again."""
    rebase, store = ViewerSession.rebase, ViewerSession.store_items
    has_past = False

    def remembering(self: ViewerSession, reason: str) -> list[Effect]:
        nonlocal has_past
        has_past = has_past or self.is_backfilled
        return rebase(self, reason)

    def without_past(
        self: ViewerSession, items: list[Item], now_ms: int, *, live: bool
    ) -> list[Effect]:
        return store(self, items if live or not has_past else [], now_ms, live=live)

    put(ViewerSession, "rebase", remembering)
    put(ViewerSession, "store_items", without_past)
