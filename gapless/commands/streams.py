"""``gapless streams``: list the log streams of log groups."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from common.errors import UsageError
from common.text import NOTHING, format_size, replace_unprintable, table
from common.times import format_local
from gapless.aws import AwsChoice
from gapless.options import TARGET, TIME, check_times, several_aws_options
from gapless.targets.executions import id_of_stream, short_id
from gapless.targets.grammar import ForwarderTarget, Target
from gapless.terminal import say

_LAG_MS = 3_600_000
"""DescribeLogStreams gives the time of the last event up to an hour late (AWS API reference)."""


@click.command("streams")
@click.argument("target", type=TARGET)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@click.option(
    "--prefix", metavar="P", default=None, help="Only log streams whose names begin like this."
)
@click.option(
    "--since",
    type=TIME,
    metavar="1h|TIME",
    help="Leave out log streams without events since then; AWS is up to an hour late to say so.",
)
@several_aws_options
def command(
    target: Target,
    *,
    as_json: bool,
    prefix: str | None,
    since: int | None,
    choices: tuple[AwsChoice, ...],
) -> None:
    """List the log streams of TARGET: a log group, a pattern of them, or an ARN.

    The newest comes first. An ID in the list, or its beginning, is what tail --execution takes.
    """
    from gapless.targets.reading import read_streams  # noqa: PLC0415 - not needed for --help

    if isinstance(target, ForwarderTarget):
        msg = "a forwarder lists executions, not streams: gapless executions URL"
        raise UsageError(msg)
    check_times(since, None, time.time_ns() // 1_000_000)
    rows = [
        {
            "stream": one.name,
            "execution": id_of_stream(one.name),
            "created": one.created,
            "first": one.first,
            "last": one.last,
            "stored_bytes": one.stored_bytes,
            **group.found.place,
        }
        for group in read_streams((target,), choices, prefix)
        for one in group.streams
        if since is None or one.last is None or one.last + _LAG_MS >= since
    ]
    rows.sort(key=lambda one: (-(one["last"] or one["created"] or 0), one["stream"]))
    if as_json:
        click.echo(json.dumps(rows))
    elif rows:
        click.echo(_table(rows))
    else:
        say("no log streams" if since is None and prefix is None else "no log streams match")


def _table(rows: list[dict[str, Any]]) -> str:
    places = {(one["log_group"], one["region"], one["profile"]) for one in rows}
    has_sizes = any(one["stored_bytes"] for one in rows)
    is_several = len(places) > 1
    lines = [
        (
            replace_unprintable(short_id(one["execution"])),
            format_local(one["first"]),
            format_local(one["last"]),
            *((format_size(one["stored_bytes"]),) if has_sizes else ()),
            *((one["log_group"], one["region"] or NOTHING) if is_several else ()),
            replace_unprintable(one["stream"]),
        )
        for one in rows
    ]
    titles = ["ID", "FIRST EVENT", "LAST EVENT", *(("SIZE",) if has_sizes else ())]
    titles += [*(("LOG GROUP", "REGION") if is_several else ()), "LOG STREAM"]
    return table(titles, lines, frozenset({3}) if has_sizes else frozenset())
