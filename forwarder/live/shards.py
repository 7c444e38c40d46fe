"""The shards of one Kinesis stream: which to read when, and from where.

Pure: time is an argument, in ms of any one clock. A stream is split and merged as it runs: a shard
that was closed is read to its end before its children begin, and children are found by listing the
shards again. A list or a position that is wrong costs time only, since nothing is believed to be
complete on account of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final, Literal

import msgspec

READ_EVERY_MS: Final = 210
"""GetRecords may be called five times a second for a shard, by all that read it together."""

READ_EVERY_MAX_MS: Final = 2_000
"""The pace at which a shard is read while others take its share."""

RETRY_FIRST_MS: Final = 500
RETRY_MAX_MS: Final = 10_000

LIST_EVERY_MS: Final = 30_000
"""How often the shards are listed without a reason."""

LIST_SOON_MS: Final = 1_000
"""How soon they are listed again where there is one, a closed shard for example."""

MARGIN_MS: Final = 60_000
"""How much of what was read before is read again where only a time can say how far that went."""

SHARDS_MAX: Final = 512
"""Shards that are read; of more the rest is left to the polls."""

_BACK_SHARE: Final = 0.9
"""After a throttled call each good one takes a tenth off the pace."""


class ShardInfo(msgspec.Struct, frozen=True):
    """A shard as ListShards tells of it; ``ending`` is its last sequence number once closed."""

    id: str
    parents: tuple[str, ...] = ()
    ending: str | None = None


class Position(msgspec.Struct, frozen=True):
    """From where to read, as GetShardIterator takes it."""

    type: Literal["LATEST", "TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"]
    sequence: str | None = None
    ago_ms: int | None = None


LATEST: Final = Position("LATEST")
FROM_ITS_BEGIN: Final = Position("TRIM_HORIZON")


class Step(msgspec.Struct, frozen=True):
    """The next call for a shard: an iterator from a position, or records with an iterator.

    What comes of one that is no longer the shard's latest is ignored: it began anew meanwhile.
    """

    shard: str
    turn: int
    position: Position | None = None
    iterator: str | None = None


class _Shard:
    """One shard; ``turn`` is the number of the call that is under way for it."""

    __slots__ = (
        "begin", "behind_ms", "caught_up_ms", "ending", "failures", "is_done", "iterator",
        "last", "next_ms", "pace_ms", "parents", "read_ms", "turn",
    )  # fmt: skip

    def __init__(self, info: ShardInfo, begin: Position, now_ms: int) -> None:
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

    def position(self, now_ms: int) -> Position:
        """From where to go on: after what was read, else about when, else where it began."""
        if self.last is not None:
            return Position("AFTER_SEQUENCE_NUMBER", sequence=self.last)
        if self.read_ms is not None and self.begin == LATEST:
            return Position("AT_TIMESTAMP", ago_ms=now_ms - self.read_ms + MARGIN_MS)
        return self.begin

    def is_at_end(self) -> bool:
        """Whether a closed shard's last record was read."""
        return self.ending is not None and _is_through(self.last, self.ending)


class Shards:
    """The bookkeeping of one stream.

    The shell lists the shards when ``is_list_due``, makes each call that ``due`` gives out, and
    says what came of it: ``located``, ``read``, ``expired``, ``throttled``, ``refused`` or
    ``failed``.
    """

    def __init__(self, now_ms: int) -> None:
        """Nothing is known yet."""
        self._shards: dict[str, _Shard] = {}
        self._list_ms = now_ms
        self._list_failures = 0
        self._is_first = True
        self._turns = count(1)
        self.left_out = 0
        """Shards beyond ``SHARDS_MAX``, which are not read."""

    # Which shards there are

    def is_list_due(self, now_ms: int) -> bool:
        """Whether to list the shards now."""
        return self._list_ms <= now_ms

    def list_begun(self, now_ms: int) -> None:
        """The shards are being listed; ``listed`` or ``list_failed`` follows."""
        self._list_ms = now_ms + LIST_EVERY_MS

    def listed(self, shards: Sequence[ShardInfo], now_ms: int) -> None:
        """All shards as ListShards has them; those that it has no more are forgotten.

        Of the first list, only what comes from now on is news. A shard that is found later is
        read from its begin, once its parents are read to their end.
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
                begin = LATEST if self._is_first else FROM_ITS_BEGIN
                shard = self._shards[info.id] = _Shard(info, begin, now_ms)
                if self._is_first and info.ending is not None:
                    # It was closed before anybody wanted its news.
                    shard.is_done, shard.last = True, info.ending
        self._is_first = False

    def list_failed(self, now_ms: int) -> None:
        """The shards could not be listed; what is known of them is gone on with."""
        self._list_ms = now_ms + _pause_ms(self._list_failures)
        self._list_failures += 1

    def forget(self) -> None:
        """The stream is gone: one of that name is another, of which nothing is known."""
        self._shards.clear()
        self._is_first = True

    def _update(self, shard: _Shard, info: ShardInfo, now_ms: int) -> None:
        was, shard.ending = shard.ending, info.ending
        if shard.is_done and was is not None and info.ending not in (None, was):
            # moto goes on filling a shard that it has closed.
            shard.is_done, shard.iterator, shard.next_ms = False, None, now_ms
        elif not shard.is_done and shard.is_at_end():
            self._done(shard, now_ms)

    # What to read

    def due(self, now_ms: int) -> list[Step]:
        """The calls to make now, at most one for a shard."""
        steps = []
        for name, shard in self._shards.items():
            if self._may_run(shard) and shard.next_ms <= now_ms:
                shard.turn = next(self._turns)
                position = shard.position(now_ms) if shard.iterator is None else None
                steps.append(Step(name, shard.turn, position, shard.iterator))
        return steps

    def next_ms(self, now_ms: int) -> int:
        """When to ask again for what is due, unless a call ends before."""
        waits = [one.next_ms for one in self._shards.values() if self._may_run(one)]
        return max(now_ms, min([self._list_ms, *waits]))

    def behind_ms(self, now_ms: int) -> int:
        """How far behind the end of the stream the slowest of its open shards was read."""
        behind = [
            max(one.behind_ms, now_ms - one.caught_up_ms)
            for one in self._shards.values()
            if not one.is_done
        ]
        return max(behind, default=0)

    def _may_run(self, shard: _Shard) -> bool:
        if shard.is_done or shard.turn is not None:
            return False
        parents = (self._shards.get(name) for name in shard.parents)
        return all(one is None or one.is_done for one in parents)

    # What came of it

    def located(self, step: Step, iterator: str, now_ms: int) -> None:
        """GetShardIterator gave an iterator; it is used at once."""
        shard = self._ended(step)
        if shard is not None:
            shard.iterator = iterator
            shard.next_ms = now_ms
            if shard.read_ms is None:
                shard.read_ms = now_ms

    def read(
        self,
        step: Step,
        iterator: str | None,
        last: str | None,
        *,
        behind_ms: int,
        begun_ms: int,
        now_ms: int,
    ) -> None:
        """GetRecords gave records up to ``last`` (None: none) and the next iterator.

        No iterator: the shard is closed, and this was its end.
        """
        shard = self._ended(step)
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
            self._done(shard, now_ms)

    def expired(self, step: Step, now_ms: int) -> None:
        """The iterator is too old (5 min): another one, from where it was."""
        shard = self._ended(step)
        if shard is not None:
            shard.iterator = None
            shard.next_ms = now_ms

    def throttled(self, step: Step, now_ms: int) -> None:
        """Others read the same shard, or much came at once: more slowly for a while."""
        shard = self._ended(step)
        if shard is not None:
            shard.pace_ms = min(READ_EVERY_MAX_MS, shard.pace_ms * 2)
            shard.next_ms = now_ms + int(shard.pace_ms)

    def refused(self, step: Step, now_ms: int) -> None:
        """The shard, or the position in it, is none: it begins anew, if it is still listed."""
        shard = self._ended(step)
        if shard is not None:
            shard.begin, shard.last, shard.read_ms, shard.iterator = LATEST, None, None, None
            self._put_off(shard, now_ms)
        self._list_ms = min(self._list_ms, now_ms + LIST_SOON_MS)

    def failed(self, step: Step, now_ms: int) -> None:
        """The call failed for a reason that passes."""
        shard = self._ended(step)
        if shard is not None:
            self._put_off(shard, now_ms)

    def begin_anew(self, now_ms: int) -> None:
        """Something is wrong though every call is answered: look for the present again."""
        for shard in self._shards.values():
            shard.begin, shard.last, shard.read_ms, shard.iterator = LATEST, None, None, None
            shard.turn, shard.next_ms = None, now_ms
        self._list_ms = now_ms

    def _put_off(self, shard: _Shard, now_ms: int) -> None:
        shard.next_ms = now_ms + _pause_ms(shard.failures)
        shard.failures += 1

    def _done(self, shard: _Shard, now_ms: int) -> None:
        shard.is_done = True
        shard.iterator = None
        # Its children may not be known yet.
        self._list_ms = min(self._list_ms, now_ms + LIST_SOON_MS)

    def _ended(self, step: Step) -> _Shard | None:
        shard = self._shards.get(step.shard)
        if shard is None or shard.turn != step.turn:
            return None
        shard.turn = None
        return shard


def _pause_ms(failures: int) -> int:
    return min(RETRY_MAX_MS, RETRY_FIRST_MS << min(failures, 10))


def _is_through(last: str | None, ending: str) -> bool:
    """Whether a sequence number is at or beyond another; they are decimal, and long."""
    if last is None:
        return False
    return (len(last), last) >= (len(ending), ending)
