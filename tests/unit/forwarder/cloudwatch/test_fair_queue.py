"""Shares of lanes and priorities, for thousands of random loads."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from forwarder.cloudwatch.fair_queue import SHARES, FairQueue, Priority

POLL, SCAN, BACKFILL = Priority.POLL, Priority.SCAN, Priority.BACKFILL
ALL = frozenset(Priority)
SEEDS = 2_000

Call = tuple[str, Priority, int]


def drain(queue: FairQueue[Call]) -> list[Call]:
    calls = []
    while (call := queue.pop(ALL)) is not None:
        calls.append(call)
    return calls


def test_a_poll_goes_before_a_scan_and_a_scan_before_a_backfill() -> None:
    queue: FairQueue[str] = FairQueue()
    for priority in (BACKFILL, SCAN, POLL):
        queue.push(priority.name, "lane", priority)
    assert [queue.pop(ALL) for _ in range(4)] == ["POLL", "SCAN", "BACKFILL", None]


def test_lanes_of_equal_weight_go_in_turns_in_order_of_arrival() -> None:
    queue: FairQueue[str] = FairQueue()
    for call in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.push(call, call[0], POLL)
    assert [queue.pop(ALL) for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_call_that_was_given_up_is_not_returned() -> None:
    queue: FairQueue[str] = FairQueue()
    for call in ("a1", "a2", "b1"):
        queue.push(call, call[0], SCAN)
    queue.remove("a1", "a", SCAN)
    queue.remove("a1", "a", SCAN)
    queue.remove("b1", "b", SCAN)
    assert (len(queue), queue.pop(ALL), queue.pop(ALL)) == (1, "a2", None)


def test_a_lane_that_was_silent_has_saved_nothing_up() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(1_000):
        queue.push("busy", "busy", POLL)
        queue.pop(ALL)
    for number in range(20):
        queue.push(f"busy {number}", "busy", POLL)
        queue.push(f"new {number}", "new", POLL)
    first = [str(queue.pop(ALL)).split()[0] for _ in range(10)]
    assert 4 <= first.count("new") <= 6


def test_what_may_not_go_saves_nothing_up() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("scan", "lane", SCAN)
    for number in range(30):
        queue.push("scan", "lane", SCAN)
        queue.push(f"poll {number}", "lane", POLL)
        assert queue.pop({POLL}) == f"poll {number}"
    for number in range(40):
        queue.push(f"poll {number}", "lane", POLL)
    scans = sum(queue.pop(ALL) == "scan" for _ in range(20))
    assert scans == pytest.approx(20 / (1 + SHARES[POLL] / SHARES[SCAN]), abs=1)


def test_every_call_comes_once_and_the_queue_is_never_idle_while_one_waits() -> None:
    for seed in range(SEEDS):
        random = Random(seed)
        queue: FairQueue[Call] = FairQueue()
        waiting: list[Call] = []
        for number in range(random.randrange(1, 60)):
            call = (random.choice("abcd"), random.choice(list(Priority)), number)
            match random.randrange(4):
                case 0 | 1:
                    queue.push(call, call[0], call[1])
                    waiting.append(call)
                case 2 if waiting:
                    gone = waiting.pop(random.randrange(len(waiting)))
                    queue.remove(gone, gone[0], gone[1])
                case _:
                    queue.set_weight(random.choice("abcd"), random.choice((1.0, 2.0, 8.0)))
                    allowed = random.choice((ALL, {POLL}))
                    came = queue.pop(allowed)
                    ready = [one for one in waiting if one[1] in allowed]
                    assert (came is None) == (not ready), seed
                    if came is not None:
                        waiting.remove(came)
                        # Calls of one lane and priority keep their order.
                        assert not any(one[:2] == came[:2] and one[2] < came[2] for one in waiting)
        assert sorted(drain(queue)) == sorted(waiting), seed


def test_each_lane_gets_its_weight_however_noisy_the_others_are() -> None:
    for seed in range(SEEDS):
        random = Random(seed)
        weights = {str(lane): random.choice((1.0, 2.0, 4.0, 8.0)) for lane in range(6)}
        queue: FairQueue[str] = FairQueue()
        for lane, weight in weights.items():
            queue.set_weight(lane, weight)
            for _ in range(random.choice((1, 50)) * 10):  # a noisy lane has many calls waiting
                queue.push(lane, lane, POLL)
        got: Counter[str] = Counter()
        rounds = 200
        for _ in range(rounds):
            came = queue.pop(ALL)
            assert came is not None
            got[came] += 1
            queue.push(came, came, POLL)
        whole = sum(weights.values())
        for lane, weight in weights.items():
            assert abs(got[lane] - rounds * weight / whole) <= 3, (seed, lane)


def test_lanes_that_come_and_go_never_wait_longer_than_their_share() -> None:
    """A lane's call goes before any other lane has had more than its weight allows."""
    for seed in range(SEEDS // 4):
        random = Random(seed)
        queue: FairQueue[str] = FairQueue()
        noisy = random.randrange(1, 6)
        for lane in range(noisy):
            for _ in range(100):
                queue.push(f"noisy {lane}", f"noisy {lane}", POLL)
        waited: int | None = None
        for _ in range(90):
            if waited is None and random.random() < 0.2:
                queue.push("quiet", "quiet", POLL)
                waited = 0
            if queue.pop(ALL) == "quiet":
                waited = None
            elif waited is not None:
                waited += 1
                assert waited <= 2 * noisy, seed


def test_each_priority_gets_its_share_while_calls_of_each_wait() -> None:
    for seed in range(SEEDS // 4):
        random = Random(seed)
        present = random.sample(list(Priority), random.choice((2, 3)))
        queue: FairQueue[Priority] = FairQueue()
        for priority in present:
            for number in range(300):
                queue.push(priority, random.choice("ab") if number % 3 else "c", priority)
        got = Counter(queue.pop(ALL) for _ in range(240))
        whole = sum(SHARES[one] for one in present)
        for priority in present:
            assert abs(got[priority] - 240 * SHARES[priority] / whole) <= 2, seed


def test_the_lanes_of_feeds_that_ended_are_forgotten() -> None:
    queue: FairQueue[int] = FairQueue()
    for _ in range(2 * 10_000):
        queue.push(-1, -1, POLL)  # one lane never ends
    for number in range(10_000):
        queue.set_weight(number, 2.0)
        queue.push(number, number, POLL)
        assert number in (queue.pop(ALL), queue.pop(ALL), queue.pop(ALL))
        queue.drop_weight(number)
    assert len(queue._lanes[POLL]._tags) < 200
    assert not queue._weights
