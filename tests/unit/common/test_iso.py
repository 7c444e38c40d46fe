from __future__ import annotations

from common.iso import iso, iso_range


def test_times_are_written_as_iso_8601_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_795_434_271_123) == "2026-11-23T11:44:31.123Z"
    assert iso(253_402_300_799_999) == "9999-12-31T23:59:59.999Z"
    assert iso(253_402_300_800_000) == "+253402300800000"
    assert iso_range(0, 1) == "1970-01-01T00:00:00.000Z..1970-01-01T00:00:00.001Z"
