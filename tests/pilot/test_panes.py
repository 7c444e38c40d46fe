from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import OptionList

from tests.support.fake_engine import FakeControls, FakeEngine, make_line
from tests.support.scenes import NOW_MS as SCENE_MS
from tests.support.scenes import live
from tests.support.screen import NARROW, NOW_MS, WIDE, Screen, running
from tui.client.status import GapStatus
from tui.lines.rows import Line
from tui.render import key_bindings
from tui.screen.ports import ActiveSwitch, ControlsError, ScenarioStatus, VerdictStatus
from tui.screen.widgets.faults import SWITCH_KEYS
from wire.messages import AlteredText


def engine_with(*messages: str) -> FakeEngine:
    engine = FakeEngine()
    engine.add(make_line(number, message) for number, message in enumerate(messages))
    return engine


async def test_the_help_lists_the_keys_and_closes() -> None:
    async with running(size=(120, 100)) as screen:
        await screen.press("question_mark")
        for key in key_bindings.available(with_simulator=False):
            assert key.help in screen.text
        assert "unplug the cable" not in screen.text
        await screen.press("escape")
        assert "freeze the screen" not in screen.text


async def test_every_row_of_the_help_fits_into_a_narrow_screen() -> None:
    async with running(size=(80, 130), controls=FakeControls()) as screen:
        await screen.press("question_mark")
        for key in key_bindings.available(with_simulator=True):
            assert f"{key.shown:<17}{key.help} " in screen.line_with(f"{key.shown:<17}{key.help}")
        assert "\u203a" not in screen.text, "nothing is cut"


async def test_a_key_of_the_help_can_be_clicked() -> None:
    async with running(engine_with("one"), size=WIDE) as screen:
        await screen.press("f1")
        y = next(y for y, line in enumerate(screen.lines) if "freeze the screen" in line)
        await screen.pilot.click(offset=(40, y))
        await screen.settle()
        assert len(screen.app.screen_stack) == 1
        assert screen.app.log_view.place.frozen
        await screen.press("f1")
        await screen.pilot.click(offset=(40, 1))
        assert len(screen.app.screen_stack) == 2, "a heading does nothing"


async def test_the_menu_of_all_actions_can_be_clicked() -> None:
    async with running(engine_with("one"), controls=FakeControls()) as screen:
        at = screen.lines[-1].index("^P menu")
        await screen.pilot.click("#key-bar", offset=(at, 0))
        await screen.press(*"wrap")
        await screen.pilot.click(OptionList, offset=(4, 1))
        await screen.settle()
        assert screen.app.log_view._strips.appearance.wrapped


@pytest.mark.parametrize("key", ["question_mark", "f1", "q", "escape"])
async def test_keys_that_close_the_help(key: str) -> None:
    async with running() as screen:
        await screen.press("f1", "j", "k", "down", key)
        assert len(screen.app.screen_stack) == 1
        assert screen.app.is_running


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_detail_follows_the_cursor(size: tuple[int, int]) -> None:
    engine = engine_with('{"level":"info","user":"ada"}', "plain text", "last one")
    async with running(engine, size=size) as screen:
        await screen.press("enter")
        assert not screen.app.log_view.place.following
        assert "/gapless/demo" in screen.text
        await screen.press("k", "k")
        assert '"user": "ada"' in screen.text
        await screen.press("escape")
        assert '"user": "ada"' not in screen.text


async def test_the_detail_shows_both_texts_of_an_altered_line() -> None:
    engine = engine_with("the card is 4711")
    [line] = [row for row in engine.timeline.iterate() if isinstance(row, Line)]
    async with running(engine, size=WIDE) as screen:
        await screen.press("enter")
        assert "original" not in screen.text
        other = AlteredText(line.id, line.timestamp, "the card is ****\x1b[2J", 9_000)
        engine.altered[line.key] = other
        gap = GapStatus(0, "g", line.timestamp, line.timestamp, "unrecoverable", "altered: x", 0)
        engine.set(altered=1, gaps=(gap,), complete_through_ms=line.timestamp - 1)
        await screen.settle()
        rows = screen.text.splitlines()
        [first] = [number for number, row in enumerate(rows) if "original" in row]
        [then] = [number for number, row in enumerate(rows) if "CloudWatch now returns" in row]
        assert "the card is 4711" in rows[first + 1]
        assert "the card is ****" in rows[then + 1]
        assert "more characters" in screen.text
        assert "1 ALTERED" in screen.text
        assert "COMPLETE" not in screen.text


async def test_the_detail_scrolls_with_the_focus() -> None:
    engine = engine_with("\n".join(f"row {number}" for number in range(50)))
    async with running(engine) as screen:
        await screen.press("enter")
        assert "row 40" not in screen.text
        await screen.press("tab", "end")
        assert "log group" in screen.text
        await screen.press("escape", "k")
        assert screen.app.is_running


async def test_the_detail_of_nothing_and_of_a_rule() -> None:
    async with running() as screen:
        await screen.press("enter")
        assert "no line yet" in screen.text


async def test_time_modes() -> None:
    async with running(engine_with("one", "two")) as screen:
        assert "12:00:00.100" in screen.line_with("two")
        await screen.press("t")
        assert "12:00:00.100" in screen.line_with("two")
        await screen.press("t")
        assert "-59s" in screen.line_with("two")
        await screen.press("t")
        assert "+0.100" in screen.line_with("two")
        await screen.press("t")
        assert "12:00:00.100" in screen.line_with("two")


async def test_dates_once_the_log_spans_days() -> None:
    engine = FakeEngine()
    engine.add([make_line(1, "yesterday", at_ms=make_line(1, "x").timestamp - 86_400_000)])
    engine.add([make_line(2, "today")])
    async with running(engine) as screen:
        assert "11-22 12:00:00.100" in screen.line_with("yesterday")
        assert "11-23 12:00:00.200" in screen.line_with("today")


async def test_wrapping_and_scrolling_sideways() -> None:
    engine = engine_with("begin " + "word " * 40 + "finish")
    async with running(engine) as screen:
        assert "finish" not in screen.text
        await screen.press("vertical_line")
        assert "finish" in screen.text
        await screen.press("vertical_line", *["right"] * 12)
        assert "finish" in screen.text
        assert "begin" not in screen.text
        await screen.press(*["left"] * 12)
        assert "begin" in screen.text


async def test_full_screen_hides_all_but_the_log_after_a_prompt_too() -> None:
    async with running(engine_with("one", "two")) as screen:
        await screen.press("f")
        await screen.type("one")
        assert "only one 1" in screen.text
        await screen.press("f11")
        assert "only one" not in screen.text
        assert "follow" not in screen.text
        await screen.press("backslash")
        assert "only one 1" in screen.text
        assert "F follow" in screen.lines[-1]


async def test_full_screen() -> None:
    async with running(engine_with("one")) as screen:
        await screen.press("backslash")
        assert "LIVE" not in screen.text
        assert len(screen.lines[0]) == 80
        assert "one" in screen.lines[0]
        await screen.press("escape")
        assert "LIVE" in screen.text


async def test_copying() -> None:
    async with running(engine_with("first", "half \ud800 pair")) as screen:
        await screen.press("y")
        assert screen.app.clipboard == "half ? pair"
        assert "sent to the terminal: 11 characters" in screen.lines[-2]
        await screen.press("k", "y")
        assert screen.app.clipboard == "first"


async def test_a_line_is_copied_as_shown_or_as_the_log_has_it() -> None:
    message = "\x1b[31mERROR\x1b[0m request"
    async with running(engine_with("first", message)) as screen:
        await screen.press("y")
        assert screen.app._clipboard == "ERROR request"
        await screen.press("Y")
        assert screen.app._clipboard == message
        await screen.press("K", "y")
        assert screen.app._clipboard == "first\nERROR request"
        assert "sent to the terminal: 19 characters of 2 lines" in screen.lines[-2]


@pytest.mark.parametrize(("code", "where"), [(0, "copied to tmux"), (1, "sent to the terminal")])
async def test_copying_in_tmux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, where: str
) -> None:
    fake = tmp_path / "tmux"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/args\ncat > {tmp_path}/in\nexit {code}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    async with running(engine_with("some text")) as screen:
        await screen.press("y")
        await screen.app.workers.wait_for_complete()
        await screen.settle()
        assert where in screen.lines[-2]
    assert (tmp_path / "args").read_text() == "load-buffer -w -\n"
    assert (tmp_path / "in").read_text() == "some text"


async def test_the_palette_has_every_action() -> None:
    async with running(controls=FakeControls()) as screen:
        commands = {one.title for one in screen.app.get_system_commands(screen.app.screen)}
        offered = key_bindings.available(with_simulator=True)
        wanted = {action.title for key in offered for action in key.actions} - {"Commands"}
        assert wanted <= commands
        await screen.press("ctrl+p", *"freeze")
        assert screen.app.screen.query_one(OptionList).option_count
        await screen.press("enter")
        assert screen.app.log_view.place.frozen


async def test_the_cable() -> None:
    controls = FakeControls()
    async with running(controls=controls) as screen:
        await screen.press("p")
        assert controls.states["disconnect"]
        assert "the cable is unplugged" in screen.lines[-2]
        assert "disconnect" in screen.lines[0]
        await screen.press("p")
        assert controls.states == dict.fromkeys(controls.names, False)
        assert "the cable is plugged in" in screen.lines[-2]


async def test_without_a_simulator_its_keys_do_nothing() -> None:
    async with running() as screen:
        before = screen.text
        await screen.press("p", "f2")
        assert screen.text == before
        assert "cable" not in screen.lines[-1]
        commands = {one.title for one in screen.app.get_system_commands(screen.app.screen)}
        assert "Cable" not in commands


async def test_the_fault_panel() -> None:
    controls = FakeControls()
    async with running(controls=controls) as screen:
        await screen.press("f2")
        assert controls.refreshed == 1
        assert "Writes many events with the same timestamp" in screen.text
        await screen.press("3", "9")
        assert controls.states["duplicate_timestamps"]
        assert "ON" in screen.line_with("same timestamp")
        await screen.press("f2")
        assert "same timestamp" not in screen.text
        assert "duplicate timestamps" in screen.lines[0]


async def test_the_fault_panel_shows_a_scenario() -> None:
    controls = FakeControls()
    controls.scenario = ScenarioStatus(
        title="scenario storm, seed 7",
        progress="step 2 of 9",
        now="They come.",
        then="They go.",
    )
    controls.verdict = VerdictStatus("PASS", "5/5 · 2 in flight")
    async with running(controls=controls, size=WIDE) as screen:
        await screen.settle()
        assert "They come." in screen.text, "the status line tells each step"
        await screen.press("f2")
        for told in ("scenario storm, seed 7", "They come.", "then: They go.", "PASS 5/5 · 2 in"):
            assert told in screen.text
        await screen.press("1")
        assert controls.states["disconnect"]


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_verdict_stays_in_the_status_line(size: tuple[int, int]) -> None:
    controls = FakeControls()
    async with running(live(), controls=controls, size=size, now_ms=SCENE_MS) as screen:
        controls.verdict = VerdictStatus("PASS", "886/889 · 3 in flight")
        await screen.settle()
        assert "PASS 886/889 · 3 in flight" in screen.line_with("COMPLETE to")
        controls.verdict = VerdictStatus("FAIL", "2 lost · 886/889")
        screen.app.show_message("The network is back. The viewer must resume at its cursor.")
        await screen.settle()
        assert "FAIL 2 lost · 886/889" in screen.line_with("COMPLETE to")


async def test_a_message_leaves_room_for_how_long_ago_and_the_verdict() -> None:
    controls = FakeControls()
    controls.verdict = VerdictStatus("PASS", "367/479 · 112 in flight")
    async with running(controls=controls, size=(136, 24)) as screen:
        screen.engine.set(complete_through_ms=NOW_MS - 2_000)
        await screen.settle()
        screen.app.show_message(
            "Everything is healed. The viewer must become green, and be right about it."
        )
        await screen.settle()
        assert "and be right about it." in screen.line_with("COMPLETE to")
        screen.engine.set(state="reconnecting")
        await screen.settle()
        line = screen.line_with("verified to")
        assert " 2 s ago" in line
        assert "Everything is healed. " in line
        assert "PASS 367/479 · 112 in flight" in line


async def test_the_verdict_stands_apart_where_both_are_cut() -> None:
    controls = FakeControls()
    async with running(live(), controls=controls, size=(40, 12), now_ms=SCENE_MS) as screen:
        controls.verdict = VerdictStatus("PASS", "886/889 · 3 in flight")
        await screen.settle()
        assert " PASS 886/8" in screen.line_with("COMPLETE to")


async def test_the_hint_of_each_page_is_about_its_keys() -> None:
    async with running(controls=FakeControls()) as screen:
        await screen.press("f2")
        assert "Space: switch · Enter: attributes" in screen.text
        await screen.press("tab")
        assert "Enter: attributes" not in screen.text
        assert "Space, Enter: start or stop" in screen.text


async def test_the_fault_panel_shows_what_others_switch() -> None:
    controls = FakeControls()
    async with running(controls=controls) as screen:
        await screen.press("f2")
        assert "off" in screen.line_with("Unplugs the cable")
        controls.states["disconnect"] = True
        while "ON" not in screen.line_with("Unplugs the cable"):
            await screen.pilot.pause(0.01)


class ManyControls(FakeControls):
    """More switches than the real simulator has."""

    @property
    def names(self) -> tuple[str, ...]:
        faults = (f"fault_{number}" for number in range(1, 60))
        return ("disconnect", *faults, "scenario storm", "scenario chaos")


def on(controls: FakeControls) -> list[str]:
    return [name for name, is_on in controls.states.items() if is_on]


async def test_every_fault_can_be_reached_by_arrows() -> None:
    controls = ManyControls()
    async with running(controls=controls) as screen:
        await screen.press("f2", *["down"] * 70, "space")
        assert on(controls) == ["fault_59"]
        assert "ON" in screen.line_with(">")
        assert "The simulator's words on fault_59." in screen.text
        await screen.press(*["k"] * 70, "space", "end", "space", "pageup", "home")
        assert on(controls) == ["disconnect"]


async def test_most_faults_have_a_key() -> None:
    controls = ManyControls()
    async with running(controls=controls) as screen:
        await screen.press("f2")
        for place, key in enumerate(SWITCH_KEYS):
            name = controls.names[place]
            await screen.press(key)
            assert on(controls) == [name]
            assert screen.line_with(">").strip(" │>").split()[:3] == [key, "ON", name]
            await screen.press(key)
            assert not on(controls)
        await screen.press("p")
        assert on(controls) == ["disconnect"], "as everywhere"


async def test_faults_are_found_by_name() -> None:
    controls = ManyControls()
    async with running(controls=controls) as screen:
        await screen.press("f2", "slash", *"lt 59")
        assert "fault_59" in screen.text
        assert "fault_58" not in screen.text
        await screen.press("enter", "space")
        assert on(controls) == ["fault_59"], "the last ones have no key"
        await screen.press("slash", "backspace", "7")
        assert "no name matches" not in screen.text
        await screen.press("x")
        assert "no name matches" in screen.text
        await screen.press("escape")
        assert "fault_1 " in screen.text
        await screen.press("1")
        assert on(controls) == ["disconnect", "fault_59"], "the search has ended"
        await screen.press("escape")
        assert "fault_1 " not in screen.text


async def test_faults_used_last_stand_first_with_their_keys() -> None:
    controls = ManyControls()
    controls.recent = ("scenario chaos", "fault_20", "fault_3")
    async with running(controls=controls) as screen:
        await screen.press("f2")
        rows = [line.strip(" │>").split() for line in screen.lines if " off " in line]
        assert [row[2] for row in rows[:4]] == ["fault_20", "fault_3", "disconnect", "fault_1"]
        assert rows[1][0] == SWITCH_KEYS[3]
        await screen.press(SWITCH_KEYS[3])
        assert on(controls) == ["fault_3"]


async def test_attributes_are_set_before_a_fault_is_switched_on() -> None:
    controls = FakeControls()
    async with running(controls=controls) as screen:
        await screen.press("f2", "enter")
        row = screen.line_with("down_ms")
        assert "5000" in row
        assert "ms, 0 to 86,400,000" in row
        await screen.press("ctrl+u", *"10s", "down", "ctrl+u", *"20000", "enter")
        assert "events: write a whole number from 1 to 10,000" in screen.text
        assert not on(controls)
        await screen.press("ctrl+u", *"200", "tab", "ctrl+u", *"0.5", "enter")
        assert controls.given == {"down_ms": 10_000, "events": 200, "toxicity": 0.5}
        assert on(controls) == ["disconnect"]
        assert "ON" in screen.line_with("Unplugs the cable"), "the panel is shown again"


async def test_a_refusal_stays_in_the_form() -> None:
    controls = FakeControls()
    controls.refusal = "jitter_ms must be at most delay_ms"
    async with running(controls=controls) as screen:
        await screen.press("f2", "enter", "enter")
        assert "jitter_ms must be at most delay_ms" in screen.text
        await screen.press("escape")
        assert "Unplugs the cable" in screen.text
        await screen.press("escape")
        assert "Unplugs the cable" not in screen.text


async def test_enter_starts_a_scenario() -> None:
    controls = ManyControls()
    async with running(controls=controls) as screen:
        await screen.press("f2", "tab", "enter")
        assert on(controls) == ["scenario storm"]


async def test_scenarios_are_on_a_page_of_their_own() -> None:
    controls = ManyControls()
    async with running(controls=controls) as screen:
        await screen.press("f2")
        assert "faults 60" in screen.text
        assert "scenarios 2" in screen.text
        assert " chaos " not in screen.text
        await screen.press("tab", "2")
        assert on(controls) == ["scenario chaos"]
        assert "scenarios 2, 1 on" in screen.text
        assert "The simulator's words on scenario chaos." in screen.text
        await screen.press("left", "1")
        assert on(controls) == ["disconnect", "scenario chaos"]


async def test_faults_are_switched_with_the_mouse() -> None:
    controls = ManyControls()
    async with running(controls=controls, size=WIDE) as screen:
        await screen.press("f2")
        await click(screen, " fault_2 ")
        assert on(controls) == ["fault_2"]
        await click(screen, " scenarios 2")
        await click(screen, " storm ")
        assert on(controls) == ["fault_2", "scenario storm"]
        await click(screen, " faults 60")
        await click(screen, " fault_2 ")
        assert on(controls) == ["scenario storm"]


async def click(screen: Screen, text: str) -> None:
    """Clicks on the first occurrence of a text."""
    y = next(y for y, line in enumerate(screen.lines) if text in line)
    await screen.pilot.click(offset=(screen.lines[y].index(text) + 1, y))
    await screen.settle()


async def test_the_panel_opens_at_a_running_scenario() -> None:
    controls = ManyControls()
    controls.states["scenario storm"] = True
    async with running(controls=controls) as screen:
        await screen.press("f2")
        assert " storm " in screen.text


async def test_a_simulator_that_does_not_answer() -> None:
    class Broken(FakeControls):
        async def toggle(self, name: str) -> bool:
            msg = f"the simulator did not answer about {name}: refused"
            raise ControlsError(msg)

        async def refresh(self) -> None:
            msg = "the simulator did not answer"
            raise ControlsError(msg)

    async with running(controls=Broken()) as screen:
        await screen.press("p")
        assert "did not answer about disconnect" in screen.lines[-2]
        await screen.press("f2")
        assert "the simulator did not answer" in screen.text
        await screen.press("1")
        assert "did not answer about disconnect" in screen.text


async def test_keys_in_the_footer_can_be_clicked() -> None:
    async with running(engine_with("one")) as screen:
        at = screen.lines[-1].index("Space")
        await screen.pilot.click("#key-bar", offset=(at, 0))
        await screen.settle()
        assert screen.app.log_view.place.frozen


def users() -> FakeEngine:
    names = ("ada", "bob")
    return engine_with(
        *(f'{{"level":"info","user":{{"name":"{names[n % 2]}"}},"n":{n}}}' for n in range(40))
    )


def kind_of_value(screen: Screen) -> str:
    value = screen.app._side_panel.pane.value
    return "" if value is None else value.name


def shown(screen: Screen) -> str:
    return "\n".join(strip.text for strip in screen.app.log_view._drawn())


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_filter_by_a_value_of_the_detail(size: tuple[int, int]) -> None:
    async with running(users(), size=size) as screen:
        await screen.press("enter", "tab")
        assert "f only this" in screen.text
        await screen.press("down", "down", "down")
        assert screen.app._side_panel.pane.value is not None
        assert str(screen.app._side_panel.pane.value) == "user.name=bob"
        await screen.press("f")
        assert "only user.name=bob 20" in screen.text
        assert "ada" not in shown(screen)
        await screen.press("up", "x")
        assert "without level=info 40" in screen.text
        assert "0 of 40 lines" in screen.text


async def test_text_between_two_values_is_scrolled_row_by_row() -> None:
    engine = engine_with("\n".join(f"row {number}" for number in range(50)))
    async with running(engine) as screen:
        await screen.press("enter", "tab", "down", *["down"] * 20)
        assert "row 20" in screen.text
        assert kind_of_value(screen) == "stream"
        await screen.press(*["down"] * 40)
        assert kind_of_value(screen) == "group"


async def test_without_a_value_the_keys_ask_for_a_filter() -> None:
    async with running(users(), size=WIDE) as screen:
        await screen.press("enter", "tab", "f")
        assert "only lines with" in screen.lines[-1]
        await screen.press("escape", "c", "x")
        assert "only lines without" in screen.lines[-1]


async def test_filter_by_a_value_with_the_mouse() -> None:
    async with running(users(), size=WIDE) as screen:
        await screen.press("enter")
        y = next(y for y, line in enumerate(screen.lines) if '"name": "bob"' in line)
        x = screen.lines[y].rindex('"name"')
        await screen.pilot.click(offset=(x, y), times=2)
        await screen.settle()
        assert "only user.name=bob 20" in screen.text
        await screen.pilot.click(offset=(x, y), button=3)
        await screen.settle()
        assert "without user.name=bob 20" in screen.text


async def test_filter_by_a_value_from_the_palette() -> None:
    async with running(users(), size=WIDE) as screen:
        await screen.press("enter", "ctrl+p", *"without user")
        await screen.press("enter")
        await screen.settle()
        assert "without user.name=bob 20" in screen.text


async def test_only_the_lines_of_a_stream_by_its_field() -> None:
    engine = FakeEngine()
    engine.add(make_line(n, f"line {n}", stream=f"s/{n % 2}") for n in range(10))
    async with running(engine) as screen:
        await screen.press("enter", "tab", "down", "f")
        assert "only stream=s/1 5" in screen.text
        await screen.press("down", "end", "up", "home", "pagedown", "escape")
        assert "log stream" not in screen.text


async def test_the_help_has_two_columns_where_there_is_room() -> None:
    async with running(engine_with("one"), size=(200, 60), controls=FakeControls()) as screen:
        await screen.press("f1")
        line = screen.line_with("list all keys")
        assert line.index("list all keys") > 86
        assert "freeze the screen" in screen.text
        y = next(y for y, one in enumerate(screen.lines) if "bell, terminal" in one)
        await screen.pilot.click(offset=(line.index("? F1"), y))
        await screen.settle()
        assert len(screen.app.screen_stack) == 1
        assert "notifications (gap, error, job end): bell" in screen.text


async def test_a_long_message_leaves_the_newest_lines_free() -> None:
    async with running(
        engine_with(*(f"line {number}" for number in range(60))), notifications=True
    ) as screen:
        screen.app.show_message("word " * 60)
        await screen.pilot.pause()
        assert screen.text.count("word") == 60
        assert [line.split()[-2] for line in screen.lines[-4:-2]] == ["58", "59"]


async def test_the_fault_panel_says_since_when_a_fault_is_on_and_what_waits() -> None:
    controls = ManyControls()
    since = ActiveSwitch(since_ms=SCENE_MS - 12_000, turns=3, settings="down_ms=2,000")
    controls.waiting = {"disconnect": since, "fault_1": ActiveSwitch(is_on=False, turns=1)}
    async with running(controls=controls, now_ms=SCENE_MS, size=WIDE) as screen:
        await screen.press("f2")
        assert "ON    disconnect  " in screen.text
        assert "on for 12 s, 3 times so far, down_ms=2,000" in screen.line_with(" disconnect ")
        row = screen.line_with(" fault_1 ")
        assert " due " in row
        assert "waits for its next time, 1 time so far" in row
        assert "faults 60, 2 on" in screen.text


async def test_all_faults_are_healed_with_one_key() -> None:
    controls = ManyControls()
    async with running(controls=controls) as screen:
        await screen.press("f2", "1", "2", "delete")
        assert not on(controls)
        await screen.press("1", "backspace")
        assert not on(controls)


async def test_an_open_form_follows_what_others_switch() -> None:
    controls = FakeControls()
    async with running(controls=controls) as screen:
        await screen.press("f2", "1", "enter")
        while "on: Enter replaces it" not in screen.text:  # the form has just been opened
            await screen.pilot.pause(0.01)
        controls.states["disconnect"] = False
        while "on: Enter replaces it" in screen.text:
            await screen.pilot.pause(0.01)
        await screen.press("enter")
        assert on(controls) == ["disconnect"]
