from __future__ import annotations

import pytest

from gapless.verification import compare
from gapless.verification.compare import Comparison, Difference, Kind, SideEvent
from gapless.verification.verifier import (
    Facts,
    explain,
    is_clean,
    next_unverified,
    verified_through,
)


@pytest.mark.parametrize(
    ("proofs", "declared", "through"),
    [
        ({}, [], None),
        ({100: None}, [], None),
        ({100: 200}, [], 200),
        ({100: 200, 201: 300}, [], 300),
        ({100: 200, 202: 300}, [], 200),
        ({101: 200}, [], None),
        ({100: 199, 251: 300}, [(200, 250)], 300),
        ({}, [(100, 150)], 150),
        ({151: 300}, [(100, 150)], 300),
    ],
)
def test_through_when_it_is_verified(
    proofs: dict[int, int | None], declared: list[tuple[int, int]], through: int | None
) -> None:
    assert verified_through(list(proofs.items()), 100, declared) == through


def test_the_start_of_the_next_question() -> None:
    assert next_unverified(100, None) == 100
    assert next_unverified(100, 250) == 251


BEGAN = 10_000


def differs(kind: Kind, number: int, at: int = 500, ingested: int | None = 600) -> Difference:
    return Difference(kind, SideEvent(str(number), at, f"job/{number}", "x", ingested))


def reasons(differences: list[Difference], facts: Facts) -> list[tuple[str, str, str]]:
    return [(one.kind, one.event.id, one.reason) for one in explain(differences, facts)]


def test_nothing_explains_it() -> None:
    facts = Facts(began_ms=BEGAN)
    kinds: tuple[Kind, ...] = ("missing", "surplus", "altered", "doubled")
    told = reasons([differs(kind, number) for number, kind in enumerate(kinds)], facts)
    assert told == [(kind, str(number), "") for number, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("difference", "facts", "reason"),
    [
        (differs("missing", 1), Facts(began_ms=BEGAN, declared=((400, 500),)), "declared"),
        (differs("missing", 1), Facts(began_ms=BEGAN, declared=((501, 900),)), ""),
        (differs("missing", 1, ingested=BEGAN), Facts(began_ms=BEGAN), "arriving"),
        (differs("missing", 1, ingested=None), Facts(began_ms=BEGAN), ""),
        (differs("surplus", 1), Facts(began_ms=BEGAN, retained_from=501), "retention"),
        (differs("surplus", 1), Facts(began_ms=BEGAN, retained_from=500), ""),
        (differs("surplus", 1), Facts(began_ms=BEGAN, deleted=frozenset({"job/1"})), "deleted"),
        (differs("surplus", 1), Facts(began_ms=BEGAN, found=frozenset({"1"})), "flapped"),
        (differs("altered", 1), Facts(began_ms=BEGAN, declared=((0, 900),)), ""),
    ],
)
def test_what_explains_it(difference: Difference, facts: Facts, reason: str) -> None:
    [one] = explain([difference], facts)
    assert one.reason == reason


def test_an_event_found_by_now_is_no_difference() -> None:
    assert reasons([differs("missing", 1)], Facts(began_ms=BEGAN, found=frozenset({"1"}))) == []


def test_the_same_id_elsewhere_in_time_is_altered() -> None:
    both = [differs("missing", 1, 500), differs("surplus", 1, 900), differs("surplus", 2)]
    assert reasons(both, Facts(began_ms=BEGAN)) == [("altered", "1", ""), ("surplus", "2", "")]


def test_only_harmless_differences_are_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = Comparison()
    assert is_clean(comparison, [])
    comparison.add_page("cloudwatch", [differs("missing", 1).event])
    comparison.end_side("cloudwatch")
    comparison.end_side("forwarder")
    facts = Facts(began_ms=BEGAN)
    assert not is_clean(comparison, explain(comparison.differences, facts))
    facts = Facts(began_ms=500)
    assert is_clean(comparison, explain(comparison.differences, facts))
    facts = Facts(began_ms=BEGAN, declared=((500, 500),))
    assert not is_clean(comparison, explain(comparison.differences, facts))
    monkeypatch.setattr(compare, "LISTED_MAX", 0)
    unlisted = Comparison()
    unlisted.add_page("cloudwatch", [differs("missing", 1).event])
    unlisted.end_side("cloudwatch")
    unlisted.end_side("forwarder")
    assert not is_clean(unlisted, explain(unlisted.differences, Facts(began_ms=500)))
