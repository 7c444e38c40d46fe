"""Without each rule of the protocol, the simulation finds the fault that the rule prevents."""

from __future__ import annotations

import pytest

from tests.simulation import ablations as off
from tests.simulation.ablations import Ablation
from tests.simulation.judge import FaultError, Kind
from tests.simulation.world import run

SEEDS = 100
"""Runs within which the fault must be found."""

RULES = 18

ABLATIONS = [
    Ablation(
        1, "held is not honoured", ("cut", "half open"), (Kind.FALSE_RED,), off.held_is_not_honoured
    ),
    Ablation(
        1,
        "held is not honoured",
        ("cut", "half open"),
        (Kind.LOST,),
        off.held_is_not_honoured,
        has_net=False,
    ),
    Ablation(2, "n is not looked at", ("drop", "cut"), (Kind.FALSE_RED,), off.n_is_not_looked_at),
    Ablation(
        2,
        "n is not looked at",
        ("drop", "cut"),
        (Kind.LOST,),
        off.n_is_not_looked_at,
        has_net=False,
    ),
    Ablation(
        3,
        "held in whole milliseconds",
        ("bursts", "cut"),
        (Kind.FALSE_RED,),
        off.held_in_milliseconds,
    ),
    Ablation(
        3,
        "held in whole milliseconds",
        ("bursts", "cut"),
        (Kind.LOST,),
        off.held_in_milliseconds,
        has_net=False,
    ),
    Ablation(
        4, "one epoch for ever", ("rollback", "cut"), (Kind.DISHONEST,), off.one_epoch_for_ever
    ),
    Ablation(
        5,
        "rows go with their bodies",
        ("retention", "stream deleted", "viewer crash"),
        (Kind.LOST, Kind.FALSE_GREEN, Kind.STARVED),
        off.rows_go_with_their_bodies,
    ),
    Ablation(
        6,
        "held of another journal is honoured",
        ("journal lost", "cut"),
        (Kind.FALSE_RED,),
        off.held_of_another_journal,
    ),
    Ablation(
        6,
        "held of another journal is honoured",
        ("journal lost", "cut"),
        (Kind.LOST,),
        off.held_of_another_journal,
        has_net=False,
    ),
    Ablation(
        6,
        "old lines still count",
        ("journal lost", "log group recreated", "rollback"),
        (Kind.UNEXPECTED, Kind.FALSE_GREEN, Kind.FALSE_RED),
        off.old_lines_still_count,
    ),
    Ablation(
        7,
        "a cursor of another filter",
        ("refilter",),
        (Kind.LOST, Kind.FALSE_GREEN),
        off.cursor_of_another_filter,
    ),
    Ablation(
        8,
        "known events may be missing",
        ("flap", "late"),
        (Kind.FALSE_GREEN,),
        off.known_events_may_be_missing,
    ),
    Ablation(
        8,
        "unfinished scans count",
        ("break off", "bursts"),
        (Kind.FALSE_GREEN,),
        off.unfinished_scans_count,
    ),
    Ablation(
        9,
        "gaps are sent once",
        ("gap", "cut", "viewer crash"),
        (Kind.FALSE_GREEN,),
        off.gaps_are_sent_once,
    ),
    Ablation(
        10, "marks do not wait", ("bursts", "drop up"), (Kind.FALSE_GREEN,), off.marks_do_not_wait
    ),
    Ablation(
        10, "totals of the head", ("late", "overload"), (Kind.FALSE_RED,), off.totals_of_the_head
    ),
    Ablation(11, "one scan is enough", ("bursts",), (Kind.LOST,), off.one_scan_is_enough),
    Ablation(11, "ends are sent once", ("cut",), (Kind.NEVER_CONVERGES,), off.ends_are_sent_once),
    Ablation(11, "ends are final", ("late",), (Kind.NEVER_CONVERGES,), off.ends_are_final),
    Ablation(
        12,
        "skipped events say nothing",
        ("cut",),
        (Kind.NEVER_CONVERGES,),
        off.skipped_events_say_nothing,
    ),
    Ablation(
        13,
        "nothing is sent again",
        ("bit rot",),
        (Kind.NEVER_CONVERGES, Kind.LOST),
        off.nothing_is_sent_again,
    ),
    Ablation(
        13,
        "what did not come again stays",
        ("bit rot",),
        (Kind.NEVER_CONVERGES, Kind.UNEXPECTED, Kind.FALSE_RED),
        off.what_did_not_come_again_stays,
    ),
    Ablation(
        14, "digests of the head", ("blocked", "cut"), (Kind.FALSE_RED,), off.digests_of_the_head
    ),
    Ablation(15, "credit is sent once", ("drop up",), (Kind.STARVED,), off.credit_is_sent_once),
    Ablation(
        15,
        "live always goes first",
        ("overload", "cut"),
        (Kind.STARVED,),
        off.live_always_goes_first,
    ),
    Ablation(
        16,
        "the forwarder knows no base",
        ("viewer crash",),
        (Kind.FALSE_RED,),
        off.the_forwarder_knows_no_base,
    ),
    Ablation(
        16,
        "the viewer knows no base",
        ("viewer crash",),
        (Kind.FALSE_RED,),
        off.the_viewer_knows_no_base,
    ),
    Ablation(
        17,
        "a known id is a duplicate",
        ("log group recreated",),
        (Kind.LOST, Kind.ALTERED, Kind.FALSE_GREEN, Kind.NEVER_CONVERGES),
        off.a_known_id_is_a_duplicate,
    ),
    Ablation(
        17,
        "a contradiction is a recreation",
        ("other time", "other stream"),
        (Kind.DISHONEST,),
        off.a_contradiction_is_a_recreation,
    ),
    Ablation(
        17,
        "contradicting scans count",
        ("two streams", "bursts"),
        (Kind.FALSE_GREEN,),
        off.contradicting_scans_count,
    ),
    Ablation(
        17,
        "resumed scans count",
        ("pages swapped", "token refused", "bursts"),
        (Kind.FALSE_GREEN,),
        off.resumed_scans_count,
    ),
    Ablation(
        17,
        "unreadable events are dropped",
        ("unreadable",),
        (Kind.LOST,),
        off.unreadable_events_are_dropped,
    ),
    Ablation(
        18, "texts are not compared", ("altered",), (Kind.FALSE_GREEN,), off.texts_are_not_compared
    ),
    Ablation(
        18,
        "any text restores a body",
        ("altered", "retention", "viewer crash"),
        (Kind.ALTERED,),
        off.any_text_restores_a_body,
    ),
    Ablation(18, "altered for ever", ("altered",), (Kind.NEVER_CONVERGES,), off.altered_for_ever),
]


def test_every_rule_has_its_ablation() -> None:
    assert {one.rule for one in ABLATIONS} == set(range(1, RULES + 1))


def find(ablation: Ablation) -> int | None:
    """The first seed whose run has the fault."""
    for seed in range(SEEDS):
        try:
            with ablation.active():
                run(seed, ablation.troubles)
        except FaultError as fault:
            if fault.kind in ablation.kinds:
                return seed
    return None


@pytest.mark.parametrize("ablation", ABLATIONS, ids=str)
def test_without_the_rule_its_fault_is_found(ablation: Ablation) -> None:
    seed = find(ablation)
    assert seed is not None, f"{SEEDS} runs without the rule, and no {ablation.kinds}"
    # The same run with the rule has no fault.
    run(seed, ablation.troubles)
