from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from tests.support.fake_engine import EPOCH_MS, make_line, make_rule, status_of, target_status
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


def test_the_detail_of_a_line() -> None:
    line = make_line(7, '{"level":"warn","ok":true,"n":1.5,"s":"\\u001b[2J"}', late_ms=42_000)
    line = msgspec.structs.replace(line, origin="repair")
    lines = report.detail_report(
        line, group="/g", level="warn", confirmed=False, zone=ZoneInfo("Asia/Tokyo")
    )
    text = text_of(lines)
    assert "2026-11-23 12:00:00.700 UTC, 21:00:00 local" in text
    assert '  "level": "warn",' in text
    assert "found what the live path had missed" in text
    assert "+42 s" in text
    assert "has not sent it again" in text
    assert "0.3 s after" in text
    assert line.id in text
    assert "\x1b" not in text
    roles = {role for one in lines for _, role in one}
    assert {"key", "ok", "accent", "warn"} <= roles


def test_the_detail_of_plain_text_keeps_its_lines() -> None:
    line = make_line(1, "Traceback\n  File x\nboom")
    text = text_of(report.detail_report(line, group="/g", level=None, confirmed=True))
    assert "\nTraceback\n  File x\nboom\n" in text
    assert "none seen" in text


def test_what_only_looks_like_json_is_text() -> None:
    for message in ("{not json", "[1, 2", "[" * 100_000):
        line = make_line(1, message)
        text = text_of(report.detail_report(line, group="/g", level=None, confirmed=True))
        assert message[:50] in text


def test_the_detail_of_a_huge_line_is_bounded() -> None:
    line = make_line(1, "x" * 1_000_000)
    text = text_of(report.detail_report(line, group="/g", level=None, confirmed=True))
    assert len(text) < report.DETAIL_CHARS_MAX + 1_000
    assert "934,464 characters more: y copies all" in text


def test_a_line_of_the_live_path_has_no_time_of_ingestion() -> None:
    line = msgspec.structs.replace(make_line(1, "x"), ingestion_time=None)
    text = text_of(report.detail_report(line, group="/g", level=None, confirmed=True))
    assert "not told by the live path" in text


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
