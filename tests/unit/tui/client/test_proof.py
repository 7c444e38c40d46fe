from __future__ import annotations

import pytest

from tests.support.work_counter import WorkCounter, instrument
from tui.client import proof as proof_module
from tui.client.proof import GAPS_MAX, REPAIRED_MAX, Proof
from wire.messages import Gap, GapState, Lost


def proof(*proved: tuple[int, int], since: int = 100) -> Proof:
    made = Proof(2)
    made.since = since
    for one in proved:
        made.add_verified(*one, 1)
    return made


def gap(from_: int, through: int, state: GapState = "unrecoverable", name: str = "g") -> Gap:
    return Gap(id=name, from_=from_, through=through, state=state, reason="r")


@pytest.mark.parametrize(
    ("proved", "through"),
    [
        ([], None),
        ([(101, 200)], None),
        ([(100, 200)], 200),
        ([(50, 200)], 200),
        ([(100, 200), (201, 300)], 300),
        ([(100, 200), (202, 300)], 200),
        ([(100, 200), (150, 180), (199, 400)], 400),
    ],
)
def test_t_is_reached_from_since_without_a_hole(
    proved: list[tuple[int, int]], through: int | None
) -> None:
    assert proof(*proved).complete_through == through


def test_nothing_is_complete_before_since_is_known() -> None:
    made = Proof(0)
    made.add_verified(0, 500, 1)
    assert made.complete_through is None
    made.since = 100
    assert made.since == 100
    assert made.complete_through == 500


@pytest.mark.parametrize(
    ("from_", "through", "t"),
    [(150, 160, 149), (100, 110, None), (10, 99, 300), (90, 100, None), (400, 500, 300)],
)
def test_nothing_is_complete_beyond_what_is_lost(from_: int, through: int, t: int | None) -> None:
    made = proof((100, 300))
    assert made.put_lost(Lost(from_, through, "r")) is not None
    assert made.complete_through == t
    gapped = proof((100, 300))
    gapped.put_gap(gap(from_, through), 1)
    assert gapped.complete_through == t


@pytest.mark.parametrize("state", ["suspected", "repairing", "repaired"])
def test_gaps_that_are_not_unrecoverable_do_not_limit_t(state: GapState) -> None:
    made = proof((100, 300))
    made.put_gap(gap(150, 160, state), 1)
    assert made.complete_through == 300


def test_a_range_that_compares_unequal_is_a_hole_until_it_compares_equal() -> None:
    made = proof((100, 300))
    entry = made.add_unequal(150, 160, 0, final=False)
    assert (entry.target, entry.missing, entry.final) == (2, 1, False)
    assert made.complete_through == 149
    assert not made.overlaps_verified(155, 155)
    assert not made.is_given_up(100, 300)
    made.add_verified(155, 400, 1)
    assert [(one.from_ms, one.through_ms) for one in made.unequal] == [(150, 154)]
    made.add_verified(140, 154, 1)
    assert made.unequal == ()
    assert made.complete_through == 400


def test_a_comparison_inside_a_bad_range_leaves_both_its_sides() -> None:
    made = proof()
    made.add_unequal(100, 200, 3, final=True)
    made.add_equal(150, 160)
    assert [(one.from_ms, one.through_ms) for one in made.unequal] == [(100, 149), (161, 200)]
    assert made.not_given_up(90, 210) == [(90, 99), (150, 160), (201, 210)]
    assert made.is_given_up(140, 150)
    assert not made.is_given_up(150, 160)


def test_withdrawing_a_range_does_not_make_it_unequal() -> None:
    made = proof((100, 300))
    made.withdraw_verified(200, 210)
    assert made.complete_through == 199
    assert made.unequal == ()


def test_known_missing_ranges_count_as_settled() -> None:
    made = proof((100, 149), (201, 300))
    assert made.settled_through(100) == 149
    made.add_unequal(150, 160, 1, final=True)
    made.put_gap(gap(161, 180), 1)
    made.put_lost(Lost(181, 200, "r"))
    assert made.settled_through(100) == 300
    assert made.known_missing() == [(150, 160), (161, 180), (181, 200)]
    assert made.complete_through == 149


def test_after_a_rebase_nothing_is_verified_and_losses_stay() -> None:
    made = proof((100, 300))
    made.add_unequal(150, 160, 1, final=True)
    made.put_lost(Lost(250, 260, "r"))
    made.rebase()
    assert (made.complete_through, made.unequal) == (None, ())
    assert not made.is_given_up(0, 999)
    assert len(made.lost) == 1
    assert made.put_lost(Lost(250, 260, "r")) is None


def test_a_range_before_since_need_not_be_verified() -> None:
    made = proof((100, 300))
    assert made.is_verified(0, 300)
    assert not made.is_verified(0, 301)


def test_a_gap_is_identified_by_its_id() -> None:
    made = proof()
    made.put_gap(gap(150, 160, "repairing"), 1)
    status = made.put_gap(gap(150, 170, "repaired"), 1)
    assert made.gaps == (status,)


def test_open_gaps_of_this_connection_are_not_closed_by_a_mark() -> None:
    made = proof()
    made.put_gap(gap(150, 160, "suspected"), 2)
    assert made.add_verified(100, 200, 2) == []
    (closed,) = made.add_verified(100, 200, 3)
    assert closed.state == "repaired"
    assert made.add_verified(100, 200, 4) == []


def test_few_repaired_gaps_are_kept() -> None:
    made = proof()
    for number in range(REPAIRED_MAX + 5):
        made.put_gap(gap(number, number, "repaired", f"g{number}"), 1)
    assert len(made.gaps) == REPAIRED_MAX
    assert made.gaps[0].id == "g5"


def test_gaps_beyond_the_bound_still_keep_their_range_from_being_green() -> None:
    made = proof((100, 1 << 40))
    made.put_gap(gap(150, 160, name="first"), 1)
    assert GAPS_MAX > 2
    for number in range(GAPS_MAX):
        made._gaps[f"g{number}"] = made._gaps["first"]
    made.put_gap(gap(500, 501, name="last"), 1)
    assert len(made.gaps) == GAPS_MAX
    assert made.complete_through == 149


@pytest.mark.parametrize("state", ["suspected", "repaired", "unrecoverable"])
def test_each_of_very_many_gaps_is_the_same_work(state: GapState) -> None:
    counter = WorkCounter()
    copy = instrument([proof_module], counter)[proof_module.__name__]

    def work(gaps: int) -> int:
        known, before = copy.Proof(0), counter.work
        known.since = 0
        known.add_verified(0, 1, 1)
        for number in range(gaps):
            known.put_gap(gap(3 * number, 3 * number, state, str(number)), 1)
        return counter.work - before

    assert work(8_000) < 5 * work(2_000)


def test_each_of_very_many_losses_is_the_same_work() -> None:
    counter = WorkCounter()
    copy = instrument([proof_module], counter)[proof_module.__name__]

    def work(losses: int) -> int:
        known, before = copy.Proof(0), counter.work
        known.since = 0
        for number in range(losses):
            known.put_lost(Lost(from_=3 * number, through=3 * number, reason="r"))
        return counter.work - before

    assert work(8_000) < 5 * work(2_000)
