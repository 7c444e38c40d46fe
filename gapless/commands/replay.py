"""``gapless replay``: open the record of a viewer, or another tool's log, and play it."""

from __future__ import annotations

from typing import Any, Final

import click

from common.errors import UsageError
from gapless.options import (
    EXPRESSION,
    FIELDS,
    FORMAT,
    TIMEZONE,
    ParsedType,
    PathType,
    exclude_option,
    level_option,
)

AT_ONCE: Final = "max"
"""The speed that shows everything at once."""

_FASTEST: Final = 100


def parse_speed(text: str) -> float | str:
    """Parse the value of ``--speed``: a number, or ``max``.

    Raises:
        ValueError: It is neither.
    """
    if text == AT_ONCE:
        return text
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 1 <= speed <= _FASTEST:
        msg = f"{text[:20]!r} is not a speed: give a number from 1 to {_FASTEST}, or {AT_ONCE}"
        raise ValueError(msg)
    return speed


SPEED: Final = ParsedType(
    "speed", parse_speed, choices=("1", "10", "100", AT_ONCE), toml_types=(int, float)
)


@click.command("replay")
@click.argument("file", type=PathType(allow_dash=True), metavar="FILE")
@click.option(
    "--speed",
    type=SPEED,
    metavar="1..100|max",
    help="Seconds of the recording in a second; max: everything at once.  [default: 1 for a "
    "record, max for other logs]",
)
@click.option(
    "--grep",
    type=EXPRESSION,
    multiple=True,
    metavar="EXPR",
    help="Only lines that match, as with gapless tail.",
)
@exclude_option
@level_option
@click.option(
    "--fields",
    type=FIELDS,
    metavar="NAME,...",
    help="Columns of these fields on screen; with --output, print only these.",
)
@click.option(
    "-o",
    "--format",
    "--output",
    "output",
    type=FORMAT,
    metavar="FORMAT",
    help="Print all lines instead of a screen: detailed (or text), short, json, raw, or a "
    "TEMPLATE with fields in braces.  [default: text, if stdout is not a terminal]",
)
@click.option(
    "--timezone",
    type=TIMEZONE,
    metavar="local|utc|Area/City",
    help="Zone of all times on screen and in text.  [default: utc]",
)
def command(file: str, **options: Any) -> int:  # noqa: ANN401 - click has checked them
    """Open FILE and play it at its original pace, as it was recorded; - reads standard input.

    FILE is a record (gapless tail --record FILE), or the log of another tool: NDJSON, an object in
    each line, with its time in ts, time, timestamp or @timestamp. Space pauses, < and > go ten
    seconds back and forwards, : goes to a time, { and } to the start and the end, [ and ] change
    the speed. A truncated record opens as far as it goes.
    """
    # Imported only now that the options are checked.
    from gapless.viewing.replay import (  # noqa: PLC0415
        Replaying,
        has_screen,
        open_source,
        print_replay,
        show,
    )

    speed = options.pop("speed")
    output = options.pop("output")
    replaying = Replaying(
        speed=None if speed == AT_ONCE else speed, is_paced=speed is not None, **options
    )
    is_pipe = file == "-"
    with open_source(file) as source:
        if output is None and has_screen(is_piped=is_pipe):
            return show(source, replaying, is_piped=is_pipe)
        source_of = click.get_current_context().get_parameter_source
        if source_of("speed") is click.core.ParameterSource.COMMANDLINE:  # not a setting
            msg = "--speed plays on a screen: leave it out, or --output"
            raise UsageError(msg)
        return print_replay(source, replaying, output or "text")
