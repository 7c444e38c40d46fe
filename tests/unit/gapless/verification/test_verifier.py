from __future__ import annotations

import pytest

from gapless.verification.verifier import next_unverified, verified_through


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
