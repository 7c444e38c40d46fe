"""Makes every picture: ``python -m screenshots.build [--out DIRECTORY] [NAME...]``.

SVG always, from the running application; PNG too where ``rsvg-convert`` (librsvg) is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import Final

import msgspec

from screenshots import simulated
from screenshots.stage import staged
from tui.app import ViewerApp

TITLE: Final = "/gapless/demo"
FONT: Final = "DejaVu Sans Mono"
"""What PNGs are set in: it has the box and block characters, and rsvg fetches no fonts."""


class Shot(msgspec.Struct, frozen=True):
    """One picture: a scene, the keys that are pressed, and the size of the terminal."""

    name: str
    scene: str | None
    """Seeded lines over a clock that stands still; None: the simulator, by the picture's name."""
    size: tuple[int, int]
    keys: tuple[str, ...] = ()
    theme: str | None = None


SHOTS: Final = (
    Shot("live", None, (120, 34)),
    Shot("reconnected", None, (120, 34)),
    Shot("live-80x24", "live", (80, 24)),
    Shot("live-200x60", "live", (200, 60)),
    Shot("reconnecting", "reconnecting", (100, 26), ("k", "k")),
    Shot("missing", "missing", (100, 26)),
    Shot("backfilling", "backfilling", (100, 26)),
    Shot("connection", "live", (140, 40), ("c",)),
    Shot("detail", "live", (120, 34), ("k", "k", "enter")),
    Shot("search", "live", (120, 34), ("slash", *"frame", "enter", "N", "N")),
    Shot("filters", "live", (100, 26), ("f", *"rendered", "enter", "x", *"gpu1", "enter", "space")),
    Shot("histogram", "live", (120, 34), ("h", "left", "left")),
    Shot("streams", "live", (120, 34), ("s", "down", "space")),
    Shot("around", "live", (100, 26), ("f", *"WARN", "enter", "z", "k", "k", "k")),
    Shot("faults", "live", (100, 26), ("f2", "1")),
    Shot("help", "live", (100, 56), ("question_mark",)),
    Shot("light", "live", (120, 34), ("k", "k"), theme="gapless-light"),
)


async def shoot(shot: Shot) -> str:
    """The picture as SVG."""
    if shot.scene is None:
        return await simulated.shoot(shot.name, TITLE, shot.size)
    stage = staged(shot.scene)
    app = ViewerApp(
        stage.engine,
        title=TITLE,
        controls=stage.controls,
        theme=shot.theme,
        clock=stage.clock,
        zone=UTC,
    )
    async with app.run_test(size=shot.size) as pilot:
        await pilot.pause()
        await pilot.press(*shot.keys)
        await app.workers.wait_for_complete()
        app.show_now()
        await pilot.pause()
        return app.export_screenshot(title=f"gapless tail {TITLE}")


def save(svg: str, path: Path) -> list[Path]:
    """Write ``path`` as SVG, and as PNG where that can be made; what was written."""
    vector = path.with_suffix(".svg")
    vector.write_text(svg, encoding="utf-8")
    convert = shutil.which("rsvg-convert")
    if convert is None:
        return [vector]
    bitmap = path.with_suffix(".png")
    # rsvg drops blanks at the ends of a text unless it is told to keep them.
    drawn = svg.replace("<text ", '<text xml:space="preserve" ').replace("Fira Code", FONT)
    subprocess.run(  # noqa: S603 - found on the path, no shell, our own arguments
        [convert, "--output", str(bitmap)], input=drawn.encode(), check=True
    )
    return [vector, bitmap]


def main(arguments: list[str] | None = None) -> int:
    """Make the pictures that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m screenshots.build", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    known = {shot.name: shot for shot in SHOTS}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(known)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or known:
        for path in save(asyncio.run(shoot(known[name])), options.out / name):
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
