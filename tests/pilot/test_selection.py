from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line, make_rule
from tests.support.screen import WIDE, Screen, running
from tui.screen import app
from tui.screen import save as saving


def numbered(count: int = 100) -> FakeEngine:
    engine = FakeEngine()
    engine.add(make_line(number, f"line {number}") for number in range(count))
    return engine


def selected(screen: Screen) -> list[str]:
    """Messages that are drawn as selected or as under the cursor."""
    palette = screen.app._palette
    grounds = {palette.style("message", where).bgcolor for where in ("selected", "cursor")}
    return [
        cell.text.strip()
        for strip in screen.app.log_view._drawn()
        for cell in strip
        if cell.text.startswith("line ") and cell.style and cell.style.bgcolor in grounds
    ]


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


async def save(screen: Screen, path: Path | str) -> None:
    await screen.press("ctrl+s")
    screen.app._prompt.query_one("#prompt-field").value = str(path)  # type: ignore[attr-defined] # it is an input
    await screen.press("enter")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["v", "k", "k"], ["line 97", "line 98", "line 99"]),
        (["k", "v", "j"], ["line 98", "line 99"]),
        (["shift+up", "shift+up"], ["line 97", "line 98", "line 99"]),
        (["K", "K", "J"], ["line 98", "line 99"]),
        (["k", "k", "v", "G"], ["line 97", "line 98", "line 99"]),
    ],
)
async def test_selecting_by_key(keys: list[str], found: list[str]) -> None:
    async with running(numbered()) as screen:
        await screen.press(*keys)
        assert selected(screen) == found
        assert f"{len(found)} selected" in screen.lines[-2] or "move to select" in screen.lines[-2]
        await screen.press("Y")
        assert screen.app._clipboard.split("\n") == found
        assert "characters of" in screen.lines[-2]
        assert selected(screen) != found


async def test_a_screen_at_a_time() -> None:
    async with running(numbered()) as screen:
        await screen.press("shift+pageup")
        assert "21 selected" in screen.lines[-2]
        await screen.press("shift+pagedown")
        assert selected(screen) == ["line 99"]
        await screen.press("escape")
        assert screen.app.log_view.selection.span is None
        await screen.press("v", "v")
        assert screen.app.log_view.selection.span is None


async def test_selecting_by_mouse() -> None:
    async with running(numbered()) as screen:
        log = screen.app.log_view
        await screen.pilot.mouse_down(log, offset=(20, 3))
        await screen.pilot.hover(log, offset=(20, 6))
        await screen.pilot.mouse_up(log, offset=(20, 6))
        await screen.settle()
        assert selected(screen) == ["line 82", "line 83", "line 84", "line 85"]
        await screen.pilot.hover(log, offset=(20, 9))
        await screen.settle()
        assert len(selected(screen)) == 4
        at = screen.lines[-2].index("4 selected")
        await screen.pilot.click("#status-bar", offset=(at, 0))
        await screen.settle()
        assert screen.app._clipboard == "line 82\nline 83\nline 84\nline 85"
        await screen.pilot.click(log, offset=(20, 3))
        await screen.settle()
        assert screen.app.log_view.selection.span is None


async def test_the_selection_stays_on_its_lines() -> None:
    async with running(numbered()) as screen:
        await screen.press("K", "K")
        screen.engine.add(
            [make_line(900, "line late", at_ms=EPOCH_MS + 9_850), make_line(901, "line new")]
        )
        screen.engine.add(
            make_line(1_000 + n, "early", at_ms=EPOCH_MS + n, origin="backfill") for n in range(200)
        )
        await screen.settle()
        assert selected(screen) == ["line 97", "line 98", "line late"]  # the last is below
        assert "4 selected" in screen.lines[-2]
        await screen.press("Y")
        assert screen.app._clipboard == "line 97\nline 98\nline late\nline 99"


async def test_nothing_selected_and_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(numbered()) as screen:
        await screen.press("Y")
        assert screen.app.clipboard == "line 99"
        assert "sent to the terminal: 7 characters" in screen.lines[-2]
        monkeypatch.setattr(app, "COPY_BYTES_MAX", 20)
        await screen.press("K", "K", "K", "Y")
        assert "is more than terminals take: Ctrl+S saves" in screen.lines[-2]
        await screen.press("g", "Y")
        assert "100 rows are too many to copy" in screen.lines[-2]
        assert screen.app.clipboard == "line 99"


async def test_what_is_shown_is_saved_as_text(tmp_path: Path) -> None:
    engine = numbered(10)
    engine.add([make_rule(1, EPOCH_MS + 450, "offline", through_ms=EPOCH_MS + 500, count=2)])
    async with running(engine, size=WIDE) as screen:
        await screen.press("x")
        await screen.type("line 3")
        await screen.press("ctrl+s")
        assert "save 10 rows to" in screen.lines[-1]
        assert "gapless-20261123-120100.log" in screen.lines[-1]
        await screen.press("escape")
        path = tmp_path / "out.log"
        await save(screen, path)
        assert "saved 10 rows to out.log" in screen.lines[-2]
        lines = path.read_text().splitlines()
        assert lines[0] == "2026-11-23T12:00:00.000Z web/app/7c1e09 line 0"
        assert [line.split()[-1] for line in lines] == [
            *("0", "1", "2", "4", "--", "5", "6", "7", "8", "9")
        ]
        assert names(tmp_path) == ["out.log"]


async def test_what_is_selected_is_saved_as_json(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    async with running(numbered(), size=WIDE) as screen:
        await screen.press("K", "ctrl+s")
        assert "save 2 selected rows to" in screen.lines[-1]
        await screen.press("escape")
        await save(screen, path)
        assert "saved 2 rows" in screen.lines[-2]
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["message"] for one in found] == ["line 98", "line 99"]
    assert found[0]["log_group"] == "/gapless/demo"


async def test_a_file_is_replaced_only_when_that_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    path.write_text("mine")
    async with running(numbered(3), size=WIDE) as screen:
        await save(screen, path)
        assert "exists already: Enter again replaces it" in screen.lines[-1]
        assert path.read_text() == "mine"
        await screen.press("escape")
        await save(screen, path)
        assert path.read_text() == "mine"
        await screen.press("enter")
        assert path.read_text().count("\n") == 3


async def test_places_that_cannot_be_saved_to(tmp_path: Path) -> None:
    async with running(numbered(3), size=WIDE) as screen:
        await save(screen, tmp_path)
        assert "that is a folder" in screen.lines[-1]
        await screen.press("escape")
        await save(screen, tmp_path / "missing" / "x")
        assert "there is no folder" in screen.lines[-1]
        await screen.press("escape")
        await save(screen, "/dev/null")
        assert "that is not a regular file" in screen.lines[-1]
        await screen.press("escape")
        await save(screen, "x" * 400)
        assert "save 3 rows" in screen.lines[-1] or "cannot save" in screen.lines[-2]


async def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "_append", full)
    async with running(numbered(3), size=WIDE) as screen:
        await save(screen, tmp_path / "x.log")
        assert "cannot save x.log: No space left on device" in screen.lines[-2]
    assert names(tmp_path) == []


async def test_nothing_to_save(tmp_path: Path) -> None:
    async with running() as screen:
        await save(screen, tmp_path / "x.log")
        assert "there is nothing to save" in screen.lines[-2]


async def test_many_lines_are_saved_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "SLICE_ROWS", 7)
    monkeypatch.setattr(saving, "PROGRESS_ROWS", 7)
    path = tmp_path / "x.log"
    async with running(numbered(9_000)) as screen:
        await screen.press("f")
        await screen.type("/99$/")
        await save(screen, path)
        assert "saved 90 rows" in screen.lines[-2]
    lines = path.read_text().splitlines()
    assert [line.split()[-1] for line in lines] == [str(n) for n in range(99, 9_000, 100)]
