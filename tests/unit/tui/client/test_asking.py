from __future__ import annotations

from tui.client.asking import PATIENCE_MS, WAITING_MAX, Asking, Request
from wire.messages import Repair, Verify


def request(from_: int, through: int) -> Request:
    return Request("repair", from_, through, scanned=True)


def test_one_question_at_a_time() -> None:
    asking = Asking()
    assert asking.put(request(1, 5))
    assert asking.put(Request("verify", 6, 9, scanned=True))
    first = asking.next(0)
    assert first is not None
    assert first.message() == Repair(1, 5)
    assert asking.next(0) is None
    assert asking.answered(1, 5) == first
    second = asking.next(0)
    assert second is not None
    assert second.message() == Verify(6, 9)


def test_no_range_is_asked_about_twice_at_a_time() -> None:
    asking = Asking()
    asking.put(request(1, 5))
    assert not asking.put(request(5, 9))
    asking.next(0)
    assert not asking.put(request(1, 1))
    assert asking.put(request(6, 9))


def test_few_questions_wait() -> None:
    asking = Asking()
    assert all(asking.put(request(number, number)) for number in range(WAITING_MAX))
    assert not asking.put(request(99, 99))


def test_an_answer_may_be_clipped_but_not_of_another_range() -> None:
    asking = Asking()
    asking.put(request(10, 20))
    asking.next(0)
    assert asking.answered(5, 20) is None
    assert asking.answered(10, 21) is None
    assert asking.answered(12, 15) == request(10, 20)
    assert asking.answered(12, 15) is None


def test_what_a_repair_brings_is_noted_and_keeps_it_alive() -> None:
    asking = Asking()
    asking.put(request(1, 5))
    asking.next(0)
    asking.note([7, 11, 30], 10, 20, PATIENCE_MS)
    assert asking.seen == {11}
    asking.put(request(6, 6))
    assert asking.next(2 * PATIENCE_MS) is None
    assert asking.next(2 * PATIENCE_MS + 1) == request(6, 6), "the first was never answered"
    assert asking.seen == set()


def test_nothing_is_noted_for_a_verify() -> None:
    asking = Asking()
    asking.put(Request("verify", 1, 5, scanned=True))
    asking.next(0)
    asking.note([11], 10, 20, 0)
    assert asking.seen == set()


def test_all_is_dropped_with_the_connection() -> None:
    asking = Asking()
    asking.put(request(1, 5))
    asking.put(request(6, 9))
    asking.next(0)
    asking.drop()
    assert asking.out is None
    assert asking.next(0) is None
