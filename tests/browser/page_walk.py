"""A visit to the page of ``gapless demo --web`` in a real browser."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.browser.chromium import Chromium, Page
from tests.support.processes.gapless_processes import GaplessProcess
from tests.support.processes.process_tree import family, wait_gone

SIZE = (1280, 800)
SMALL = (800, 500)


class Walk:
    """A visit to the page in steps; each one is printed once it is done."""

    def __init__(self, url: str, out: Path) -> None:
        self._url = url
        self._out = out

    def opens(self, page: Page) -> None:
        """The page starts without a click, and shows lines."""
        page.size(*SIZE)
        page.open(self._url)
        page.wait("document.body.classList.contains('-first-byte')")
        page.wait_drawn("LIVE")
        page.wait_drawn("COMPLETE to")
        self._report(page, "live")

    def loads_nothing_from_elsewhere(self, page: Page) -> None:
        """The page requests nothing from other origins, and its policy forbids it."""
        page.process_events()
        origin = self._url.partition("//")[2].partition("/")[0]
        own = (f"http://{origin}/", f"ws://{origin}/", "data:")
        foreign = [one for one in page.requests if not one.startswith(own)]
        assert page.requests, "the page requested nothing"
        assert not foreign, f"the page requested {foreign}"
        assert not page.console_errors, page.console_errors
        answer = page.evaluate(
            "fetch('http://example.invalid/').then(() => 'let through', () => 'refused')"
        )
        assert answer == "refused"
        page.process_events()
        assert any("Content Security Policy" in one for one in page.console_errors), (
            page.console_errors
        )
        self._report(page)

    def takes_keys(self, page: Page) -> None:
        """Keys reach the viewer, even those that browsers use themselves."""
        page.clear_drawn()
        page.press("ctrl+p")
        page.wait_drawn("Type to filter actions")
        self._report(page, "palette")
        page.clear_drawn()
        page.type("cable")
        page.wait_drawn("plug it in")
        page.press("Enter")
        page.wait_drawn("RECONNECTING")
        self._report(page, "offline")
        page.clear_drawn()
        page.type("p")
        page.wait_drawn("LIVE")
        page.wait_drawn("COMPLETE to")
        self._report(page, "back")
        page.press("F2")
        page.wait_drawn("Tab: page")
        self._report(page, "faults")
        page.press("Escape")

    def follows_the_window(self, page: Page) -> None:
        """A smaller window has fewer rows and columns."""
        page.clear_drawn()
        page.size(*SMALL)
        page.wait_drawn("LIVE")
        self._report(page, "small")
        page.size(*SIZE)

    def opens_an_execution(self, page: Page) -> None:
        """The next screen opens in the same tab, at the same size."""
        page.clear_drawn()
        page.type("o")
        page.wait_drawn("Enter opens")
        self._report(page, "picker")
        page.clear_drawn()
        page.press("Enter")
        page.wait_drawn("LIVE")
        page.wait_drawn("COMPLETE to")
        assert not page.evaluate("document.body.classList.contains('-closed')")
        self._report(page, "execution")

    def ends_and_begins_again(self, page: Page) -> None:
        """Ctrl+C ends the viewer; the page offers to start another one."""
        page.press("ctrl+c")
        page.wait("document.body.classList.contains('-closed')")
        self._report(page, "ended")
        page.clear_drawn()
        page.evaluate("document.querySelector('#ended a').click()")
        page.wait_drawn("LIVE")
        self._report(page)

    def says_what_it_lacks(self) -> None:
        """Without WebGL 2 the page says that it cannot draw."""
        with Chromium("--disable-3d-apis") as browser:
            page = browser.page()
            page.size(*SIZE)
            page.open(self._url)
            page.wait("getComputedStyle(document.querySelector('#unsupported')).display == 'flex'")
            self._report(page, "unsupported")

    def _report(self, page: Page, picture: str = "") -> None:
        step = sys._getframe(1).f_code.co_name.replace("_", " ")
        if picture:
            page.picture(self._out / f"{picture}.png")
        sys.stdout.write(f"{step}{f': {picture}.png' if picture else ''}\n")
        sys.stdout.flush()


def walk(out: Path, state: Path) -> None:
    """Run all steps in one simulation; AssertionError names the first that fails."""
    with GaplessProcess("demo", "--web", "--seed", "7", state=state) as demo:
        (line,) = demo.err.wait_for(1, "addresses")[:1]
        found = re.search(r"http://\S+", line)
        assert found, line
        visit = Walk(found[0], out)
        with Chromium() as browser:
            first, second = browser.page(), browser.page()
            visit.opens(first)
            visit.loads_nothing_from_elsewhere(first)
            visit.takes_keys(first)
            visit.follows_the_window(first)
            visit.opens(second)
            visit.opens_an_execution(second)
            visit.ends_and_begins_again(second)
            visit.says_what_it_lacks()
            processes = family(demo.popen.pid)
            demo.popen.terminate()
            wait_gone(processes)
            for page in (first, second):
                page.wait("document.body.classList.contains('-closed')")
            sys.stdout.write("ends with the command, and nothing is left\n")
