from __future__ import annotations

import pytest

from forwarder.cluster.status import Report, Status, decode, encode
from forwarder.errors import JournalError
from forwarder.records import AlteredEvent, GapRecord, ScanDone
from wire.messages import Upstream

STATUS = Status(
    b"12345678",
    3,
    ((1, 2), (5, 9)),
    (GapRecord("g", 1, 2, "suspected", "why \udcff", 0, frozenset({"job/1"})),),
    Report(
        proved=(ScanDone(1, 2, 3, 4),),
        altered=(AlteredEvent(1, "1", 2, "job/1", "text \ud800", 6),),
        upstream=Upstream("throttled", 5, "throttled", "slow down"),
        is_ready=True,
        allowance_ms=2_000,
    ),
)


def test_a_status_survives_encoding() -> None:
    assert decode(encode(STATUS)) == STATUS


def test_a_status_of_a_newer_version_names_the_remedy() -> None:
    with pytest.raises(JournalError, match="upgrade gapless"):
        decode(b"\x02" + encode(STATUS)[1:])


@pytest.mark.parametrize("content", [b"\x01", b"\x01{}"])
def test_a_damaged_status_is_one_error(content: bytes) -> None:
    with pytest.raises(JournalError, match="damaged"):
        decode(content)
