from __future__ import annotations

from tests.support.network.cloudwatch_faults import CallFault, CloudWatchFaults, FaultSchedule

CALM = CallFault()


def test_calm_weather_does_nothing() -> None:
    forecast = FaultSchedule(CloudWatchFaults())
    assert [forecast.next(reads_events=True) for _ in range(100)] == [CALM] * 100


def test_an_outage_hits_so_many_reads_in_a_row() -> None:
    forecast = FaultSchedule(CloudWatchFaults(outage_at=3, outage_calls=2))
    fates = []
    for number in range(6):
        fates.append(forecast.next(reads_events=True).status)
        assert forecast.next(reads_events=False) == CALM, number
    assert fates == [200, 200, 503, 503, 200, 200]


def test_the_same_seed_is_the_same_weather() -> None:
    weather = CloudWatchFaults(throttle=0.3, cut=0.3, truncate=0.2, seed=5)

    def fates(seed: int) -> list[CallFault]:
        forecast = FaultSchedule(CloudWatchFaults(throttle=0.3, cut=0.3, truncate=0.2, seed=seed))
        return [forecast.next(reads_events=True) for _ in range(200)]

    assert fates(weather.seed) == fates(5)
    assert fates(5) != fates(6)
    drawn = fates(5)
    assert {one.status for one in drawn} == {200, 400}
    assert any(one.is_cut for one in drawn)
    assert any(one.is_truncated for one in drawn)


def test_what_only_describes_is_throttled_but_not_cut() -> None:
    forecast = FaultSchedule(CloudWatchFaults(throttle=0.5, cut=1, truncate=1))
    fates = [forecast.next(reads_events=False) for _ in range(50)]
    assert {one.status for one in fates} == {200, 400}
    assert not any(one.is_cut or one.is_truncated for one in fates)


def test_an_event_becomes_visible_once_for_every_scan() -> None:
    forecast = FaultSchedule(CloudWatchFaults(visible_within_ms=5_000))
    events = [{"eventId": str(n), "message": "x", "ingestionTime": 1_000} for n in range(200)]
    hidden = [
        sum(not forecast.is_visible(event, now_ms) for event in events)
        for now_ms in range(1_000, 6_001, 500)
    ]
    assert hidden == sorted(hidden, reverse=True)
    assert hidden[0] > 150
    assert hidden[-1] == 0
