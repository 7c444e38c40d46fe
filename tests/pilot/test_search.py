from __future__ import annotations

import re

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line
from tests.support.screen import WIDE, Screen, running
from tui.lines.rows import Change


def mixed(count: int = 300) -> FakeEngine:
    """Every tenth line an error, every fifth a warning."""
    engine = FakeEngine()
    levels = {0: "ERROR", 5: "WARN"}
    engine.add(
        make_line(number, f"{levels.get(number % 10, 'INFO')} line {number}")
        for number in range(count)
    )
    return engine


def cursor(screen: Screen) -> str:
    return str(getattr(screen.app.log_view.current(), "message", ""))


def marked(screen: Screen) -> list[str]:
    style = screen.app._palette.style("match")
    strips = screen.app.log_view._drawn()
    return [cell.text for strip in strips for cell in strip if cell.style == style]


async def test_a_search_goes_to_the_newest_match_and_on() -> None:
    async with running(mixed()) as screen:
        await screen.press("slash")
        await screen.type("/line 1[0-9]5/")
        assert cursor(screen) == "WARN line 195"
        assert "10/10" in screen.lines[-2]
        await screen.press("N")
        assert cursor(screen) == "WARN line 185"
        assert "9/10" in screen.lines[-2]
        await screen.press("n")
        assert cursor(screen) == "WARN line 195"
        await screen.press("n")
        assert "no match below" in screen.lines[-2]
        assert "line 195" in marked(screen)


async def test_matches_are_marked_while_they_are_typed() -> None:
    async with running(mixed(20)) as screen:
        await screen.press("slash", "e", "r", "r")
        assert set(marked(screen)) == {"ERR"}
        await screen.press("escape")
        assert marked(screen) == []
        await screen.press("slash", "E", "r", "r")
        assert marked(screen) == []  # an upper-case letter makes the search case-sensitive


async def test_new_matches_are_counted() -> None:
    async with running(mixed(20)) as screen:
        await screen.press("slash")
        await screen.type("error")
        assert "2/2" in screen.lines[-2]
        screen.engine.add([make_line(900, "ERROR more")])
        await screen.settle()
        assert "2/3" in screen.lines[-2]


async def test_escape_clears_the_search() -> None:
    async with running(mixed(20)) as screen:
        await screen.press("slash")
        await screen.type("error")
        await screen.press("escape")
        assert marked(screen) == []
        await screen.press("n")
        assert "nothing to search for" in screen.lines[-2]


async def test_the_prompt_recalls_earlier_searches() -> None:
    async with running(mixed(20)) as screen:
        await screen.press("slash")
        await screen.type("first")
        await screen.press("slash", "up")
        assert "first" in screen.lines[-1]
        await screen.press("down")
        assert "first" not in screen.lines[-1]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["E"], "ERROR line 290"),
        (["E", "E"], "ERROR line 280"),
        (["W"], "WARN line 295"),
        (["W", "W"], "ERROR line 290"),
        (["E", "E", "e"], "ERROR line 290"),
        (["W", "W", "w"], "WARN line 295"),
    ],
)
async def test_errors_and_warnings(keys: list[str], found: str) -> None:
    async with running(mixed()) as screen:
        await screen.press(*keys)
        assert cursor(screen) == found


async def test_no_error_below() -> None:
    async with running(mixed()) as screen:
        await screen.press("e")
        assert "no error below" in screen.lines[-2]


async def test_a_search_without_any_line() -> None:
    async with running() as screen:
        await screen.press("e")
        assert "there are no lines yet" in screen.lines[-2]


async def test_levels() -> None:
    async with running(mixed()) as screen:
        await screen.press("4")
        assert "WARN and above" in screen.text
        assert "60 of 300 lines" in screen.text
        assert "INFO" not in "".join(screen.lines[1:-3])
        await screen.press("5")
        assert "30 of 300 lines" in screen.text
        await screen.press("1")
        assert "and above" not in screen.text


async def test_filters() -> None:
    async with running(mixed()) as screen:
        await screen.press("f")
        await screen.type("line 1")
        assert "only line 1 111" in screen.text
        await screen.press("x")
        await screen.type("ERROR")
        assert "without ERROR 30" in screen.text
        assert "100 of 300 lines" in screen.text
        await screen.press("ctrl+f")
        assert "filters off" in screen.text
        assert "line 299" in screen.text
        await screen.press("ctrl+f", "escape")
        assert "without" not in screen.text


async def test_new_lines_are_filtered_too() -> None:
    async with running(mixed()) as screen:
        await screen.press("f")
        await screen.type("ERROR")
        screen.engine.add(
            [
                make_line(900, "INFO not this"),
                make_line(901, "ERROR but this"),
                make_line(906, "ERROR x", at_ms=EPOCH_MS + 550),
            ]
        )
        await screen.settle()
        assert "ERROR but this" in screen.text
        assert "not this" not in screen.text
        assert "32 of 303 lines" in screen.text


async def test_a_click_on_a_chip_removes_its_filter() -> None:
    async with running(mixed()) as screen:
        await screen.press("f")
        await screen.type("ERROR")
        await screen.pilot.click("#chip-bar", offset=(3, 0))
        await screen.press("escape")
        assert "only" not in screen.text


async def test_filtering_keeps_the_cursor_on_its_line() -> None:
    async with running(mixed()) as screen:
        await screen.press("E", "E", "E", "E")
        assert cursor(screen) == "ERROR line 260"
        await screen.press("5")
        assert cursor(screen) == "ERROR line 260"
        assert "line 260" in screen.text
        await screen.press("1")
        assert "line 260" in screen.text


async def test_filters_that_match_no_line_say_so() -> None:
    async with running(mixed()) as screen:
        await screen.press("f")
        await screen.type("no such thing")
        assert "no line matches the filters" in screen.text
        assert "Ctrl+F disables them" in screen.text


async def test_a_text_is_not_a_regular_expression() -> None:
    engine = FakeEngine()
    engine.add([make_line(1, "array[(x"), make_line(2, "other")])
    async with running(engine) as screen:
        await screen.press("f")
        await screen.type("[(x")
        assert "array" in screen.text
        assert "other" not in screen.text


async def test_keys_typed_into_a_field_do_nothing_else() -> None:
    async with running(mixed()) as screen:
        await screen.press("slash", *"qjkFgGcp?")
        assert re.search(r"search\s+qjkFgGcp\?", screen.lines[-1])
        assert screen.app.is_running
        assert screen.app.log_view.place.following


async def test_filters_of_the_command_line_are_chips() -> None:
    async with running(mixed()) as screen:
        screen.app.filter_by(["line 1"], ["ERROR"], "warn")
        await screen.settle()
        assert "WARN and above" in screen.text
        assert "only line 1 111" in screen.text
        await screen.press("escape")
        assert "line 299" in screen.text


def log_of(screen: Screen) -> list[str]:
    return [strip.text for strip in screen.app.log_view._drawn()]


async def test_context_lines_around_matches() -> None:
    engine = FakeEngine()
    engine.add(make_line(n, "ERROR it" if n in (40, 60) else f"line {n}") for n in range(100))
    async with running(engine) as screen:
        await screen.press("z")
        assert "3 context lines around matches, once a filter is on" in screen.lines[-2]
        await screen.press("z", "z", "5")
        assert "2 of 100 lines" in screen.text
        await screen.press("z")
        assert "3 context lines around matches" in screen.lines[-2]
        text = "\n".join(log_of(screen))
        for number in (37, 39, 41, 43, 57, 63):
            assert f"line {number} " in text
        for number in (36, 44, 56, 64):
            assert f"line {number} " not in text
        assert "⋯ 13 rows" in text
        assert "2 of 100 lines" in screen.text
        dim, plain = (screen.app._palette.style("message", where) for where in ("dim", "log"))
        styles = {
            cell.text.split()[0]: cell.style
            for strip in screen.app.log_view._drawn()
            for cell in strip
            if cell.text.startswith("line ")
        }
        assert styles == {"line": dim}
        assert dim != plain
        await screen.press("z")
        assert "line 56 " in "\n".join(log_of(screen))
        await screen.press("z")
        assert "line" not in "\n".join(log_of(screen))


async def test_context_lines_surround_new_matches_too() -> None:
    engine = FakeEngine()
    engine.add(make_line(n, f"line {n}") for n in range(100))
    async with running(engine) as screen:
        await screen.press("5", "z")
        engine.add([make_line(100, "ERROR new")])
        await screen.settle()
        engine.add([make_line(n, f"line {n}") for n in range(101, 120)])
        await screen.settle()
        text = "\n".join(log_of(screen))
        assert "line 97 " in text
        assert "line 103 " in text
        assert "line 104 " not in text
        await screen.press("vertical_line", "k", "k", "pageup", "g", "G", "ctrl+f")
        assert "line 119" in "\n".join(log_of(screen))


@pytest.mark.parametrize("around", [0, 1])
async def test_evicted_and_refetched_lines_are_counted_once(around: int) -> None:
    engine = FakeEngine()
    engine.add(make_line(number, f"line {number}") for number in range(50))
    async with running(engine) as screen:
        await screen.press("f")
        await screen.type("line")
        await screen.press(*["z"] * around)
        assert "only line 50" in screen.text
        first, last = make_line(0, "").key, make_line(19, "").key
        engine.report(Change(evicted=20, removed=((first, last),)))
        await screen.settle()
        engine.report(Change(added=20, inserted=tuple(make_line(n, "").key for n in range(20))))
        await screen.settle()
        assert "only line 50" in screen.text
        engine.add([make_line(100, "line 100"), make_line(101, "line", at_ms=EPOCH_MS + 3_050)])
        await screen.settle()
        assert "only line 52" in screen.text


async def test_a_match_beyond_the_rows_filtered_so_far_is_shown() -> None:
    async with running(mixed(40_000)) as screen:
        search = screen.app._search
        search.filters.add("line", excludes=False)
        screen.app.log_view.show_matching(search.filters.test())
        sieve = screen.app.log_view._view.matching
        assert sieve is not None
        assert not sieve.is_done
        search.submit("search", "/line 7$/")
        await screen.app.workers.wait_for_complete()
        assert cursor(screen) == "INFO line 7"
        assert sieve.is_done


async def test_the_next_level_is_found_among_lines_that_pass_the_filters() -> None:
    async with running(mixed(100)) as screen:
        await screen.press("f")
        await screen.type("/line .[35]/")
        await screen.press("W")
        assert cursor(screen) == "WARN line 95"
        await screen.press("W")
        assert cursor(screen) == "WARN line 85"
        await screen.press("z", "E")  # with context lines
        assert cursor(screen) == "ERROR line 80"


@pytest.mark.parametrize("key", ["slash", "f", "x"])
async def test_a_pattern_that_cannot_be_used_is_refused_with_the_reason(key: str) -> None:
    async with running(mixed(20)) as screen:
        await screen.press(key)
        await screen.type("/(?=x)y/")
        assert "look-around is not supported" in "\n".join(screen.lines)
        assert marked(screen) == []
        assert not screen.app._search.filters.has_any


async def test_a_match_beyond_the_edge_scrolls_into_view() -> None:
    engine = FakeEngine()
    far = "begin " + "word " * 60 + "needle end"
    engine.add([make_line(1, "a needle here"), make_line(2, far), make_line(3, "other")])
    async with running(engine) as screen:
        assert "needle end" not in screen.text
        await screen.press("slash")
        await screen.type("needle")
        assert cursor(screen) == far
        assert "needle" in screen.line_with("needle end")
        assert "needle" in marked(screen)
        await screen.press("N")
        assert cursor(screen) == "a needle here"
        assert "a needle here" in screen.text
        assert marked(screen) == ["needle"]


async def test_a_new_search_clears_the_message_of_the_one_before() -> None:
    async with running(mixed(20)) as screen:
        await screen.press("slash")
        await screen.type("nothing of the kind")
        assert "no match above" in screen.lines[-2]
        await screen.press("slash")
        await screen.type("line 7")
        assert "no match" not in screen.text
        assert "1/1" in screen.lines[-2]


async def test_fields_are_searched_for_and_filtered_by() -> None:
    engine = FakeEngine()
    engine.add(
        make_line(n, f'{{"msg":"paid","amount":{n},"user":{{"id":{n % 3}}}}}') for n in range(30)
    )
    async with running(engine) as screen:
        await screen.press("f")
        await screen.type("user.id=2 amount>=20")
        assert "4 of 30 lines" in screen.text
        await screen.press("slash")
        await screen.type("amount=23")
        assert '"amount":23' in cursor(screen)
        assert "amount=23" in marked(screen)
        await screen.press("x")
        await screen.type("!amount=23")
        assert "1 of 30 lines" in screen.text


def orders() -> FakeEngine:
    engine = FakeEngine()
    engine.add(
        make_line(n, f'{{"msg":"paid","method":"{("GET", "POST")[n % 2]}","user":{{"id":{n}}}}}')
        for n in range(40)
    )
    return engine


async def test_names_and_values_of_fields_are_proposed() -> None:
    async with running(orders()) as screen:
        await screen.press("f", "m", "e")
        assert "method=" in screen.lines[-1]
        await screen.press("tab", "P", "tab", "enter")
        assert "only method=POST 20" in screen.text
        await screen.press("x", *"user.", "tab", "3", "tab", "enter")
        assert "without user.id=31 1" in screen.text
        await screen.press("slash", *"lev", "tab", "w", "tab")
        assert "level=warn" in screen.lines[-1]
        await screen.press("escape")


async def test_what_is_wrong_is_shown_while_it_is_typed() -> None:
    async with running(orders(), size=(120, 40)) as screen:
        await screen.press("f", *"/(/")
        assert "is not a regular expression" in screen.lines[-1]
        await screen.press("enter")
        assert "is not a regular expression" in screen.lines[-1], "the prompt stays open"
        await screen.press("backspace", "backspace", *"a)", "backspace", "backspace", "backspace")
        assert "is not a regular expression" not in screen.lines[-1]
        await screen.press(*"level>=x")
        assert "'x' is not one of trace, debug" in screen.lines[-1]
        await screen.press("escape")
        assert not screen.app._search.filters.has_any


async def test_only_the_lines_of_one_request() -> None:
    one, other = "8f5e4d3c-0000-4000-8000-000000000001", "8f5e4d3c-0000-4000-8000-000000000002"
    engine = FakeEngine()
    texts = [
        f"START RequestId: {one}",
        f"[INFO] {other} b",
        f'{{"requestId": "{one}", "msg": "a"}}',
        "no id",
        f"END RequestId: {one}",
    ]
    engine.add(make_line(n, text, at_ms=EPOCH_MS + n * 1_000) for n, text in enumerate(texts))
    async with running(engine) as screen:
        await screen.press("i")
        assert len(screen.app.log_view.visible_rows) == 3
        assert one in screen.text
        assert "no id" not in screen.text
        await screen.press("i")
        assert len(screen.app.log_view.visible_rows) == 5
        await screen.press("k", "i")
        assert "no request id here" in screen.lines[-2]


async def test_an_id_of_the_details_selects_its_lines() -> None:
    engine = FakeEngine()
    texts = ['{"msg": "a", "order": "o-17"}', "paid o-17", "another line"]
    engine.add(make_line(n, text, at_ms=EPOCH_MS + n * 1_000) for n, text in enumerate(texts))
    async with running(engine, size=WIDE) as screen:
        await screen.press("g", "enter", "tab")
        pane = screen.app._side_panel.pane
        while pane.value is None or pane.value.value != "o-17":
            await screen.press("j")
        await screen.press("i")
        assert len(screen.app.log_view.visible_rows) == 2
