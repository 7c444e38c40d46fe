from __future__ import annotations

from tests.pilot.test_finding import cursor, mixed
from tests.support.screen import running


async def test_a_match_far_away_is_shown_though_filters_have_not_come_that_far() -> None:
    async with running(mixed(40_000)) as screen:
        search = screen.app._search
        search.filters.add("line", excludes=False)
        screen.app.log_view.show_matching(search.filters.test())
        sieve = screen.app.log_view._view.matching
        assert sieve is not None
        assert not sieve.is_done
        search.submit("search", "line 7$")
        await screen.app.workers.wait_for_complete()
        assert cursor(screen) == "INFO line 7"
        assert sieve.is_done


async def test_levels_are_hunted_among_what_passes_the_filters() -> None:
    async with running(mixed(100)) as screen:
        await screen.press("f")
        await screen.type("line .[35]")
        await screen.press("W")
        assert cursor(screen) == "WARN line 95"
        await screen.press("W")
        assert cursor(screen) == "WARN line 85"
        await screen.press("z", "E")  # with rows around them
        assert cursor(screen) == "ERROR line 80"
