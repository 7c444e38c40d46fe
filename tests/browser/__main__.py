"""The page of ``gapless demo --web`` in a real browser: ``make browser [ARGS=--out DIRECTORY]``.

Needs Chromium (Debian: ``apt-get install chromium``), hence no part of ``make test``, where
``tests/blackbox/test_web.py`` does what needs no browser. Pictures are kept with ``--out``.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import Chromium, Page
from tests.support.parts import Part
from tests.support.processes import family, wait_gone

SIZE = (1280, 800)
SMALL = (800, 500)


class Walk:
    """A visit, step by step; each is told once it is done."""

    def __init__(self, url: str, out: Path) -> None:
        self._url = url
        self._out = out

    def opens(self, page: Page) -> None:
        """It begins by itself, and shows lines."""
        page.size(*SIZE)
        page.open(self._url)
        page.wait("document.body.classList.contains('-first-byte')")
        page.wait_drawn("LIVE")
        page.wait_drawn("COMPLETE to")
        self._told(page, "live")

    def loads_nothing_from_elsewhere(self, page: Page) -> None:
        """Neither does it of itself, nor would the browser let it."""
        page.look()
        origin = self._url.partition("//")[2].partition("/")[0]
        own = (f"http://{origin}/", f"ws://{origin}/", "data:")
        foreign = [one for one in page.requests if not one.startswith(own)]
        assert page.requests, "nothing was asked for"
        assert not foreign, f"asked for {foreign}"
        assert not page.complaints, page.complaints
        answer = page.evaluate(
            "fetch('http://example.invalid/').then(() => 'let through', () => 'refused')"
        )
        assert answer == "refused"
        page.look()
        assert any("Content Security Policy" in one for one in page.complaints), page.complaints
        self._told(page)

    def takes_keys(self, page: Page) -> None:
        """Among them those that a browser has a use for itself."""
        page.forget()
        page.press("ctrl+p")
        page.wait_drawn("Search for commands")
        self._told(page, "palette")
        page.forget()
        page.type("cable")
        page.wait_drawn("plug it in")
        page.press("Enter")
        page.wait_drawn("RECONNECTING")
        self._told(page, "offline")
        page.forget()
        page.type("p")
        page.wait_drawn("LIVE")
        page.wait_drawn("COMPLETE to")
        self._told(page, "back")
        page.press("F2")
        page.wait_drawn("faults of the simulator")
        self._told(page, "faults")
        page.press("Escape")

    def follows_the_window(self, page: Page) -> None:
        """A smaller one has fewer rows and columns."""
        page.forget()
        page.size(*SMALL)
        page.wait_drawn("following")
        self._told(page, "small")
        page.size(*SIZE)

    def opens_an_execution(self, page: Page) -> None:
        """Another screen in the same tab, of the same size."""
        page.forget()
        page.type("o")
        page.wait_drawn("Enter opens")
        self._told(page, "picker")
        page.forget()
        page.press("Enter")
        page.wait_drawn("LIVE")
        page.wait_drawn("COMPLETE to")
        assert not page.evaluate("document.body.classList.contains('-closed')")
        self._told(page, "execution")

    def ends_and_begins_again(self, page: Page) -> None:
        """Ctrl+C is the viewer's end; the page offers another one."""
        page.press("ctrl+c")
        page.wait("document.body.classList.contains('-closed')")
        self._told(page, "ended")
        page.forget()
        page.evaluate("document.querySelector('#ended a').click()")
        page.wait_drawn("LIVE")
        self._told(page)

    def says_what_it_lacks(self) -> None:
        """Without WebGL 2 the terminal can't draw."""
        with Chromium("--disable-3d-apis") as browser:
            page = browser.page()
            page.size(*SIZE)
            page.open(self._url)
            page.wait("getComputedStyle(document.querySelector('#unsupported')).display == 'flex'")
            self._told(page, "unsupported")

    def _told(self, page: Page, picture: str = "") -> None:
        step = sys._getframe(1).f_code.co_name.replace("_", " ")
        if picture:
            page.picture(self._out / f"{picture}.png")
        sys.stdout.write(f"{step}{f': {picture}.png' if picture else ''}\n")
        sys.stdout.flush()


def walk(out: Path, state: Path) -> None:
    """Everything, in one simulation; AssertionError says what is not so."""
    with Part("demo", "--web", "--seed", "7", state=state) as demo:
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
            processes = family(demo.process.pid)
            demo.process.terminate()
            wait_gone(processes)
            for page in (first, second):
                page.wait("document.body.classList.contains('-closed')")
            sys.stdout.write("ends with the command, and nothing is left\n")


def main() -> int:
    """Walk, and say so."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="DIRECTORY", help="where pictures are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gapless-browser-") as folder:
        out = options.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        walk(out, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
