"""Takes screenshots of the running application: ``python -m screenshots.build [NAME...]``.

It writes SVG, and PNG if ``rsvg-convert`` (librsvg) is installed; ``pngquant`` shrinks the PNG to a
quarter of its size.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from screenshots.simulated import (
    SEED,
    Stage,
    backfilling,
    complete,
    live,
    offline,
    reconnected,
    repaired,
    scene,
)

TITLE: Final = "/gapless/demo"
FONT: Final = "DejaVu Sans Mono"
"""Font of the PNGs: it has the box and block characters, and rsvg downloads no fonts."""

COLOURS: Final = "160"
"""Colours of a PNG: more than a theme has, for the edges of letters."""

_WIDE: Final = (120, 34)


class Shot(msgspec.Struct, frozen=True):
    """One picture: the stage to wait for, the keys to press then, the terminal's size."""

    name: str
    stage: Stage
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = _WIDE
    theme: str | None = None


SHOTS: Final = (
    Shot("live", live),
    Shot("live-80x24", live, size=(80, 24)),
    Shot("light", live, ("k", "k"), theme="gapless-light"),
    Shot("backfilling", backfilling),
    Shot("offline", offline),
    Shot("reconnected", reconnected),
    Shot("repaired", repaired),
    Shot("complete", complete),
    Shot("filter", live, ("f", *"batch", "enter", "x", *"failed", "enter", "space")),
    Shot("search", live, ("space", "slash", *"slow answer", "enter", "N", "N")),
    Shot("detail", live, ("space", "slash", *"checkpoint", "enter", "N", "N", "enter")),
    Shot("histogram", reconnected, ("h", "left", "left")),
    Shot("streams", live, ("s", "down", "space")),
    Shot("patterns", live, ("P", "down")),
    Shot("connection", reconnected, ("c",)),
    Shot("faults", offline, ("f2",)),
    Shot("open", live, ("o",)),
    Shot("help", live, ("question_mark",), size=(100, 64)),
)


async def shoot(shot: Shot) -> str:
    """Take one picture; returns it as SVG."""
    is_late = shot.stage is backfilling
    async with scene(TITLE, shot.size, shot.theme, is_late=is_late) as on:
        await shot.stage(on)
        for key in shot.keys:
            await on.pilot.press(key)
            await on.pilot.pause()
        await on.app.workers.wait_for_complete()
        on.app.show_now()
        await on.pilot.pause()
        return on.app.export_screenshot(title=f"gapless demo --seed {SEED}")


def save(svg: str, path: Path) -> list[Path]:
    """Write a picture as SVG, and as PNG if possible; returns the files."""
    vector = path.with_suffix(".svg")
    vector.write_text(svg, encoding="utf-8")
    convert = shutil.which("rsvg-convert")
    if convert is None:
        return [vector]
    bitmap = path.with_suffix(".png")
    # Without xml:space rsvg drops blanks at the ends of texts.
    drawn = svg.replace("<text ", '<text xml:space="preserve" ').replace("Fira Code", FONT)
    made = subprocess.run(  # noqa: S603 - found on the path, no shell, our own arguments
        [convert], input=drawn.encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    squeeze = shutil.which("pngquant")
    if squeeze is not None:
        made = subprocess.run(  # noqa: S603 - likewise
            [squeeze, "--strip", COLOURS, "-"], input=made, stdout=subprocess.PIPE, check=True
        ).stdout
    bitmap.write_bytes(made)
    return [vector, bitmap]


def main(arguments: list[str] | None = None) -> int:
    """Take the named pictures, or all."""
    parser = argparse.ArgumentParser(prog="python -m screenshots.build", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    known = {shot.name: shot for shot in SHOTS}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"unknown picture {unknown[0]}: choose from {', '.join(known)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or known:
        for path in save(asyncio.run(shoot(known[name])), options.out / name):
            sys.stdout.write(f"{path}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
