from __future__ import annotations

from pathlib import Path

import pytest

from forwarder.cloudwatch import clock
from forwarder.cloudwatch.clock import clock_of
from forwarder.errors import ConfigError


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "wall_clock_ms", lambda: 1_000_000)


@pytest.mark.usefixtures("wall")
def test_it_is_right_unless_told_otherwise() -> None:
    assert clock_of(None)() == 1_000_000


@pytest.mark.usefixtures("wall")
def test_it_is_wrong_by_what_the_file_says_at_that_moment(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_bytes(bytes(8))
    now_ms = clock_of(path)
    assert now_ms() == 1_000_000
    for offset_ms in (90_000, -90_000, 0):
        with path.open("r+b") as file:
            file.write(offset_ms.to_bytes(8, "little", signed=True))
        assert now_ms() == 1_000_000 + offset_ms


@pytest.mark.parametrize("content", [None, b"", b"1234567"])
def test_a_file_that_is_no_clock_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clock"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="can't be used"):
        clock_of(path)
