from __future__ import annotations

import random
from itertools import islice

from common.backoff import FIRST_MS, LONGEST_MS, backoff


def test_waits_double_up_to_their_bound_with_jitter() -> None:
    for seed in range(50):
        step = FIRST_MS
        for wait in islice(backoff(random.Random(seed)), 12):
            assert step // 2 <= wait <= step
            step = min(2 * step, LONGEST_MS)
        assert step == LONGEST_MS


def test_a_crowd_does_not_come_back_at_once() -> None:
    waits = {next(islice(backoff(random.Random(seed)), 5, None)) for seed in range(200)}
    assert len(waits) > 150
