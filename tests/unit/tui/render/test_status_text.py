from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, status_of, target_status
from tui.client.status import (
    BackfillProgress,
    ConnectionOutage,
    EndStatus,
    GapStatus,
    LostRange,
    Status,
    UnequalRange,
)
from tui.lines.viewport import ReadingPlace
from tui.render import status_text
from tui.render.status_text import Chunk, arrange, chunk

NOW = EPOCH_MS + 30_000


def said(chunks: Sequence[Chunk]) -> str:
    return " | ".join("".join(text for text, _ in one.parts) for one in chunks)


def roles(chunks: Sequence[Chunk]) -> list[str]:
    return [role for one in chunks for _, role in one.parts]


def status(**changes: Any) -> Status:  # noqa: ANN401 - any field of a target
    return status_of((target_status(**changes),))


@pytest.mark.parametrize(
    ("changes", "text", "badge"),
    [
        ({"state": "connecting", "detail": ""}, " ○ CONNECTING ", "badge.accent"),
        (
            {"state": "backfilling", "progress": BackfillProgress(450, 1000, None)},
            " ◔ BACKFILLING  | 45 % · 450 of 1,000",
            "badge.accent",
        ),
        (
            {"state": "backfilling", "progress": BackfillProgress(450, None, None)},
            " ◔ BACKFILLING  | 450 lines of history",
            "badge.accent",
        ),
        ({"state": "live"}, " ● LIVE ", "badge.accent"),
        (
            {"state": "quiet", "state_since_ms": NOW - 12_345},
            " ○ QUIET  | connected, no lines for 12 s",
            "badge.quiet",
        ),
        (
            {"state": "polling", "detail": "HTTP 403"},
            " ◐ DEGRADED: POLLING  | HTTP 403",
            "badge.warn",
        ),
        (
            {
                "state": "reconnecting",
                "attempt": 3,
                "retry_at_ms": NOW + 2_100,
                "detail": "refused",
            },
            " ✕ RECONNECTING  | attempt 3, in 2.1 s | refused",
            "badge.bad",
        ),
        (
            {"state": "reconnecting", "attempt": 1, "retry_at_ms": NOW - 5},
            " ✕ RECONNECTING  | attempt 1, now",
            "badge.bad",
        ),
        ({"state": "failed", "detail": "HTTP 404"}, " ✕ FAILED  | HTTP 404", "badge.bad"),
        ({"state": "ended"}, " ■ ENDED ", "badge.quiet"),
        ({"upstream": "throttled"}, " ● LIVE  | CloudWatch throttled", "badge.accent"),
        ({"upstream": "delayed", "upstream_lag_ms": 9_999}, " ● LIVE ", "badge.accent"),
        ({"upstream": "delayed", "upstream_lag_ms": None}, " ● LIVE ", "badge.accent"),
        (
            {"upstream": "delayed", "upstream_lag_ms": 12_400},
            " ● LIVE  | CloudWatch delayed 12 s",
            "badge.accent",
        ),
        (
            {"upstream": "unreachable", "upstream_code": "credentials_expired"},
            " ✕ CREDENTIALS EXPIRED ",
            "badge.bad",
        ),
        ({"upstream_code": "access_denied"}, " ✕ ACCESS DENIED ", "badge.bad"),
        (
            {"state": "polling", "detail": "HTTP 502", "upstream_code": "throttled"},
            " ✕ CLOUDWATCH THROTTLES  | HTTP 502",
            "badge.bad",
        ),
        ({"upstream_code": "group_missing"}, " ✕ LOG GROUP MISSING ", "badge.bad"),
        ({"upstream_code": "clock_wrong"}, " ✕ CLOCK WRONG ", "badge.bad"),
        ({"upstream_code": "throttled"}, " ✕ CLOUDWATCH THROTTLES ", "badge.bad"),
        ({"upstream_code": "unreachable"}, " ✕ CLOUDWATCH UNREACHABLE ", "badge.bad"),
        ({"upstream_code": "of_tomorrow\x1b"}, " ✕ OF TOMORROW␛ ", "badge.bad"),
        (
            {"state": "failed", "detail": "HTTP 404", "upstream_code": "access_denied"},
            " ✕ FAILED  | HTTP 404",
            "badge.bad",
        ),
    ],
)
def test_the_state_of_the_connection(changes: dict[str, Any], text: str, badge: str) -> None:
    chunks = status_text.connection(status(**changes), NOW)
    assert said(chunks) == text
    assert roles(chunks)[0] == badge


@pytest.mark.parametrize(
    ("end", "badge"),
    [("SUCCEEDED", "badge.ok"), ("FAILED", "badge.bad"), ("STOPPED", "badge.warn")],
)
def test_how_it_ended(end: Any, badge: str) -> None:  # noqa: ANN401 - one of the literals above
    ends = (EndStatus("exec-7", end, EPOCH_MS, NOW, 10, equal=True),)
    chunks = status_text.connection(status(state="ended", ends=ends), NOW)
    assert said(chunks) == f" ■ ENDED {end} "
    assert roles(chunks) == [badge]


def test_several_targets_say_how_many() -> None:
    targets = (
        target_status(state="reconnecting", attempt=2),
        target_status(target=1, state="live"),
        target_status(target=2, state="live"),
    )
    chunks = status_text.connection(status_of(targets, state="reconnecting"), NOW)
    assert "1 of 3 attempt 2" in said(chunks)


def test_details_are_harmless() -> None:
    chunks = status_text.connection(status(state="failed", detail="\x1b[2Jboom"), NOW)
    assert "\x1b" not in said(chunks)


def test_green_is_only_what_is_verified() -> None:
    chunks = status_text.completeness(
        status(complete_through_ms=EPOCH_MS + 20_000, provisional=3), NOW
    )
    assert said(chunks) == "✔ COMPLETE to 12:00:20 | 3 provisional | 0 missing"
    assert roles(chunks) == ["ok", "warn", "muted"]


def test_a_filtered_feed_says_what_is_verified() -> None:
    chunks = status_text.completeness(
        status(pattern="ERROR", complete_through_ms=EPOCH_MS + 20_000), NOW
    )
    assert said(chunks[:2]) == "✔ COMPLETE to 12:00:20 | verified: events matching ERROR"
    assert chunks[1].rank == 0, "it is shown in however narrow a terminal"
    chunks = status_text.completeness(status(pattern="ERROR"), NOW)
    assert said(chunks[:2]) == "○ NOT VERIFIED | events matching ERROR"
    long = '{ $.level = "error"\x1b[2J && $.status >= 500 }'
    assert said(status_text.completeness(status(pattern=long), NOW)[1:2]) == (
        'events matching { $.level = "error"␛[2J…'
    )
    text = said(status_text.completeness(status(pattern=long), NOW, ascii_only=True))
    assert text.isascii()
    assert status_text.empty_log(status(pattern="ERROR"), filtered=False)[0].startswith(
        "connected: no lines that match ERROR since"
    )


def test_more_lines_than_can_be_compared() -> None:
    chunks = status_text.completeness(
        status(complete_through_ms=None, uncompared_ms=EPOCH_MS + 1_000), NOW
    )
    assert "too many lines to verify before 12:00:01" in said(chunks)
    assert "warn" in roles(chunks)


def test_nothing_provisional_is_no_warning() -> None:
    chunks = status_text.completeness(status(complete_through_ms=EPOCH_MS + 20_000), NOW)
    assert roles(chunks) == ["ok", "muted", "muted"]


def test_before_the_first_mark_nothing_is_green() -> None:
    chunks = status_text.completeness(status(provisional=120), NOW)
    assert said(chunks) == "○ NOT VERIFIED | 120 provisional | 0 missing"
    assert "ok" not in roles(chunks)


@pytest.mark.parametrize(
    "wrong",
    [
        {"unequal": (UnequalRange(0, EPOCH_MS + 10_000, EPOCH_MS + 14_000, 3, final=True),)},
        {"lost": (LostRange(0, EPOCH_MS + 10_000, EPOCH_MS + 14_000, "retention"),)},
        *(
            {"gaps": (GapStatus(0, "g", EPOCH_MS + 10_000, EPOCH_MS + 14_000, state, "a scan", 0),)}
            for state in ("suspected", "repairing", "unrecoverable")
        ),
    ],
)
def test_missing_lines_are_red_with_their_range(wrong: dict[str, Any]) -> None:
    chunks = status_text.completeness(
        status(complete_through_ms=EPOCH_MS + 20_000, provisional=3, **wrong), NOW
    )
    assert roles(chunks)[0] == "bad"
    assert "12:00:10 to 12:00:14" in said(chunks)
    assert "COMPLETE" not in said(chunks)
    assert "ok" not in roles(chunks)


def test_how_many_are_missing() -> None:
    unequal = (UnequalRange(0, EPOCH_MS, EPOCH_MS + 4_000, 214, final=False),)
    chunks = status_text.completeness(status(unequal=unequal, missing=214), NOW)
    assert said(chunks).startswith("✕ 214 MISSING 12:00:00 to 12:00:04 | not yet verified")


def test_altered_lines_are_red_and_counted() -> None:
    gap = GapStatus(0, "g", EPOCH_MS, EPOCH_MS + 4_000, "unrecoverable", "altered: other", 0)
    chunks = status_text.completeness(status(gaps=(gap,), altered=1_204), NOW)
    assert said(chunks).startswith("✕ 1,204 ALTERED 12:00:00 to 12:00:04 | not yet verified")
    assert "ok" not in roles(chunks)
    # A forwarder may declare the gap before it says how many.
    assert said(status_text.completeness(status(gaps=(gap,)), NOW)).startswith("✕ ALTERED 12:00")
    lost = (LostRange(0, EPOCH_MS, EPOCH_MS, "expired"),)
    chunks = status_text.completeness(status(gaps=(gap,), altered=2, lost=lost), NOW)
    assert said(chunks).startswith("✕ MISSING")
    assert "2 altered" in said(chunks)


def test_a_repaired_gap_is_no_gap() -> None:
    gaps = (GapStatus(0, "g", EPOCH_MS, EPOCH_MS + 1, "repaired", "", 2),)
    chunks = status_text.completeness(status(complete_through_ms=EPOCH_MS + 20_000, gaps=gaps), NOW)
    assert roles(chunks)[0] == "ok"


def test_an_old_verified_time_has_its_age_and_date() -> None:
    proved = status(complete_through_ms=EPOCH_MS)
    assert "12:00:00 (2m05s ago)" in said(status_text.completeness(proved, EPOCH_MS + 125_000))
    tomorrow = EPOCH_MS + 86_400_000
    assert "2026-11-23 12:00:00" in said(status_text.completeness(proved, tomorrow))
    tokyo = ZoneInfo("Asia/Tokyo")
    assert "21:00:00" in said(status_text.completeness(proved, EPOCH_MS, tokyo))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "reconnecting", "attempt": 2},
        {"state": "connecting"},
        {"upstream": "unreachable", "upstream_code": "credentials_expired"},
        {"upstream": "delayed", "upstream_lag_ms": 40_000},
    ],
)
def test_green_means_now(changes: dict[str, Any]) -> None:
    proved = status(complete_through_ms=EPOCH_MS + 31_000, **changes)
    chunks = status_text.completeness(proved, EPOCH_MS + 71_000)
    assert said(chunks).startswith("○ verified to 12:00:31 | 40 s ago | ")
    assert "ok" not in roles(chunks)


def test_a_short_delay_leaves_it_green() -> None:
    proved = status(complete_through_ms=EPOCH_MS, upstream="delayed", upstream_lag_ms=9_999)
    assert said(status_text.completeness(proved, EPOCH_MS + 9_999)).startswith("✔ COMPLETE to")
    assert said(status_text.completeness(proved, EPOCH_MS + 10_000)).startswith("○ verified to")


def test_the_reason_is_wrapped_and_harmless() -> None:
    command = "AWS credentials expired: run `aws sso login --profile dev`"
    told = status(upstream_code="credentials_expired", upstream_reason=f"{command} \x1b[2J")
    lines = status_text.problem_lines(told, 40)
    assert " ".join(lines) == f"{command} ␛[2J"
    assert len(lines) == 2
    endless = status(upstream_code="access_denied", upstream_reason="no " * 100_000)
    assert len(status_text.problem_lines(endless, 40)) == status_text.PROBLEM_LINES_MAX
    assert status_text.problem_lines(status(), 40) == ()


def test_unconfirmed_lines_are_counted() -> None:
    assert "203 unconfirmed" in said(status_text.completeness(status(unconfirmed=203), NOW))


def test_how_far_behind() -> None:
    chunks = status_text.throughput(
        status_of((target_status(lag_ms=820, rate_per_s=127.6),), volume=(1, 2))
    )
    assert said(chunks).startswith("lag 0.8 s | 128/s | ")
    away = status_text.throughput(status(lag_ms=820, state="reconnecting"))
    assert "lag" not in said(away)


def test_the_sparkline_distinguishes_quiet_outage_and_backfill() -> None:
    outage = ConnectionOutage(EPOCH_MS - 4_000, EPOCH_MS - 2_500, 1006, "cut", None, None)
    told = status_of(
        (target_status(outages=(outage,)),),
        volume=(3, 0, 0, 0, 0, 6, 2),
        volume_backfill=(0, 0, 0, 0, 0, 6, 0),
    )
    spark = status_text.throughput(told)[-1].parts
    assert [part for part in spark if part[0].strip()] == [
        ("█", "accent"),
        ("░", "shade.offline"),
        ("░", "shade.offline"),
        ("█", "muted"),
        ("▆", "accent"),
    ]
    assert sum(len(text) for text, _ in spark) == status_text.SPARK_CELLS
    plain = status_text.throughput(told, ascii_only=True)[-1].parts
    assert "".join(text for text, _ in plain).split() == ["@", "xx", "@*"]
    short = status_text.throughput(told, spark_cells=2)[-1].parts
    assert short[-2:] == (("█", "muted"), ("█", "accent"))
    lasting = msgspec.structs.replace(outage, ended_ms=None)
    told = status_of((target_status(outages=(lasting,)),), volume=(1, 0, 0, 0, 0, 0, 0))
    assert said(status_text.throughput(told)).count("░") == 5


@pytest.mark.parametrize(
    ("place", "text", "action"),
    [
        (ReadingPlace(following=True, frozen=False, new=0, cursor=None), "following", None),
        (
            ReadingPlace(following=False, frozen=False, new=128, cursor=1),
            " ↓ 128 new ",
            "app.follow",
        ),
        (ReadingPlace(following=True, frozen=True, new=0, cursor=None), " FROZEN ", "app.freeze"),
        (
            ReadingPlace(following=True, frozen=True, new=7, cursor=None),
            " FROZEN · ↓ 7 new ",
            "app.freeze",
        ),
    ],
)
def test_the_position(place: ReadingPlace, text: str, action: str | None) -> None:
    chunks = status_text.position(place)
    assert said(chunks) == text
    assert chunks[0].action == action


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"state": "connecting"}, "connecting to ws://127.0.0.1:8765/v1/tail"),
        ({"state": "failed", "detail": "HTTP 404: no such group"}, "HTTP 404: no such group"),
        ({"state": "backfilling"}, "fetching history"),
        ({"state": "ended"}, "ended without any lines"),
        ({"state": "quiet"}, "no lines since 2026-11-23 11:50:00 UTC"),
    ],
)
def test_an_empty_screen_says_why(changes: dict[str, Any], text: str) -> None:
    assert text in " ".join(status_text.empty_log(status(**changes), filtered=False))


def test_filters_may_leave_nothing() -> None:
    full = status_of((target_status(),), lines=5)
    assert "Ctrl+F" in status_text.empty_log(full, filtered=True)[1]


def test_with_ascii_alone() -> None:
    chunks = [
        *status_text.connection(status(), NOW, ascii_only=True),
        *status_text.completeness(status(complete_through_ms=NOW), NOW, ascii_only=True),
        *status_text.throughput(status_of((target_status(),), volume=(1, 2, 3)), ascii_only=True),
        *status_text.position(
            ReadingPlace(following=False, frozen=False, new=1, cursor=1), ascii_only=True
        ),
    ]
    assert said(chunks).isascii()


CHUNKS = st.lists(
    st.builds(
        chunk, st.text(alphabet="ab漢", min_size=1, max_size=9), st.just("r"), st.integers(0, 9)
    ),
    max_size=5,
)


@given(CHUNKS, CHUNKS, st.integers(0, 60))
def test_the_chunks_kept_fit_and_have_the_lowest_ranks(
    left: list[Chunk], right: list[Chunk], cells: int
) -> None:
    kept_left, kept_right = arrange(left, right, cells)
    kept = kept_left + kept_right
    fits = sum(one.cells + 2 for one in kept) - 2 <= cells
    assert fits or all(one.rank == 0 for one in kept)
    dropped = [one for one in left + right if one not in kept]
    if dropped and kept:
        assert min(one.rank for one in dropped) >= max(1, min(one.rank for one in kept))


def test_order_is_kept() -> None:
    left = [chunk("a", "r", 1), chunk("bbbb", "r", 9), chunk("c", "r", 0)]
    assert arrange(left, [chunk("d", "r", 2)], 8) == ([left[0], left[2]], [chunk("d", "r", 2)])


def test_cells_count_wide_characters() -> None:
    assert Chunk((("漢字", "r"), ("x", "s"))).cells == 5
