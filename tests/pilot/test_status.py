from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line, target_status
from tests.support.screen import NARROW, NOW_MS, WIDE, running
from tui.client.status import (
    BackfillProgress,
    ConnectionOutage,
    Phase,
    StateChange,
    UnequalRange,
)
from tui.render.line_format import TimeMode


async def test_the_screen_always_answers() -> None:
    async with running() as screen:
        engine = screen.engine
        assert "LIVE" in screen.lines[0]
        assert "NOT VERIFIED" in screen.lines[-2]
        engine.set(complete_through_ms=NOW_MS - 2_000, provisional=3)
        await screen.settle()
        assert screen.lines[-2].startswith(" ✔ COMPLETE to 12:00:58 · 3 provisional · 0 missing")
        engine.set(state="reconnecting", attempt=2, retry_at_ms=NOW_MS + 1_500, detail="refused")
        await screen.settle()
        assert "RECONNECTING" in screen.lines[0]
        assert "attempt 2, in 1.5 s" in screen.lines[0]
        unequal = (UnequalRange(0, EPOCH_MS, EPOCH_MS + 4_000, 5, final=True),)
        engine.set(state="quiet", state_since_ms=NOW_MS - 9_000, unequal=unequal, missing=5)
        await screen.settle()
        assert "QUIET" in screen.lines[0]
        assert "5 MISSING 12:00:00 to 12:00:04" in screen.lines[-2]
        engine.set(state="backfilling", progress=BackfillProgress(30, 40, None))
        await screen.settle()
        assert "75 % · 30 of 40" in screen.lines[0]


async def test_log_groups_that_join_and_leave_are_counted() -> None:
    async with running(size=WIDE) as screen:
        engine = screen.engine
        through = NOW_MS - 2_000
        engine.set(complete_through_ms=through)
        here: list[Phase] = ["here"] * 28
        phases: list[Phase] = [*here, "joining", "left"]
        targets = tuple(
            target_status(
                target=number,
                name=f"/ecs/g{number:02}",
                state="connecting" if phase == "joining" else "live",
                complete_through_ms=None if phase == "joining" else through,
                phase=phase,
            )
            for number, phase in enumerate(phases)
        )
        engine.extra = {"targets": targets}
        engine.set(state="live")
        await screen.settle()
        assert "LIVE" in screen.lines[0]
        assert "28 of 28" in screen.lines[0]
        assert "1 joining, 1 deleted" in screen.lines[0]
        assert "COMPLETE to" in screen.lines[-2]
        await screen.press("c")
        assert "28 watched, 1 joining, 1 deleted" in screen.text
        assert "not yet" in screen.line_with(" g28")


async def test_waiting_for_log_groups() -> None:
    async with running() as screen:
        screen.engine.extra = {"targets": (), "waiting": ("/ecs/later",), "state": "connecting"}
        screen.engine.set()
        await screen.settle()
        assert "WAITING" in screen.lines[0]
        assert "for log group /ecs/later" in screen.lines[0]
        assert "waiting for log group" in screen.text
        screen.engine.extra |= {"unlisted": "AWS denies access: logs:DescribeLogGroups"}
        screen.engine.set()
        await screen.settle()
        assert "cannot list log groups: AWS denies access" in screen.text
        await screen.press("c")
        assert "waiting for /ecs/later" in screen.text


async def test_green_means_verified() -> None:
    async with running() as screen:

        def is_green() -> bool:
            green = screen.app._palette.style("ok", "bar").color
            bars = [screen.app._connection_bar, screen.app._status_bar]
            return any(
                cell.style is not None and cell.style.color == green
                for bar in bars
                for cell in bar.render_line(0)
            )

        assert not is_green()
        screen.engine.set(complete_through_ms=NOW_MS)
        await screen.settle()
        assert is_green()
        unequal = (UnequalRange(0, EPOCH_MS, EPOCH_MS + 4_000, 5, final=True),)
        screen.engine.set(unequal=unequal)
        await screen.settle()
        assert not is_green()


async def test_an_empty_screen_says_why() -> None:
    engine = FakeEngine()
    engine.set(state="failed", detail="HTTP 404: there is no log group /x here")
    async with running(engine) as screen:
        assert "cannot connect to" in screen.text
        assert "there is no log group /x here" in screen.text
        assert "press r to try again" in screen.text


async def test_the_connection_panel() -> None:
    engine = FakeEngine()
    engine.set(
        outages=(ConnectionOutage(EPOCH_MS, EPOCH_MS + 10_000, 1006, "no answer", 203, "resumed"),),
        history=(StateChange(EPOCH_MS, "live", ""),),
        duplicates=9,
    )
    async with running(engine, size=WIDE) as screen:
        await screen.press("c")
        assert "203 lines recovered" in screen.text
        assert "9 duplicates" in screen.text
        engine.set(duplicates=10)
        await screen.settle()
        assert "10 duplicates" in screen.text
        await screen.press("c")
        assert "again" not in screen.text


async def test_reconnecting_by_key() -> None:
    async with running() as screen:
        await screen.press("r")
        assert screen.engine.reconnects == 1
        assert "reconnecting now" in screen.lines[-2]


async def test_a_million_lines_are_counted_in_full() -> None:
    engine = FakeEngine()
    engine.add(make_line(number, "x") for number in range(1_500))
    async with running(engine) as screen:
        await screen.press("g")
        engine.add(make_line(number, "x") for number in range(1_500, 3_000))
        await screen.settle()
        assert "↓ 1,500 new" in screen.lines[-2]


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_a_message_too_long_for_the_status_line_shows_above_it(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr("tui.screen.app.MESSAGE_S_PER_CHAR", 60.0)
    said = "\x1b[2J[b]the forwarder " + "can't know when an execution ends, so tail goes on " * 3
    async with running(size=size, notifications=True) as screen:
        screen.app.show_message(f"{said}after it")
        await screen.settle()
        box = " ".join(line.strip(" │╭╮╰╯─") for line in screen.lines if "│" in line)
        assert f"{said.strip()} after it".replace("\x1b", "␛") in box
        assert "NOT VERIFIED" in screen.lines[-2]
        assert "? help" in screen.lines[-1]
        screen.app.show_message("short")
        await screen.settle()
        assert "after it" not in screen.text, "it makes room"
        assert "short" in screen.lines[-2]


async def test_a_short_sparkline_stays_where_there_is_more_to_say() -> None:
    async with running() as screen:
        screen.engine.extra["volume"] = (1, 2, 4) * 20
        screen.engine.set(upstream="delayed", upstream_lag_ms=12_000, lag_ms=300, rate_per_s=19.0)
        await screen.settle()
        assert screen.lines[0].rstrip().endswith("▄█▂▄█▂▄█")
        assert screen.lines[0].count("█") == 4
        screen.engine.set(upstream="ok")
        await screen.settle()
        assert screen.lines[0].count("█") == 7


async def test_a_refusal_is_named_with_what_helps_until_it_is_fixed() -> None:
    reason = "AWS credentials expired: run `aws sso login --profile dev`"
    async with running() as screen:
        screen.engine.set(complete_through_ms=NOW_MS - 2_000)
        await screen.settle()
        assert "COMPLETE to 12:00:58" in screen.lines[-2]
        before = screen.lines[1]
        screen.engine.set(
            upstream="unreachable", upstream_code="credentials_expired", upstream_reason=reason
        )
        await screen.settle()
        assert screen.lines[0].startswith("  ✕ CREDENTIALS EXPIRED ")
        assert screen.lines[1].strip() == reason
        assert "○ verified to 12:00:58 · 2 s ago" in screen.lines[-2]
        assert "COMPLETE" not in screen.lines[-2]
        screen.engine.set(upstream="ok", upstream_code="", upstream_reason="")
        await screen.settle()
        assert "LIVE" in screen.lines[0]
        assert screen.lines[1] == before
        assert "COMPLETE to 12:00:58" in screen.lines[-2]


@pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60)])
async def test_the_time_zone_is_on_the_screen(size: tuple[int, int]) -> None:
    engine = FakeEngine()
    engine.add([make_line(1, "x")])
    zone = ZoneInfo("Asia/Tokyo")
    async with running(engine, size=size, zone=zone, time_mode=TimeMode.LOCAL) as screen:
        assert "JST" in screen.lines[-2]
        assert "21:00:00.100" in screen.text
        await screen.press("t", "t", "t")
        assert "UTC" in screen.lines[-2]
        assert "12:00:00.100" in screen.text
        await screen.press("t")
        assert "time: JST" in screen.text
