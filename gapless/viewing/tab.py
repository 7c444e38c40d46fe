"""``gapless tab``: the viewer that one tab of ``gapless demo --web`` shows. Not for people."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from common.locks import end_when_released
from gapless.options import notify_option, while_held_option
from gapless.viewing.model import Viewing, WatchedTarget
from gapless.viewing.opening import SameTargetsOpener
from gapless.viewing.watch import watch


@click.command("tab", hidden=True)
@click.option("--websocket", required=True, metavar="URL")
@click.option("--group", required=True, metavar="NAME")
@click.option("--control", required=True, metavar="URL")
@click.option("--since", type=int, required=True, metavar="MS")
@click.option("--notice", default="", metavar="TEXT")
@notify_option
@while_held_option
def command(
    *,
    websocket: str,
    group: str,
    control: str,
    since: int,
    notice: str,
    notify: Literal["off", "bell", "osc9", "osc777"],
    while_held: Path | None,
) -> int:
    """Show a simulation to a browser: textual-serve's packets on standard input and output."""
    if while_held is not None:
        end_when_released(while_held)
    viewing = Viewing(
        targets=(WatchedTarget(url=websocket, name=group, group=group, key=websocket),),
        since=since,
        control=control,
        notify=notify,
        notice=notice,
        in_browser=True,
    )
    return watch(viewing, SameTargetsOpener(viewing))
