"""From where a viewer goes on, and whether a forwarder's welcome goes on from there. Pure.

Numbers in brackets are the protocol's rules, each in a method of its own.
"""

from __future__ import annotations

import msgspec

from tui.client.effects import Effect
from tui.client.holdings import Holdings
from tui.client.saved import NOTHING_HELD, Cursor
from wire.messages import Welcome
from wire.order import Interval, first_key
from wire.query import Filter, History


class Asked(msgspec.Struct, frozen=True):
    """What the last question said, and how often everything had begun anew until then."""

    cursor: Cursor | None = None
    base: int = 0
    since: int | None = None
    rebases: int = 0


class Position:
    """Where one target's viewer stands in the forwarder's stream and in the past.

    Args:
        group: The log group; None where the forwarder serves exactly one.
        wanted: The filter, the same for the viewer's whole life: a cursor belongs to it [7].
        since: From when on everything is owed, ms; None leaves it to the forwarder.
        history: Which end of the past comes first.
        cursor: A saved cursor of the same group, filter and since, whose lines are gone.
        holdings: What takes the events in.

    """

    def __init__(
        self,
        *,
        group: str | None,
        wanted: Filter,
        since: int | None,
        history: History,
        cursor: Cursor | None,
        holdings: Holdings,
    ) -> None:
        """Stand at the beginning, or at a saved cursor."""
        self.group = group
        self.wanted = wanted
        self.history: History = history
        self.holdings = holdings
        self.epoch: str | None = None
        self.after = 0
        """The seq last received, which is stored before the next message is looked at."""
        self.held: Interval | None = None
        self.is_done = False
        """Whether all of the past that was owed is here."""
        self.welcomes = 0
        """How often a forwarder took the viewer in."""
        self._since = since
        self._asked = Asked()
        self._rebases = 0
        if since is not None:
            self.holdings.proof.since = since
        if cursor is not None:
            self.epoch, self.after = cursor.epoch, cursor.after
            self.hold(cursor.held)
            self.holdings.tally.base = self._base_of(cursor)

    @property
    def since(self) -> int | None:
        """From when on everything is owed, ms; None until the forwarder has said it."""
        return self._since

    @since.setter
    def since(self, since: int) -> None:
        self._since = self.holdings.proof.since = since

    def cursor(self) -> Cursor | None:
        """From where to go on: the seq last *stored*, and the past that is here.

        ``held`` always goes with a cursor, or no past would be owed any more [1, 3].
        """
        if self.epoch is None:
            return None
        return Cursor(self.epoch, self.after, self.held or NOTHING_HELD)

    def begin(self) -> Asked:
        """Begin a question: it is from here that the answer must go on."""
        cursor = self.cursor()
        base = self.holdings.tally.base if cursor else 0
        self._asked = Asked(cursor, base, self._since, self._rebases)
        return self._asked

    def _is_of_this_epoch(self, message: Welcome) -> bool:
        """Whether what is here came by polling from the epoch that a first connection now meets."""
        no_cursor = self._asked.cursor is None and message.outcome == "fresh"
        return no_cursor and message.epoch == self.epoch

    def _has_foreign_base(self) -> bool:
        """Whether this connection counts from a seq that another epoch gave out [16].

        A mark of it would prove nothing, so the next attempt asks without cursor and base. It is
        the base that was asked with: polling may have begun anew since then.
        """
        return self._asked.base > 0

    def _base_of(self, cursor: Cursor) -> int:
        """The lines of an earlier run are not here, so none up to the cursor counts [16]."""
        return cursor.after

    def rebase(self, reason: str) -> list[Effect]:
        """The cursor is of another epoch: everything is owed again [6]."""
        self.epoch, self.after, self.held, self.is_done = None, 0, None, False
        self._rebases += 1
        return self.holdings.rebase(reason)

    def hold(self, held: Interval) -> None:
        """So much of the past is here."""
        self.held = held
        low = held.low is None or (self._since is not None and held.low <= first_key(self._since))
        self.is_done = low and held.high is None

    def _goes_on(self) -> bool:
        """Whether there was something before this connection, here or in an earlier run."""
        return self.welcomes > 0 or self.holdings.tally.base > 0

    def _take_back(self, message: Welcome) -> bool:
        """Stand again where the question stood; whether the answer is about it, and possible.

        Lines that came by polling since the question come again, and are dropped as doubles.
        """
        asked = self._asked.cursor
        same = self._asked.rebases == self._rebases
        if asked is None or not same or message.head_seq < asked.after:
            return False
        self.hold(asked.held)
        return message.after == asked.after
