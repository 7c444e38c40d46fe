from __future__ import annotations

from random import Random

from tests.soak.trend import Sample, slope, trend_of

MIB = 1 << 20


def life(
    seconds: int, pss_per_minute: float, *, fds_per_minute: float = 0.0, peaks: int = 0
) -> list[Sample]:
    rng = Random(1)
    found = []
    for at_s in range(0, seconds, 3):
        # A start like every program's, which must not count.
        pss = 100 * MIB + min(at_s, 30) * 2 * MIB + pss_per_minute * at_s / 60
        pss += 50 * MIB if peaks and rng.randrange(100) < peaks else 0
        fds = 20 + int(fds_per_minute * at_s / 60)
        found.append(Sample(float(at_s), int(pss) + MIB, int(pss), fds, at_s * 40))
    return found


def test_the_slope_is_that_of_most_pairs() -> None:
    assert slope([(0, 5), (1, 7), (2, 900), (3, 11)]) == 2
    assert slope([(0, 1)]) == 0
    assert slope([]) == 0


def test_a_long_flat_life_is_flat_in_spite_of_its_start_and_of_peaks() -> None:
    for peaks in (0, 20):
        trend = trend_of("forwarder", life(1_800, 0, peaks=peaks))
        assert trend.judged_s > 800
        assert trend.findings() == []
        assert "flat" in trend.describe()


def test_steady_growth_is_found() -> None:
    trend = trend_of("forwarder", life(1_800, 2 * MIB))
    [finding] = trend.findings()
    assert finding.startswith("forwarder grew by ")
    assert 25 * MIB < trend.grown < 35 * MIB
    assert "NOT FLAT" in trend.describe()


def test_growth_by_lines_that_are_held_by_design_is_allowed() -> None:
    samples = life(1_800, 2 * MIB)
    assert trend_of("screen", samples, line_bytes=1_024).findings() == []
    assert trend_of("screen", samples, line_bytes=100).findings()


def test_kept_file_descriptors_are_found() -> None:
    assert trend_of("forwarder", life(1_800, 0, fds_per_minute=0.1)).findings() == []
    [finding] = trend_of("forwarder", life(1_800, 0, fds_per_minute=1)).findings()
    assert finding == "forwarder kept file descriptors: 35 to 49"


def test_a_short_life_is_reported_and_not_judged() -> None:
    trend = trend_of("text", life(150, 50 * MIB))
    assert trend.findings() == []
    assert "too short" in trend.describe()
