"""tests.unit.gapless.verification.test_verify."""

from __future__ import annotations

import pytest

from gapless.verification import compare
from gapless.verification.compare import Comparison, Difference, Kind, Seen
from gapless.verification.verify import Known, is_clean, judge, next_unproved, proved_through

BEGAN = 10_000


def differs(kind: Kind, number: int, at: int = 500, ingested: int | None = 600) -> Difference:
    return Difference(kind, Seen(str(number), at, f"job/{number}", "x", ingested))


def whys(differences: list[Difference], known: Known) -> list[tuple[str, str, str]]:
    return [(one.kind, one.seen.id, one.why) for one in judge(differences, known)]


def test_nothing_explains_it() -> None:
    known = Known(began_ms=BEGAN)
    kinds: tuple[Kind, ...] = ("missing", "surplus", "altered", "doubled")
    told = whys([differs(kind, number) for number, kind in enumerate(kinds)], known)
    assert told == [(kind, str(number), "") for number, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("difference", "known", "why"),
    [
        (differs("missing", 1), Known(began_ms=BEGAN, declared=((400, 500),)), "declared"),
        (differs("missing", 1), Known(began_ms=BEGAN, declared=((501, 900),)), ""),
        (differs("missing", 1, ingested=BEGAN), Known(began_ms=BEGAN), "arriving"),
        (differs("missing", 1, ingested=None), Known(began_ms=BEGAN), ""),
        (differs("surplus", 1), Known(began_ms=BEGAN, retained_from=501), "retention"),
        (differs("surplus", 1), Known(began_ms=BEGAN, retained_from=500), ""),
        (differs("surplus", 1), Known(began_ms=BEGAN, deleted=frozenset({"job/1"})), "deleted"),
        (differs("surplus", 1), Known(began_ms=BEGAN, found=frozenset({"1"})), "flapped"),
        (differs("altered", 1), Known(began_ms=BEGAN, declared=((0, 900),)), ""),
    ],
)
def test_what_explains_it(difference: Difference, known: Known, why: str) -> None:
    [one] = judge([difference], known)
    assert one.why == why


def test_what_has_come_meanwhile_is_no_difference() -> None:
    assert whys([differs("missing", 1)], Known(began_ms=BEGAN, found=frozenset({"1"}))) == []


def test_the_same_id_elsewhere_in_time_is_altered() -> None:
    both = [differs("missing", 1, 500), differs("surplus", 1, 900), differs("surplus", 2)]
    assert whys(both, Known(began_ms=BEGAN)) == [("altered", "1", ""), ("surplus", "2", "")]


def test_clean_is_what_only_harmless_differences_have(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = Comparison()
    assert is_clean(comparison, [])
    comparison.take("cloudwatch", [differs("missing", 1).seen])
    comparison.end("cloudwatch")
    comparison.end("forwarder")
    known = Known(began_ms=BEGAN)
    assert not is_clean(comparison, judge(comparison.differences, known))
    known = Known(began_ms=500)
    assert is_clean(comparison, judge(comparison.differences, known))
    known = Known(began_ms=BEGAN, declared=((500, 500),))
    assert not is_clean(comparison, judge(comparison.differences, known))
    monkeypatch.setattr(compare, "LISTED_MAX", 0)
    unlisted = Comparison()
    unlisted.take("cloudwatch", [differs("missing", 1).seen])
    unlisted.end("cloudwatch")
    unlisted.end("forwarder")
    assert not is_clean(unlisted, judge(unlisted.differences, Known(began_ms=500)))


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
def test_how_far_it_is_proved(
    proofs: dict[int, int | None], declared: list[tuple[int, int]], through: int | None
) -> None:
    assert proved_through(list(proofs.items()), 100, declared) == through


def test_from_when_on_to_ask_next() -> None:
    assert next_unproved(100, None) == 100
    assert next_unproved(100, 250) == 251
