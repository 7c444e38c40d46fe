"""When CloudWatch counts as silent, though no call has timed out yet."""

from __future__ import annotations

from forwarder.cloudwatch.answers import SILENT_MS, AnswerWatch


def test_a_call_without_an_answer_is_a_silence_after_three_seconds() -> None:
    watch = AnswerWatch()
    assert (watch.silent_from_ms, watch.silent_ms(10_000), watch.waited_ms(10_000)) == (
        None,
        None,
        0,
    )
    number = watch.begin(1_000)
    assert watch.silent_from_ms == 1_000 + SILENT_MS
    assert watch.silent_ms(1_000 + SILENT_MS - 1) is None
    assert watch.waited_ms(2_000) == 1_000
    assert watch.silent_ms(1_000 + SILENT_MS) == SILENT_MS
    watch.end(number, 5_000, is_answered=False)
    assert watch.silent_ms(9_000) is None, "no call runs"


def test_an_answer_to_another_call_ends_the_silence() -> None:
    watch = AnswerWatch()
    watch.begin(0)
    quick = watch.begin(2_900)
    watch.end(quick, 3_000, is_answered=True)
    assert watch.silent_ms(3_000 + SILENT_MS - 1) is None
    assert watch.silent_ms(3_000 + SILENT_MS) == SILENT_MS


def test_a_call_that_fails_is_no_answer() -> None:
    watch = AnswerWatch()
    watch.begin(0)
    failing = watch.begin(10)
    watch.end(failing, 1_000, is_answered=False)
    assert watch.silent_ms(SILENT_MS) == SILENT_MS


def test_slow_answers_raise_the_limit_for_a_while() -> None:
    watch = AnswerWatch()
    watch.end(watch.begin(0), 4_000, is_answered=True)
    slow = watch.begin(10_000)
    assert watch.silent_from_ms == 18_000
    watch.end(slow, 10_100, is_answered=True)
    for number in range(20):
        watch.end(watch.begin(20_000 + number), 20_001 + number, is_answered=True)
    watch.begin(30_000)
    assert watch.silent_from_ms == 30_000 + SILENT_MS
