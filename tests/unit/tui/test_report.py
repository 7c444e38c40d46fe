from __future__ import annotations

from tests.support.fake_engine import EPOCH_MS, make_rule, status_of, target_status
from tui import report
from tui.bindings import KEYS
from tui.harmless import Segment
from tui.status import (
    GapStatus,
    HistoryEntry,
    LostRange,
    MarkStatus,
    Outage,
    UnprovedRange,
)

NOW = EPOCH_MS + 60_000


def text_of(lines: list[list[Segment]]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_a_connection_that_has_only_begun() -> None:
    status = status_of((target_status(state="connecting", epoch=None, upstream=None),))
    text = text_of(report.connection_report(status, NOW))
    assert "connecting for 1m00s" in text
    assert "nothing yet" in text
    assert "Disconnections\nnone" in text
    assert "Missing\nnothing" in text


def test_everything_there_is_to_know_of_a_connection() -> None:
    mark = MarkStatus(0, EPOCH_MS, EPOCH_MS + 5_000, NOW, 9, 9, "aa" * 8, 8, "bb" * 8, equal=False)
    target = target_status(
        detail="\x1b[2Jnote",
        complete_through_ms=EPOCH_MS,
        marks=12,
        marks_unequal=1,
        last_mark=mark,
        duplicates=77,
        after=1_234,
        head_seq=1_240,
        unproved=(UnprovedRange(0, EPOCH_MS, EPOCH_MS + 1_000, 3, final=True),),
        lost=(LostRange(0, EPOCH_MS, EPOCH_MS + 1_000, "retention"),),
        gaps=(GapStatus(0, "g", EPOCH_MS, EPOCH_MS + 1_000, "repaired", "missed", 4),),
        outages=(
            Outage(EPOCH_MS, EPOCH_MS + 10_200, 1006, "no answer", 203, "resumed"),
            Outage(EPOCH_MS + 50_000, None, None, "the cable was pulled", None, None),
        ),
        history=(HistoryEntry(EPOCH_MS, "reconnecting", "lost"), HistoryEntry(NOW, "live", "")),
    )
    text = text_of(report.connection_report(status_of((target,)), NOW))
    for part in (
        "12, 1 unequal",
        "aaaaaaaaaaaaaaaa  9",
        "bbbbbbbbbbbbbbbb  8 ≠",
        "77 again",
        "seq 1,234 of 1,240",
        "3 lines missing: asked again, still different",
        "gone: retention",
        "gap repaired, 4 lines: missed",
        "10 s resumed, 203 lines recovered",
        "1006 no answer",
        "10 s lasting",
        "the cable was pulled",
        "12:01:00 live",
        "12:00:00 reconnecting lost",
        "␛[2Jnote",
    ):
        assert part in text, part
    assert text.index("12:01:00 live") < text.index("12:00:00 reconnecting")


def test_each_target_is_reported() -> None:
    targets = (target_status(name="one"), target_status(target=1, name="two"))
    text = text_of(report.connection_report(status_of(targets), NOW))
    assert "one\naddress" in text
    assert "two\naddress" in text


def test_the_detail_of_a_rule() -> None:
    rule = make_rule(1, EPOCH_MS, "offline", through_ms=None, reason="no answer")
    text = text_of(report.rule_report(rule))
    assert "still" in text
    assert "no answer" in text


def test_the_help_lists_every_key() -> None:
    text = text_of(report.help_report(controls=True))
    for key in KEYS:
        assert key.shown in text
        assert key.help in text
        assert key.departs in text
    assert "pull the cable" not in text_of(report.help_report(controls=False))
