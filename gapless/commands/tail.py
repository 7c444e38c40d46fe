"""``gapless tail``: watch log groups or forwarders, on screen or as output."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from common.errors import EXIT_DONE, UsageError
from gapless.options import (
    DURATION,
    FILE,
    PATTERN,
    TARGET,
    TEXT,
    TIME,
    GroupTarget,
    Target,
    aws_choice,
    aws_options,
    notify_option,
    parse_target,
)
from gapless.settings import AwsChoice

if TYPE_CHECKING:
    from gapless.viewing.opening import Watched

LEVELS: Final = ("trace", "debug", "info", "warn", "error", "fatal")
"""The levels of ``tui.lines.rows`` (a test compares them), repeated here so help loads less."""

_LINES_MAX: Final = 1_000_000


@click.command("tail")
@click.argument("targets", type=TARGET, nargs=-1, metavar="[TARGET]...")
@click.option(
    "--execution", "executions", type=TEXT, multiple=True, metavar="ID", help="Only its stream."
)
@click.option(
    "--stream", "streams", type=TEXT, multiple=True, metavar="NAME", help="Only that log stream."
)
@click.option(
    "--prefix", "prefixes", type=TEXT, multiple=True, metavar="P", help="Only streams named so."
)
@click.option("--since", type=TIME, metavar="10m|TIME", help="How far back to begin.")
@click.option("--until", type=TIME, metavar="TIME", help="Nothing later than this.")
@click.option(
    "--lines",
    type=click.IntRange(0, _LINES_MAX),
    metavar="N",
    help="Of the past, only the last N lines; with --no-follow, of all.",
)
@click.option(
    "--in-memory",
    "capacity",
    type=click.IntRange(10_000, 100_000_000),
    metavar="N",
    help="Lines kept in memory (1,000,000); older ones come back when somebody scrolls there.",
)
@click.option("--grep", type=PATTERN, multiple=True, metavar="RE", help="Only lines that match.")
@click.option("--exclude", type=PATTERN, multiple=True, metavar="RE", help="No lines that match.")
@click.option(
    "--level",
    type=click.Choice(LEVELS, case_sensitive=False),
    help="Only lines of this level or above.",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "raw"]),
    help="Print lines instead of the screen; text where stdout is no terminal.",
)
@click.option(
    "--order",
    type=click.Choice(["strict", "arrival"]),
    default="strict",
    show_default=True,
    help="Of output: by time, held until proved; or as lines come.",
)
@click.option(
    "--hold",
    type=DURATION,
    default="10s",
    show_default=True,
    help="Longest that strict order holds a line.",
)
@click.option("--record", type=FILE, metavar="FILE", help="Write what is shown, with its proof.")
@click.option("--follow/--no-follow", default=True, help="Go on, or end with what there is.")
@click.option(
    "--resume/--no-resume",
    default=None,
    help="Go on where the last viewer of these targets was; on screen by default, unless --since.",
)
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True
)
@click.option("--token-file", type=FILE, metavar="F", help="File with the forwarders' token.")
@notify_option
@aws_options
def command(
    targets: tuple[Target, ...],
    *,
    token_file: Path | None,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
    **options: Any,  # noqa: ANN401 - click has checked them
) -> int:
    """Watch TARGETs, merged in order of time, each line proved to be there once.

    A TARGET is a log group, or the ws:// URL of a forwarder.
    """
    choice = aws_choice(profile, region, endpoint_url)
    if not targets:
        _check_terminal(options)
    token = _token(token_file)
    _check_record(options["record"])
    from gapless.viewing.opening import (  # noqa: PLC0415 - only once it is clear what
        TargetOpener,
        Viewing,
        pick,
    )
    from gapless.viewing.watch import load_viewer, watch  # noqa: PLC0415 - likewise

    load = partial(load_viewer, for_screen=not options["output"] and options["follow"])

    def open_target(stack: contextlib.ExitStack, target: str) -> Watched:
        return _watched(stack, parse_target(target), choice, load)

    viewing = Viewing(targets=(), token=token, **options)
    opener = TargetOpener(viewing, open_target, choice, token_file)
    with contextlib.ExitStack() as stack:
        if targets:
            watched = tuple(_watched(stack, target, choice, load) for target in targets)
            viewing = msgspec.structs.replace(viewing, targets=watched)
        elif chosen := pick(choice):
            wanted = {name: options[name] for name in ("executions", "streams", "prefixes")}
            opened = stack.enter_context(opener.open(viewing, chosen))
            viewing = msgspec.structs.replace(opened, **wanted)
        else:
            return EXIT_DONE
        return watch(viewing, opener)


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    from common.http import read_token  # noqa: PLC0415 - 30 ms that most do not need

    return read_token(path)


def _check_record(record: Path | None) -> None:
    """Find out before hours of watching that the record could not be written.

    Raises:
        UsageError: there is no such folder, or nothing may be written into it.

    """
    if record is not None and not os.access(record.absolute().parent, os.W_OK | os.X_OK):
        msg = f"cannot write the record {record}: its folder is missing or not ours to write"
        raise UsageError(msg)


def _watched(
    stack: contextlib.ExitStack, target: Target, choice: AwsChoice, meanwhile: Callable[[], None]
) -> Watched:
    """Where a target is served; a log group's own forwarder is kept for as long as we run."""
    from gapless.viewing.opening import Watched  # noqa: PLC0415 - only once it is clear what

    if not isinstance(target, GroupTarget):
        return Watched(url=target.url, name=target.url, key=target.url)
    from gapless.attach import attach  # noqa: PLC0415 - only where one is needed

    own = stack.enter_context(attach(target.group, choice, meanwhile))
    own.keep()
    options = click.get_current_context().params
    waits = options["executions"] and options["follow"] and options["until"] is None
    note = own.endless() if waits else ""
    name = target.group
    return Watched(url=own.url, name=name, group=name, key=f"own:{own.folder.name}", note=note)


def _check_terminal(options: dict[str, Any]) -> None:
    """Without a target there must be a terminal to pick one on.

    Raises:
        UsageError: there is none, or output was asked for.

    """
    is_on_screen = options["follow"] and not options["output"]
    if not (is_on_screen and sys.stdout.isatty() and sys.stdin.isatty()):
        hint = "give a TARGET: gapless tail LOG-GROUP, or gapless tail ws://HOST:PORT/v1/tail"
        raise UsageError(hint)
