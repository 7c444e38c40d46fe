from __future__ import annotations

import pytest

from tests.conformance.chapters import ALL
from tests.conformance.rules import BY_ID, FAILURES_MAX, RULES, Ledger, as_object, as_text, selected


def test_rule_ids_are_unique_and_every_rule_number_is_covered() -> None:
    assert len(BY_ID) == len(RULES)
    assert {number for rule in RULES for number in rule.number} == set(range(1, 19))


def test_each_rule_has_a_scenario_or_states_what_it_needs() -> None:
    shown = set().union(*(one.shows for one in ALL))
    assert shown <= set(BY_ID)
    needs = {rule.id for rule in RULES if rule.unless.startswith(("needs", "the client has"))}
    assert set(BY_ID) - shown <= needs


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["n-dense"], {"n-dense"}),
        (["[2]"], {"n-dense"}),
        (["14"], {"digest", "digest-conflict"}),
        (["14", "bye"], {"digest", "digest-conflict", "bye"}),
        ([], set(BY_ID)),
    ],
)
def test_rules_are_chosen_by_name_or_number(names: list[str], found: set[str]) -> None:
    assert selected(names) == found


@pytest.mark.parametrize("name", ["nonsense", "99", "[", ""])
def test_an_unknown_rule(name: str) -> None:
    with pytest.raises(KeyError):
        selected([name])


def test_one_failure_is_enough_and_a_rule_without_checks_is_never_ok() -> None:
    ledger = Ledger()
    wanted = selected(["n-dense", "once", "lost", "end"])
    assert ledger.check("once", holds=True, expected="", got="")
    assert ledger.check("n-dense", holds=True, expected="", got="")
    for n in range(FAILURES_MAX + 2):
        assert not ledger.check("n-dense", holds=False, expected="n 2", got=f"n {n}\x1b[31m")
    ledger.not_shown("end", "it is not over")
    verdicts = {one.rule.id: one for one in ledger.verdicts(wanted)}
    assert [verdicts[rule].state for rule in ("n-dense", "once", "lost", "end")] == [
        *("FAILED", "ok", "not shown", "not shown")
    ]
    assert len(verdicts["n-dense"].failures) == FAILURES_MAX
    assert verdicts["n-dense"].failures[0].got == "n 0\\x1b[31m"
    assert (verdicts["lost"].why, verdicts["end"].why) == ("no lost events", "it is not over")
    assert ledger.has_failed("n-dense")
    assert not ledger.has_failed("once")


def test_the_table_and_the_object_say_the_same() -> None:
    ledger = Ledger()
    ledger.check("n-dense", holds=False, expected="n 2", got="n 3")
    ledger.check("once", holds=True, expected="", got="")
    verdicts = ledger.verdicts(selected(["n-dense", "once", "lost"]))
    lines = as_text(verdicts).splitlines()
    assert lines[0] == "THREE POSITIONS"
    assert lines[1].split()[:2] == ["FAILED", "n-dense"]
    assert lines[1].endswith("[2]")
    assert lines[2].strip() == "expected n 2; got n 3"
    assert lines[-1] == "1 ok, 1 FAILED, 1 not shown"
    report = as_object("ws://h", verdicts)
    assert not report["conforms"]
    assert report["counts"] == {"ok": 1, "FAILED": 1, "not shown": 1}
    assert report["rules"][0]["failures"] == [{"expected": "n 2", "got": "n 3"}]
