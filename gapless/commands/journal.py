"""``gapless journal``: what a journal that forwarders share contains, and who uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import CannotConnectError, UsageError
from common.text import NOTHING, format_size, replace_unprintable, table
from gapless.options import JOURNAL
from gapless.terminal import say
from tui.render.units import duration

if TYPE_CHECKING:
    from forwarder.cluster.engine import Engine
    from forwarder.cluster.log import StoredGroup

_NAME: Final = "gapless journal"


@click.command("journal")
@click.argument("url", metavar="URL", type=JOURNAL)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(url: Path | str, *, as_json: bool) -> None:
    """List the log groups of a journal that forwarders share, and the forwarders that use them.

    URL is that of `gapless forward --journal`: postgresql://USER@HOST/DATABASE. A log group without
    an owner is read by no forwarder; a server's lag is the number of entries that it still lacks.
    Once a log group's journal has started over, its former entries are trimmed: fewer are stored
    than were written.
    """
    if isinstance(url, Path):
        msg = f"{str(url)[:80]!r} is not a shared journal: give postgresql://USER@HOST/DATABASE"
        raise UsageError(msg)
    from forwarder.cluster.engine import open_engine  # noqa: PLC0415 - not needed for --help
    from forwarder.cluster.log import Unavailable  # noqa: PLC0415 - likewise

    engine = open_engine(url, _NAME)
    try:
        rows = [_described(engine, one) for one in engine.groups()]
    except Unavailable as error:
        raise CannotConnectError(str(error)) from error
    finally:
        engine.close()
    if as_json:
        click.echo(json.dumps(rows))
    elif rows:
        click.echo(_table(rows))
    else:
        say("the journal has no log groups yet: start gapless forward --journal with this URL")


def _described(engine: Engine, group: StoredGroup) -> dict[str, Any]:
    from forwarder.cluster import wants  # noqa: PLC0415 - not needed for --help

    found = engine.log(group.name, group.pattern).wants()
    servers = [
        # A server may have applied what came after the list of log groups was read.
        {"name": name, "lag": max(0, group.head - wants.decode(one).position)}
        for name, one in sorted(found.items())
    ]
    return {
        "group": group.name,
        "pattern": group.pattern,
        "head": group.head,
        "stored": group.stored,
        "size_bytes": group.size_bytes,
        "owner": group.owner,
        "lease_left_ms": group.lease_left_ms if group.owner is not None else None,
        "status_age_ms": group.status_age_ms,
        "servers": servers,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    cells = [
        (
            replace_unprintable(one["group"] + (f" {one['pattern']}" if one["pattern"] else "")),
            str(one["head"]),
            str(one["stored"]),
            format_size(one["size_bytes"]),
            replace_unprintable(one["owner"] or "nobody"),
            _duration(one["lease_left_ms"]),
            _duration(one["status_age_ms"]),
            ", ".join(
                replace_unprintable(f"{server['name']} (lag {server['lag']})")
                for server in one["servers"]
            )
            or NOTHING,
        )
        for one in rows
    ]
    titles = (
        *("log group", "entries", "stored", "size"),
        *("owner", "lease left", "status age", "servers"),
    )
    return table(titles, cells, right=frozenset((1, 2, 3, 5, 6)))


def _duration(ms: int | None) -> str:
    return NOTHING if ms is None else duration(ms)
