from __future__ import annotations

from tests.support.network.cloudwatch_faults import CallFault, CloudWatchFaults, FaultSchedule

NO_FAULT = CallFault()


def test_without_faults_every_call_passes() -> None:
    schedule = FaultSchedule(CloudWatchFaults())
    assert [schedule.next(reads_events=True) for _ in range(100)] == [NO_FAULT] * 100


def test_an_outage_fails_consecutive_reads() -> None:
    schedule = FaultSchedule(CloudWatchFaults(outage_at=3, outage_calls=2))
    faults = []
    for number in range(6):
        faults.append(schedule.next(reads_events=True).status)
        assert schedule.next(reads_events=False) == NO_FAULT, number
    assert faults == [200, 200, 503, 503, 200, 200]


def test_the_same_seed_draws_the_same_faults() -> None:
    given = CloudWatchFaults(throttle=0.3, cut=0.3, truncate=0.2, seed=5)

    def faults(seed: int) -> list[CallFault]:
        schedule = FaultSchedule(CloudWatchFaults(throttle=0.3, cut=0.3, truncate=0.2, seed=seed))
        return [schedule.next(reads_events=True) for _ in range(200)]

    assert faults(given.seed) == faults(5)
    assert faults(5) != faults(6)
    drawn = faults(5)
    assert {one.status for one in drawn} == {200, 400}
    assert any(one.is_cut for one in drawn)
    assert any(one.is_truncated for one in drawn)


def test_describe_calls_are_throttled_but_not_cut() -> None:
    schedule = FaultSchedule(CloudWatchFaults(throttle=0.5, cut=1, truncate=1))
    faults = [schedule.next(reads_events=False) for _ in range(50)]
    assert {one.status for one in faults} == {200, 400}
    assert not any(one.is_cut or one.is_truncated for one in faults)


def test_an_event_becomes_visible_at_the_same_time_for_every_scan() -> None:
    schedule = FaultSchedule(CloudWatchFaults(visible_within_ms=5_000))
    events = [{"eventId": str(n), "message": "x", "ingestionTime": 1_000} for n in range(200)]
    hidden = [
        sum(not schedule.is_visible(event, now_ms) for event in events)
        for now_ms in range(1_000, 6_001, 500)
    ]
    assert hidden == sorted(hidden, reverse=True)
    assert hidden[0] > 150
    assert hidden[-1] == 0
