from __future__ import annotations

from simulator.faults.board import FAULTS
from simulator.faults.cluster import CLUSTER
from simulator.scenarios.base import Heal, Inject
from tests.soak.plan import ALWAYS, HEAL_MS, KILLS, ROUND_MS, TAKES, draw_round


def kinds(seed: int, number: int, *, kills: bool) -> set[str]:
    steps = draw_round(seed, number, kills=kills)
    return {one.action.fault.type for one in steps if isinstance(one.action, Inject)}


def test_a_round_follows_from_seed_and_number() -> None:
    assert draw_round(1, 2, kills=True) == draw_round(1, 2, kills=True)
    assert draw_round(1, 2, kills=True) != draw_round(1, 3, kills=True)
    assert draw_round(1, 2, kills=True) != draw_round(2, 2, kills=True)


def test_each_round_has_the_usual_faults_and_kills_only_where_it_may() -> None:
    for number in range(30):
        assert {*ALWAYS, "forwarder_crash"} <= kinds(1, number, kills=True)
        gentle = kinds(1, number, kills=False)
        assert set(ALWAYS) <= gentle
        assert not gentle & KILLS


def test_all_faults_of_one_forwarder_occur_except_those_that_take_events_away() -> None:
    seen = set[str]().union(*(kinds(1, number, kills=number < 30) for number in range(60)))
    assert seen == FAULTS.keys() - TAKES - {one.type for one in CLUSTER}


def test_everything_is_healed_at_the_end_of_a_round() -> None:
    for number in range(10):
        steps = draw_round(3, number, kills=True)
        assert [one.at_ms for one in steps] == sorted(one.at_ms for one in steps)
        assert all(one.at_ms < ROUND_MS for one in steps)
        assert any(one.action == Heal() and one.at_ms == HEAL_MS for one in steps)
        assert all(one.at_ms < HEAL_MS for one in steps if isinstance(one.action, Inject))
