"""The shards of one Kinesis stream: which to read when, and from where. Pure.

Times are ms of any one clock. A stream is split and merged while it is read: a closed shard is read
to its end before its children start, and listing the shards again finds the children. A wrong list
or position only costs time, since a live path is never assumed to be complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final, Literal

import msgspec

READ_EVERY_MS: Final = 210
"""GetRecords allows five calls a second for a shard, for all its readers together."""

READ_EVERY_MAX_MS: Final = 2_000
"""Longest interval between reads of a shard, while other readers use its calls."""

RETRY_FIRST_MS: Final = 500
RETRY_MAX_MS: Final = 10_000

LIST_EVERY_MS: Final = 30_000
"""Regular interval between lists of the shards."""

LIST_SOON_MS: Final = 1_000
"""Time until the shards are listed again for a reason, for example a closed shard."""

MARGIN_MS: Final = 60_000
"""Time that is read again where only a time, not a sequence number, says how far a read went."""

SHARDS_MAX: Final = 512
"""Shards that are read; events of further shards are left to polls."""

_BACK_SHARE: Final = 0.9
"""After a throttled call, each successful one shortens the interval by a tenth."""


class ShardInfo(msgspec.Struct, frozen=True):
    """A shard as ListShards describes it; ``ending`` is its last sequence number once closed."""

    id: str
    parents: tuple[str, ...] = ()
    ending: str | None = None


class ShardPosition(msgspec.Struct, frozen=True):
    """A position in a shard, as GetShardIterator takes it."""

    type: Literal["LATEST", "TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"]
    sequence: str | None = None
    ago_ms: int | None = None


LATEST: Final = ShardPosition("LATEST")
FROM_START: Final = ShardPosition("TRIM_HORIZON")


class ShardCall(msgspec.Struct, frozen=True):
    """The next call for a shard: get an iterator at a position, or records with an iterator.

    The result of a call other than the shard's latest is ignored: the shard was restarted.
    """

    shard: str
    turn: int
    position: ShardPosition | None = None
    iterator: str | None = None


class _ShardState:
    """The state of one shard; ``turn`` is the number of its running call."""

    __slots__ = (
        "begin", "behind_ms", "caught_up_ms", "ending", "failures", "is_done", "iterator",
        "last", "next_ms", "pace_ms", "parents", "read_ms", "turn",
    )  # fmt: skip

    def __init__(self, info: ShardInfo, begin: ShardPosition, now_ms: int) -> None:
        self.parents = info.parents
        self.ending = info.ending
        self.begin = begin
        self.iterator: str | None = None
        self.last: str | None = None
        self.read_ms: int | None = None
        self.caught_up_ms = now_ms
        self.behind_ms = 0
        self.next_ms = now_ms
        self.pace_ms: float = READ_EVERY_MS
        self.failures = 0
        self.turn: int | None = None
        self.is_done = False

    def position(self, now_ms: int) -> ShardPosition:
        """Where to continue: after the last record read, else at the time of the last read."""
        if self.last is not None:
            return ShardPosition("AFTER_SEQUENCE_NUMBER", sequence=self.last)
        if self.read_ms is not None and self.begin == LATEST:
            return ShardPosition("AT_TIMESTAMP", ago_ms=now_ms - self.read_ms + MARGIN_MS)
        return self.begin

    def is_at_end(self) -> bool:
        """Whether a closed shard's last record was read."""
        return self.ending is not None and _is_through(self.last, self.ending)


class Shards:
    """The state of one stream's shards.

    The caller lists the shards when ``is_list_due``, makes each call that ``due`` returns, and
    reports its result with ``set_iterator``, ``advance``, ``renew_iterator``, ``slow_down``,
    ``restart_shard`` or ``retry_call``.
    """

    def __init__(self, now_ms: int) -> None:
        """Start without shards, with a list due at ``now_ms``."""
        self._shards: dict[str, _ShardState] = {}
        self._list_ms = now_ms
        self._list_failures = 0
        self._is_first = True
        self._turns = count(1)
        self.left_out = 0
        """Number of shards beyond ``SHARDS_MAX``, which are not read."""

    # The list

    def is_list_due(self, now_ms: int) -> bool:
        """Whether to list the shards now."""
        return self._list_ms <= now_ms

    def begin_list(self, now_ms: int) -> None:
        """Note that a list starts; report its result with ``set_shards`` or ``retry_list``."""
        self._list_ms = now_ms + LIST_EVERY_MS

    def set_shards(self, shards: Sequence[ShardInfo], now_ms: int) -> None:
        """Replace the list; shards that are not in it are dropped.

        Shards of the first list are read from the present on. A shard that is found later is read
        from its start, once its parents are read to their end.
        """
        self._list_ms = now_ms + LIST_EVERY_MS
        self._list_failures = 0
        present = {one.id for one in shards}
        self._shards = {name: one for name, one in self._shards.items() if name in present}
        self.left_out = 0
        for info in shards:
            known = self._shards.get(info.id)
            if known is not None:
                self._update(known, info, now_ms)
            elif len(self._shards) >= SHARDS_MAX:
                self.left_out += 1
            else:
                begin = LATEST if self._is_first else FROM_START
                shard = self._shards[info.id] = _ShardState(info, begin, now_ms)
                if self._is_first and info.ending is not None:
                    # It was closed before the forwarder began to read.
                    shard.is_done, shard.last = True, info.ending
        self._is_first = False

    def retry_list(self, now_ms: int) -> None:
        """Back off after a failed list; the known shards stay."""
        self._list_ms = now_ms + _pause_ms(self._list_failures)
        self._list_failures += 1

    def forget_shards(self) -> None:
        """Forget all shards, since a stream that appears under the name later is a new one."""
        self._shards.clear()
        self._is_first = True

    def _update(self, shard: _ShardState, info: ShardInfo, now_ms: int) -> None:
        was, shard.ending = shard.ending, info.ending
        if shard.is_done and was is not None and info.ending not in (None, was):
            # moto continues to fill a shard that it has closed.
            shard.is_done, shard.iterator, shard.next_ms = False, None, now_ms
        elif not shard.is_done and shard.is_at_end():
            self._finish(shard, now_ms)

    # Calls

    def due(self, now_ms: int) -> list[ShardCall]:
        """The calls to make now, at most one for a shard."""
        steps = []
        for name, shard in self._shards.items():
            if self._may_run(shard) and shard.next_ms <= now_ms:
                shard.turn = next(self._turns)
                position = shard.position(now_ms) if shard.iterator is None else None
                steps.append(ShardCall(name, shard.turn, position, shard.iterator))
        return steps

    def next_ms(self, now_ms: int) -> int:
        """When to call ``due`` again, unless a call ends before."""
        waits = [one.next_ms for one in self._shards.values() if self._may_run(one)]
        return max(now_ms, min([self._list_ms, *waits]))

    def behind_ms(self, now_ms: int) -> int:
        """Delay of the slowest open shard behind the end of the stream, ms."""
        behind = [
            max(one.behind_ms, now_ms - one.caught_up_ms)
            for one in self._shards.values()
            if not one.is_done
        ]
        return max(behind, default=0)

    def _may_run(self, shard: _ShardState) -> bool:
        if shard.is_done or shard.turn is not None:
            return False
        parents = (self._shards.get(name) for name in shard.parents)
        return all(one is None or one.is_done for one in parents)

    # Results

    def set_iterator(self, step: ShardCall, iterator: str, now_ms: int) -> None:
        """Store the iterator that GetShardIterator returned, and use it at once."""
        shard = self._end_call(step)
        if shard is not None:
            shard.iterator = iterator
            shard.next_ms = now_ms
            if shard.read_ms is None:
                shard.read_ms = now_ms

    def advance(
        self,
        step: ShardCall,
        iterator: str | None,
        last: str | None,
        *,
        behind_ms: int,
        begun_ms: int,
        now_ms: int,
    ) -> None:
        """Advance by the records that GetRecords returned.

        Args:
            step: the call.
            iterator: the next iterator; None: the shard is closed, and this was its end.
            last: sequence number of the last record; None: there were none.
            behind_ms: delay of these records behind the end of the shard.
            begun_ms: when the call started.
            now_ms: when it ended.
        """
        shard = self._end_call(step)
        if shard is None:
            return
        shard.failures = 0
        shard.pace_ms = max(READ_EVERY_MS, shard.pace_ms * _BACK_SHARE)
        shard.next_ms = begun_ms + int(shard.pace_ms)
        shard.read_ms = begun_ms
        shard.last = last or shard.last
        shard.iterator = iterator
        shard.behind_ms = behind_ms
        if behind_ms <= 0:
            shard.caught_up_ms = begun_ms
        if iterator is None or shard.is_at_end():
            self._finish(shard, now_ms)

    def renew_iterator(self, step: ShardCall, now_ms: int) -> None:
        """Get another iterator at the same place, since this one has expired (after 5 min)."""
        shard = self._end_call(step)
        if shard is not None:
            shard.iterator = None
            shard.next_ms = now_ms

    def slow_down(self, step: ShardCall, now_ms: int) -> None:
        """Read the shard more slowly for a while, since its calls were throttled."""
        shard = self._end_call(step)
        if shard is not None:
            shard.pace_ms = min(READ_EVERY_MAX_MS, shard.pace_ms * 2)
            shard.next_ms = now_ms + int(shard.pace_ms)

    def restart_shard(self, step: ShardCall, now_ms: int) -> None:
        """Restart the shard, if it still exists, since Kinesis rejects the position in it."""
        shard = self._end_call(step)
        if shard is not None:
            shard.begin, shard.last, shard.read_ms, shard.iterator = LATEST, None, None, None
            self._put_off(shard, now_ms)
        self._list_ms = min(self._list_ms, now_ms + LIST_SOON_MS)

    def retry_call(self, step: ShardCall, now_ms: int) -> None:
        """Retry the call later, after a transient failure."""
        shard = self._end_call(step)
        if shard is not None:
            self._put_off(shard, now_ms)

    def restart_all(self, now_ms: int) -> None:
        """Read all shards from the present again."""
        for shard in self._shards.values():
            shard.begin, shard.last, shard.read_ms, shard.iterator = LATEST, None, None, None
            shard.turn, shard.next_ms = None, now_ms
        self._list_ms = now_ms

    def _put_off(self, shard: _ShardState, now_ms: int) -> None:
        shard.next_ms = now_ms + _pause_ms(shard.failures)
        shard.failures += 1

    def _finish(self, shard: _ShardState, now_ms: int) -> None:
        shard.is_done = True
        shard.iterator = None
        # Its children may not be listed yet.
        self._list_ms = min(self._list_ms, now_ms + LIST_SOON_MS)

    def _end_call(self, step: ShardCall) -> _ShardState | None:
        shard = self._shards.get(step.shard)
        if shard is None or shard.turn != step.turn:
            return None
        shard.turn = None
        return shard


def _pause_ms(failures: int) -> int:
    return min(RETRY_MAX_MS, RETRY_FIRST_MS << min(failures, 10))


def _is_through(last: str | None, ending: str) -> bool:
    """Whether a sequence number, a long decimal, is at or beyond another."""
    if last is None:
        return False
    return (len(last), last) >= (len(ending), ending)
