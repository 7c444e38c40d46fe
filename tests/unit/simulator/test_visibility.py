from __future__ import annotations

import pytest

from simulator import visibility
from simulator.errors import SimulatorError
from simulator.visibility import NEVER, Regime, Visibility


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
    monkeypatch.setattr(visibility, "REGIMES_MAX", 2)
    one = Visibility()
    one.impose(regime(begin_ms=1))
    one.impose(regime(begin_ms=2))
    with pytest.raises(SimulatorError, match="the most"):
        one.impose(regime(begin_ms=3))
    assert len(one.regimes) == 2
