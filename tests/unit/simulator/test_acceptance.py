"""tests.unit.simulator.test_acceptance."""

from __future__ import annotations

import pytest

from simulator import acceptance
from simulator.acceptance import (
    BATCH_BYTES_MAX,
    EVENT_OVERHEAD_BYTES,
    NEVER,
    NewEvent,
    PutBatch,
    Regime,
    Visibility,
    accepted_part,
    batches,
)
from simulator.errors import SimulatorError

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def events(*timestamps: int, stream: str = "a", message: str = "x") -> list[NewEvent]:
    return [NewEvent(stream, timestamp, message) for timestamp in timestamps]


def sizes(made: list[PutBatch]) -> list[int]:
    return [len(batch.events) for batch in made]


def test_a_batch_is_of_one_stream_and_chronological() -> None:
    made = batches(events(3, 1, stream="a") + events(2, stream="b"), now_ms=3)
    assert [batch.stream for batch in made] == ["a", "b"]
    assert [event.timestamp for event in made[0].events] == [1, 3]


def test_equal_timestamps_keep_the_order_of_writing() -> None:
    made = batches([NewEvent("a", 1, text) for text in "cab"], now_ms=1)
    assert [event.message for event in made[0].events] == ["c", "a", "b"]


def test_a_batch_holds_10000_events() -> None:
    assert sizes(batches(events(*[NOW_MS] * 10_001), NOW_MS)) == [10_000, 1]


def test_a_batch_holds_1_mib_counting_26_bytes_an_event() -> None:
    half = "x" * (BATCH_BYTES_MAX // 2 - EVENT_OVERHEAD_BYTES)
    assert sizes(batches(events(NOW_MS, NOW_MS, message=half), NOW_MS)) == [2]
    assert sizes(batches(events(NOW_MS, NOW_MS, NOW_MS, message=half), NOW_MS)) == [2, 1]
    assert sizes(batches(events(NOW_MS, NOW_MS, message=half + "x"), NOW_MS)) == [1, 1]


def test_size_is_in_utf8_bytes() -> None:
    half = "注" * ((BATCH_BYTES_MAX // 2 - EVENT_OVERHEAD_BYTES) // 3 + 1)
    assert sizes(batches(events(NOW_MS, NOW_MS, message=half), NOW_MS)) == [1, 1]


def test_a_batch_spans_24_hours() -> None:
    day = [NOW_MS - 24 * HOUR_MS, NOW_MS]
    assert sizes(batches(events(*day), NOW_MS)) == [2]
    assert sizes(batches(events(day[0] - 1, day[1]), NOW_MS)) == [1, 1]


def test_events_that_may_be_refused_go_alone() -> None:
    old = NOW_MS - 14 * 24 * HOUR_MS
    ahead = NOW_MS + 2 * HOUR_MS
    made = batches(events(old, old, NOW_MS, NOW_MS, ahead, ahead), NOW_MS)
    assert sizes(made) == [1, 1, 2, 1, 1]


@pytest.mark.parametrize("message", ["", "x" * BATCH_BYTES_MAX])
def test_an_event_that_no_batch_holds_is_refused(message: str) -> None:
    with pytest.raises(SimulatorError, match="an event must have"):
        batches(events(NOW_MS, message=message), NOW_MS)


def test_what_was_accepted_follows_from_the_answer() -> None:
    batch = PutBatch("a", tuple(events(1, 2, 3, 4)))
    assert accepted_part(batch, {}) == batch.events
    assert accepted_part(batch, {"tooOldLogEventEndIndex": 1}) == batch.events[1:]
    assert accepted_part(batch, {"expiredLogEventEndIndex": 2}) == batch.events[2:]
    assert accepted_part(batch, {"tooNewLogEventStartIndex": 3}) == batch.events[:3]
    both = {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}
    assert accepted_part(batch, both) == batch.events[1:3]


@pytest.mark.parametrize(
    "answer",
    [
        {"tooOldLogEventEndIndex": 1},
        {"tooOldLogEventEndIndex": 0},  # moto, off by one
        {"tooNewLogEventStartIndex": 0},
    ],
)
def test_of_a_lone_event_any_answer_means_that_one(answer: dict[str, int]) -> None:
    assert accepted_part(PutBatch("a", tuple(events(1))), answer) == ()


def regime(
    name: str = "a",
    *,
    begin_ms: int = 100,
    delay_ms: int = 50,
    jitter_ms: int = 0,
    toxicity: float = 1,
    seed: int = 1,
) -> Regime:
    return Regime(name, delay_ms, jitter_ms, toxicity, seed, begin_ms)


def seen(one: Visibility, ingested_ms: int, message: str = "m") -> int:
    return one.visible_ms("stream", 7, message, ingested_ms)


def test_everything_is_visible_at_once_without_a_regime() -> None:
    one = Visibility()
    assert seen(one, 5) == 5
    assert not one.may_hide(5)


def test_a_regime_delays_what_is_ingested_while_it_holds() -> None:
    one = Visibility()
    one.impose(regime(begin_ms=100))
    assert seen(one, 99) == 99
    assert seen(one, 100) == 150
    assert one.may_hide(NEVER - 1)


def test_an_event_keeps_the_delay_of_its_time() -> None:
    one = Visibility()
    one.impose(regime(begin_ms=100, delay_ms=1_000))
    one.impose(regime(begin_ms=200, delay_ms=10))
    assert seen(one, 199) == 1_199
    assert seen(one, 200) == 210


def test_healing_shows_everything_at_once_and_for_good() -> None:
    one = Visibility()
    one.impose(regime(begin_ms=100, delay_ms=1_000))
    one.heal("a", 300)
    assert seen(one, 150) == 300
    assert seen(one, 300) == 300
    assert seen(one, 301) == 301
    assert one.may_hide(299)
    assert not one.may_hide(300)


def test_what_was_visible_never_disappears() -> None:
    one = Visibility()
    one.impose(regime(begin_ms=100, delay_ms=30))
    before = [seen(one, ingested_ms) for ingested_ms in range(100, 120)]
    one.impose(regime(begin_ms=200, delay_ms=10_000))
    one.heal("a", 300)
    after = [seen(one, ingested_ms) for ingested_ms in range(100, 120)]
    assert after == before


def test_several_regimes_hold_side_by_side() -> None:
    one = Visibility()
    one.impose(regime("a", delay_ms=50))
    one.impose(regime("b", delay_ms=70))
    assert seen(one, 100) == 170
    one.heal("b", 110)
    assert seen(one, 100) == 150


def test_jitter_stays_in_its_bounds_and_differs() -> None:
    one = Visibility()
    one.impose(regime(delay_ms=500, jitter_ms=200))
    delays = {seen(one, 100, f"m{number}") - 100 for number in range(300)}
    assert min(delays) >= 300
    assert max(delays) <= 700
    assert len(delays) > 100


def test_toxicity_is_the_share_that_is_delayed() -> None:
    one = Visibility()
    one.impose(regime(toxicity=0.25))
    delayed = sum(seen(one, 100, f"m{number}") > 100 for number in range(2_000))
    assert 400 < delayed < 600


def test_the_same_seed_delays_the_same_events() -> None:
    def drawn(seed: int) -> list[int]:
        one = Visibility()
        one.impose(regime(delay_ms=500, jitter_ms=500, toxicity=0.5, seed=seed))
        return [seen(one, 100, f"m{number}\ud800") for number in range(100)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_regimes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "REGIMES_MAX", 2)
    one = Visibility()
    one.impose(regime(begin_ms=1))
    one.impose(regime(begin_ms=2))
    with pytest.raises(SimulatorError, match="the most"):
        one.impose(regime(begin_ms=3))
    assert len(one._regimes) == 2
