"""What is stored, and what is hidden: everything that levers may reach.

Every method locks for itself. What is not visible yet is not among the events that reads look
through, so that it costs them nothing.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence

from simulator.cloudwatch.events import KEY_BITS, Event, Ids
from simulator.cloudwatch.store import GroupStore
from simulator.cloudwatch.tokens import Tokens
from simulator.visibility import Regime, Visibility

Groups = Callable[[], Iterable[GroupStore]]
"""The log groups of all Regions that there are."""


class Logs:
    """The stored logs of this process.

    Attributes:
        lock: held while anything is stored or looked up; briefly, by one thread at a time.
        visibility: when an event becomes visible.
        tokens: what pages are continued by; they can be made to expire.
        now_ms: the clock that ingestion times are read from.
        stream_times_lag_ms: how far behind the times may be that DescribeLogStreams tells.

    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        groups: Groups = lambda: (),
        remake: Callable[[str], int] = lambda _: 0,
    ) -> None:
        """Nothing yet; ``remake`` is what ``recreate`` does, and says how many groups it was."""
        self.lock = threading.RLock()
        self.visibility = Visibility()
        self.tokens = Tokens()
        self.stream_times_lag_ms = 0
        self.ids = Ids(now_ms())
        self.now_ms = now_ms
        self._groups = groups
        self._remake = remake
        self._accepted = 0
        self._ingested_ms = 0
        # (visible_ms, key, event, store): the key settles ties.
        self._hidden: list[tuple[int, int, Event, GroupStore]] = []

    def put(self, store: GroupStore, stream: str, events: Sequence[tuple[int, str]]) -> list[Event]:
        """Accept (timestamp, message) pairs for a log stream that is there; as stored."""
        with self.lock:
            # Never earlier than the last, so that n alone has the order of ingestion, too.
            ingested_ms = self._ingested_ms = max(self.now_ms(), self._ingested_ms)
            first = self._accepted
            self._accepted += len(events)
            made = [
                (timestamp << KEY_BITS | number, ingested_ms, stream, message)
                for number, (timestamp, message) in enumerate(events, first)
            ]
            kept = store.streams[stream]
            kept.last_ingestion_ms = ingested_ms
            kept.stored_bytes += sum(len(message) for _, message in events)
            store.insert(self._hide(store, made) if self._may_hide(ingested_ms) else made)
        return made

    def reveal(self, now_ms: int) -> None:
        """Let what has become visible be read."""
        with self.lock:
            if not self._hidden or self._hidden[0][0] > now_ms:
                return
            seen: dict[int, tuple[GroupStore, list[Event]]] = {}
            while self._hidden and self._hidden[0][0] <= now_ms:
                _, _, event, store = heapq.heappop(self._hidden)
                seen.setdefault(id(store), (store, []))[1].append(event)
            for store, events in seen.values():
                store.insert(events)

    @property
    def hidden(self) -> int:
        """How many events nobody can see yet."""
        return len(self._hidden)

    def impose(self, regime: Regime) -> None:
        """Delay what is ingested while the regime holds.

        Raises:
            SimulatorError: there have been too many.

        """
        with self.lock:
            self.visibility.impose(regime)

    def heal(self, name: str, now_ms: int) -> None:
        """Show what the regimes of that name hide."""
        with self.lock:
            self.visibility.heal(name, now_ms)
            self._hidden = [
                (self._visible_ms(event), key, event, store)
                for _, key, event, store in self._hidden
            ]
            heapq.heapify(self._hidden)
            self.reveal(now_ms)

    def expire(self, group: str, before_ms: int) -> int:
        """Let retention take what is older, in the groups of that name; how many events."""
        with self.lock:
            return sum(one.expire(before_ms) for one in self._groups() if one.name == group)

    def recreate(self, group: str) -> int:
        """Delete the log groups of that name and make them anew, empty; how many there are.

        Log streams, subscription filters and retention are made anew with them, as whoever
        deploys a job does it, so that those who write can go on.
        """
        with self.lock:
            return self._remake(group)

    def groups(self) -> list[GroupStore]:
        """Every log group."""
        with self.lock:
            return list(self._groups())

    def _may_hide(self, now_ms: int) -> bool:
        return self.visibility.may_hide(now_ms)

    def _hide(self, store: GroupStore, events: list[Event]) -> list[Event]:
        seen = []
        for event in events:
            visible_ms = self._visible_ms(event)
            if visible_ms > event[1]:
                heapq.heappush(self._hidden, (visible_ms, event[0], event, store))
            else:
                seen.append(event)
        return seen

    def _visible_ms(self, event: Event) -> int:
        key, ingested_ms, stream, message = event
        return self.visibility.visible_ms(stream, key >> KEY_BITS, message, ingested_ms)
