from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_engine import EPOCH_MS, make_line, make_rule, status_of, target_status
from tui.client.status import EndStatus, GapStatus, LostRange, Status, UnequalRange
from tui.render.notifications import (
    MODES,
    PAUSE_MS,
    TEXT_CHARS,
    Mode,
    Notifier,
    fit_for_terminal,
    sequence,
)

NOW = EPOCH_MS + 60_000
GAP = GapStatus(0, "g1", EPOCH_MS, EPOCH_MS + 4_000, "repairing", "", 0)
END = EndStatus("exec-7", "FAILED", EPOCH_MS, EPOCH_MS + 1, 3, equal=True)


def status(**changes: Any) -> Status:  # noqa: ANN401 - any field
    return status_of((target_status(**changes),))


def news(*seen: Status, notifier: Notifier | None = None, now_ms: int = NOW) -> list[str]:
    notifier = notifier or Notifier()
    notifier.take_status(status())
    for one in seen:
        notifier.take_status(one)
    return notifier.take_due(now_ms)


def test_a_gap_is_notified_once() -> None:
    assert news(status()) == []
    assert news(status(gaps=(GAP,)), status(gaps=(GAP,))) == ["gap 12:00:00 to 12:00:04 repairing"]
    lost = LostRange(0, EPOCH_MS, EPOCH_MS + 1_000, "retention")
    assert news(status(lost=(lost,))) == ["not recoverable: 12:00:00 to 12:00:01"]
    unequal = UnequalRange(0, EPOCH_MS, EPOCH_MS, 1_200, final=True)
    assert news(status(unequal=(unequal,))) == ["1,200 missing 12:00:00"]


def test_an_end_is_notified_once() -> None:
    assert news(status(ends=(END,)), status(ends=(END,))) == ["exec-7 FAILED"]
    assert news(status(state="failed", detail="HTTP 404")) == ["/gapless/demo: HTTP 404"]


def test_the_first_status_is_not_notified() -> None:
    notifier = Notifier()
    notifier.take_status(status(gaps=(GAP,), ends=(END,)))
    notifier.take_status(status(gaps=(GAP,), ends=(END,)))
    assert notifier.take_due(NOW) == []


def test_new_live_errors_are_notified() -> None:
    notifier = Notifier()
    notifier.take_rows(
        [
            make_line(1, "INFO fine"),
            make_line(2, "ERROR old", origin="backfill"),
            make_line(3, "ERROR first"),
            make_line(4, "FATAL second"),
            make_rule(1, EPOCH_MS, "offline"),
        ]
    )
    assert notifier.take_due(NOW) == ["ERROR first (and 1 more)"]


def test_each_kind_has_its_pause_and_counts_the_rest() -> None:
    notifier = Notifier()
    notifier.take_rows([make_line(1, "ERROR a")])
    assert notifier.take_due(NOW) == ["ERROR a"]
    notifier.take_rows([make_line(2, "ERROR b"), make_line(3, "ERROR c")])
    assert notifier.take_due(NOW + PAUSE_MS - 1) == []
    assert news(status(gaps=(GAP,)), notifier=notifier, now_ms=NOW + 1) == [
        "gap 12:00:00 to 12:00:04 repairing"
    ]
    assert notifier.take_due(NOW + PAUSE_MS) == ["ERROR b (and 1 more)"]
    assert notifier.take_due(NOW + 2 * PAUSE_MS) == []


@pytest.mark.parametrize("mode", MODES)
def test_nothing_of_a_message_acts_on_the_terminal(mode: Mode) -> None:
    text = fit_for_terminal("a\x1b\\\x07\x9c;b\n\u202e" + "x" * 1_000)
    assert len(text) < 2 * TEXT_CHARS
    written = sequence(mode, text)
    left = written.removesuffix("\x1b\\").removeprefix("\x1b]9;").removeprefix("\x1b]777;notify;")
    assert left == "\a" or (left.isprintable() and "\x1b" not in left)


def test_sequences() -> None:
    assert [sequence(mode, "x") for mode in MODES] == [
        "",
        "\a",
        "\x1b]9;gapless: x\x1b\\",
        "\x1b]777;notify;gapless;x\x1b\\",
    ]
