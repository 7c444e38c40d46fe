"""The state of shards: by example, and against a model of Kinesis that Hypothesis drives."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from forwarder.live import shards as module
from forwarder.live.shards import READ_EVERY_MS, ShardCall, ShardInfo, ShardPosition, Shards

NOW = 1_000_000


def opened(*infos: ShardInfo) -> Shards:
    one = Shards(NOW)
    one.set_shards(list(infos) or [ShardInfo("a")], NOW)
    return one


def located(one: Shards, now_ms: int = NOW) -> None:
    """Give every shard that is due an iterator."""
    for step in one.due(now_ms):
        assert step.position is not None
        one.set_iterator(step, f"{step.shard}:{now_ms}", now_ms)


def read(one: Shards, now_ms: int, last: str | None = None, *, behind_ms: int = 0) -> ShardCall:
    """Read the one shard that is due."""
    (step,) = one.due(now_ms)
    one.advance(step, "next", last, behind_ms=behind_ms, begun_ms=now_ms, now_ms=now_ms)
    return step


def test_reading_begins_with_the_present_and_keeps_to_the_pace() -> None:
    one = opened()
    (step,) = one.due(NOW)
    assert step.position == ShardPosition("LATEST")
    assert one.due(NOW) == []  # one call at a time
    one.set_iterator(step, "first", NOW)
    assert read(one, NOW).iterator == "first"
    assert one.due(NOW + READ_EVERY_MS - 1) == []
    assert one.next_ms(NOW) == NOW + READ_EVERY_MS
    assert read(one, NOW + READ_EVERY_MS).iterator == "next"


def test_an_expired_iterator_goes_on_after_the_last_record() -> None:
    one = opened()
    located(one)
    read(one, NOW, "17")
    (step,) = one.due(NOW + 400_000)
    one.renew_iterator(step, NOW + 400_000)
    (step,) = one.due(NOW + 400_000)
    assert step.position == ShardPosition("AFTER_SEQUENCE_NUMBER", sequence="17")


def test_without_any_record_it_goes_on_about_when_it_was_read_last() -> None:
    one = opened()
    located(one)
    read(one, NOW)
    (step,) = one.due(NOW + 400_000)
    one.renew_iterator(step, NOW + 400_000)
    (step,) = one.due(NOW + 400_000)
    assert step.position == ShardPosition("AT_TIMESTAMP", ago_ms=400_000 + module.MARGIN_MS)


def test_children_wait_for_their_parents_and_are_read_from_their_begin() -> None:
    one = opened(ShardInfo("a"), ShardInfo("b"))
    located(one)
    later = NOW + module.LIST_EVERY_MS
    merged = ShardInfo("c", ("a", "b"))
    one.set_shards([ShardInfo("a", ending="9"), ShardInfo("b", ending="9"), merged], later)
    steps = one.due(later)
    assert [step.shard for step in steps] == ["a", "b"]
    one.advance(steps[0], None, None, behind_ms=0, begun_ms=later, now_ms=later)
    assert one.due(later) == []
    one.advance(steps[1], None, "5", behind_ms=0, begun_ms=later, now_ms=later)
    (step,) = one.due(later)
    assert (step.shard, step.position) == ("c", ShardPosition("TRIM_HORIZON"))
    assert one.is_list_due(later + module.LIST_SOON_MS)


def test_missing_parents_are_not_waited_for() -> None:
    one = opened(ShardInfo("c", ("a", "b")))
    assert [step.shard for step in one.due(NOW)] == ["c"]


def test_shards_closed_before_the_start_are_not_read() -> None:
    one = opened(ShardInfo("a", ending="9"), ShardInfo("b", ("a",)))
    assert [step.shard for step in one.due(NOW)] == ["b"]
    one.set_shards([ShardInfo("a", ending="9"), ShardInfo("b", ("a",))], NOW + 1)
    assert one.due(NOW + 1) == []


def test_a_closed_shard_that_goes_on_growing_is_read_again() -> None:
    """As moto has it, which keeps on filling the shard that was split."""
    one = opened(ShardInfo("a", ending="9"))
    one.set_shards([ShardInfo("a", ending="12")], NOW + 1)
    (step,) = one.due(NOW + 1)
    assert step.position == ShardPosition("AFTER_SEQUENCE_NUMBER", sequence="9")


def test_a_closed_shard_whose_end_is_known_later_is_not_read_again() -> None:
    """As AWS has it: the last record's number is below the shard's ending number."""
    one = opened()
    located(one)
    (step,) = one.due(NOW)
    one.advance(step, None, "5", behind_ms=0, begun_ms=NOW, now_ms=NOW)
    for now_ms in (NOW + 1, NOW + 2):
        one.set_shards([ShardInfo("a", ending="9")], now_ms)
        assert one.due(now_ms + 60_000) == []


def test_throttling_slows_one_shard_and_passes() -> None:
    one = opened()
    located(one)
    now = NOW
    for _ in range(10):
        (step,) = one.due(now)
        one.slow_down(step, now)
        now = one.next_ms(now)
        if one.is_list_due(now):
            one.begin_list(now)
    assert now - NOW <= 10 * module.READ_EVERY_MAX_MS
    began = now
    for _ in range(60):
        read(one, now)
        now += module.READ_EVERY_MAX_MS
    read(one, now)
    assert one.due(now + READ_EVERY_MS - 1) == []
    assert len(one.due(now + READ_EVERY_MS)) == 1
    assert began > NOW


def test_failures_back_off_and_a_refused_position_restarts() -> None:
    one = opened()
    located(one)
    read(one, NOW, "17")
    now = NOW + READ_EVERY_MS
    waits = []
    for _ in range(8):
        (step,) = one.due(now)
        one.retry_call(step, now)
        one.begin_list(now)
        waits.append(one.next_ms(now) - now)
        now += waits[-1]
    assert waits[0] == module.RETRY_FIRST_MS
    assert waits == sorted(waits)
    assert waits[-1] == module.RETRY_MAX_MS
    (step,) = one.due(now)
    assert step.iterator == "next"
    one.restart_shard(step, now)
    assert one.is_list_due(now + module.LIST_SOON_MS)
    (step,) = one.due(now + module.RETRY_MAX_MS)
    assert step.position == ShardPosition("LATEST")


def test_the_delay_behind_the_end_of_the_stream() -> None:
    one = opened()
    located(one)
    read(one, NOW, "1", behind_ms=0)
    assert one.behind_ms(NOW + 100) == 100
    read(one, NOW + 1_000, "2", behind_ms=7_000)
    assert one.behind_ms(NOW + 1_000) == 7_000
    assert one.behind_ms(NOW + 9_000) == 9_000  # since it was at the end


def test_results_of_outdated_calls_are_ignored() -> None:
    one = opened()
    located(one)
    (step,) = one.due(NOW)
    one.restart_all(NOW)
    one.advance(step, "old", "17", behind_ms=0, begun_ms=NOW, now_ms=NOW)
    (step,) = one.due(NOW)
    assert step.position == ShardPosition("LATEST")
    one.forget_shards()
    one.set_iterator(step, "old", NOW)
    assert one.due(NOW) == []


def test_shards_are_capped_and_the_rest_is_counted() -> None:
    one = opened(*(ShardInfo(str(number)) for number in range(module.SHARDS_MAX + 3)))
    assert one.left_out == 3
    assert len(one.due(NOW)) == module.SHARDS_MAX


@dataclass
class ModelShard:
    """A shard of the model: its records are numbers, in the order in which they were put."""

    parents: tuple[str, ...]
    records: list[int] = field(default_factory=list)
    ending: int | None = None


class Resharding(RuleBasedStateMachine):
    """Kinesis and a reader that has only ``Shards``: calls fail, expire and are throttled."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.shards: dict[str, ModelShard] = {}
        self.number = 100
        self.one = Shards(NOW)
        self.calls: list[ShardCall] = []
        self.iterators: dict[str, tuple[str, int]] = {}
        self.got: list[int] = []
        self.owed: set[int] = set()
        self.begun: dict[str, int] = {}

    @initialize(count=st.integers(1, 3))
    def start(self, count: int) -> None:
        for number in range(count):
            self.shards[f"s{number}"] = ModelShard(())
        self.list_shards()
        # Records before a shard's first iterator are not read.
        self.make_calls()
        for step in list(self.calls):
            self.answer(step)

    @property
    def open_names(self) -> list[str]:
        return [name for name, one in self.shards.items() if one.ending is None]

    def list_shards(self) -> None:
        infos = [
            ShardInfo(name, one.parents, None if one.ending is None else str(one.ending))
            for name, one in self.shards.items()
        ]
        self.one.set_shards(infos, self.now)

    def make_calls(self) -> None:
        for step in self.one.due(self.now):
            assert all(step.shard != other.shard for other in self.calls)
            self.calls.append(step)

    def answer(self, step: ShardCall) -> None:
        """As Kinesis does."""
        self.calls.remove(step)
        shard = self.shards[step.shard]
        if step.position is not None:
            after = {
                "LATEST": self.number,
                "TRIM_HORIZON": 0,
                "AT_TIMESTAMP": 0,
                "AFTER_SEQUENCE_NUMBER": int(step.position.sequence or 0),
            }[step.position.type]
            name = f"i{len(self.iterators)}"
            self.iterators[name] = step.shard, after
            self.one.set_iterator(step, name, self.now)
            return
        assert step.iterator is not None
        home, after = self.iterators[step.iterator]
        assert home == step.shard
        for parent in shard.parents:
            missing = set(self.shards[parent].records) & self.owed - set(self.got)
            assert not missing, "a child was read before its parent was read to its end"
        found = [one for one in shard.records if one > after][:2]
        self.got += found
        last = found[-1] if found else after
        rest = [one for one in shard.records if one > last]
        following = None
        if rest or shard.ending is None:
            following = f"i{len(self.iterators)}"
            self.iterators[following] = step.shard, last
        self.one.advance(
            step,
            following,
            str(last) if found else None,
            behind_ms=1_000 if rest else 0,
            begun_ms=self.now,
            now_ms=self.now,
        )

    @rule(pick=st.integers(0, 10), amount=st.integers(1, 4))
    def put(self, pick: int, amount: int) -> None:
        name = self.open_names[pick % len(self.open_names)]
        for _ in range(amount):
            self.number += 1
            self.shards[name].records.append(self.number)
            self.owed.add(self.number)

    @rule(pick=st.integers(0, 10))
    @precondition(lambda self: len(self.shards) < 12)
    def split(self, pick: int) -> None:
        name = self.open_names[pick % len(self.open_names)]
        self.number += 1
        self.shards[name].ending = self.number
        for _ in range(2):
            self.shards[f"s{len(self.shards)}"] = ModelShard((name,))

    @rule()
    @precondition(lambda self: len(self.open_names) > 1 and len(self.shards) < 12)
    def merge(self) -> None:
        first, second = self.open_names[:2]
        for name in (first, second):
            self.number += 1
            self.shards[name].ending = self.number
        self.shards[f"s{len(self.shards)}"] = ModelShard((first, second))

    @rule(ms=st.sampled_from([0, 1, 210, 1_000, 30_000]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule()
    def work(self) -> None:
        if self.one.is_list_due(self.now):
            self.list_shards()
        self.make_calls()

    @rule(pick=st.integers(0, 10), outcome=st.sampled_from(["ok", "ok", "fail", "slow", "old"]))
    @precondition(lambda self: self.calls)
    def finish(self, pick: int, outcome: str) -> None:
        step = self.calls[pick % len(self.calls)]
        if outcome == "ok":
            self.answer(step)
            return
        self.calls.remove(step)
        if outcome == "fail":
            self.one.retry_call(step, self.now)
        elif outcome == "slow":
            self.one.slow_down(step, self.now)
        else:
            self.one.renew_iterator(step, self.now)

    @invariant()
    def nothing_was_made_up(self) -> None:
        assert set(self.got) <= self.owed

    def teardown(self) -> None:
        """Once all is well again, every record is read, and each of them once."""
        for _ in range(400):
            for step in list(self.calls):
                self.answer(step)
            self.now = max(self.now, self.one.next_ms(self.now))
            self.work()
            if set(self.got) == self.owed and not self.calls:
                break
        assert set(self.got) == self.owed
        assert len(self.got) == len(set(self.got))


TestResharding = Resharding.TestCase
TestResharding.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
