"""``gapless forwarders``: list this user's forwarders, or stop one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from common.errors import GaplessError, UsageError
from common.hosts import is_loopback
from common.http import request
from common.locks import lock_path, owner_of, wait_until_free
from common.state import state_path
from common.text import NOTHING, format_size, replace_unprintable, table
from common.tokens import find_offered_token
from gapless.aws import ACCOUNTS, JOURNALS
from gapless.options import TEXT
from gapless.terminal import say
from tui.render.units import duration

_SHORT: Final = 8
"""Digits of an id that the table shows; any unambiguous beginning is accepted."""

_ANSWER_S: Final = 3.0
"""Longest wait for a forwarder's description of itself."""


class RunningForwarder(msgspec.Struct, frozen=True):
    """A forwarder of this user that runs.

    Attributes:
        id: Names it for ``stop``.
        journal: Its journal, a file or a folder.
        ready: The line that it wrote into its lock file.
        is_background: Whether ``tail`` has started it.
    """

    id: str
    journal: Path
    ready: dict[str, Any]
    is_background: bool

    @property
    def pid(self) -> int:
        """Number of its process."""
        return int(self.ready["pid"])

    @property
    def place(self) -> str:
        """Profile, Region and endpoint, as far as the command line names them."""
        names = ("profile", "region", "endpoint_url")
        return " ".join(str(self.ready[one]) for one in names if self.ready.get(one)) or "default"


def find_forwarders() -> list[RunningForwarder]:
    """Find the forwarders whose journals are in the state directory, by id."""
    found = []
    places = [(path, True) for path in state_path(ACCOUNTS).glob(f"*/{JOURNALS}.lock")]
    places += [(path, False) for path in state_path("forward").glob("*/*.lock")]
    for path, is_background in places:
        ready = owner_of(path)
        # 0 and negative numbers would signal groups of processes.
        pid = ready.get("pid") if ready else None
        if ready and isinstance(pid, int) and pid > 1:
            folder = path.parent.name
            name = folder.rpartition("-")[2]
            if not is_background:
                name += f"-{path.stem.removesuffix('.sqlite3')}"
            found.append(RunningForwarder(name, path.with_suffix(""), ready, is_background))
    return sorted(found, key=lambda one: one.id)


@click.group("forwarders", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List your forwarders: those that tail has started, and those of `forward`.

    A forwarder with a --journal of its own outside the state directory is not found.
    """
    if ctx.invoked_subcommand is not None:
        return
    rows = [_described(one) for one in find_forwarders()]
    if as_json:
        click.echo(json.dumps(rows))
    elif not rows:
        say("no forwarder is running")
    else:
        click.echo(_table(rows))


@command.command("stop")
@click.argument("wanted", metavar="[ID]", type=TEXT, required=False)
def stop(wanted: str | None) -> None:
    """Stop a forwarder; without an ID the only one that runs.

    Commands that watch it stay: they show that they are not connected, until a new command starts
    it again.
    """
    one = _choose(find_forwarders(), wanted)
    if one.is_background:
        from gapless.forwarders.attach import mark_stopped  # noqa: PLC0415 - not needed for the list

        try:
            mark_stopped(one.journal, urlsplit(str(one.ready.get("websocket", ""))).port or 0)
        except OSError as error:
            msg = f"cannot write beside {one.journal}: {error.strerror}"
            raise GaplessError(msg) from error
    try:
        os.kill(one.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it has ended meanwhile
    except PermissionError as error:
        msg = f"the forwarder {one.id} (process {one.pid}) belongs to another user: ask them"
        raise GaplessError(msg) from error
    wait_until_free(lock_path(one.journal))
    say(f"stopped the forwarder {one.id}")


def _choose(running: list[RunningForwarder], wanted: str | None) -> RunningForwarder:
    """Return the forwarder that an id names, or the only one.

    Raises:
        UsageError: none or several fit; the text lists them.
    """
    fitting = [one for one in running if wanted is None or one.id.startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    if not running:
        msg = "no forwarder is running"
        raise UsageError(msg)
    ids = ", ".join(one.id for one in fitting or running)
    if wanted is None:
        msg = f"several forwarders are running: name one of {ids}"
    elif fitting:
        msg = f"{wanted[:80]!r} fits several forwarders: name one of {ids}"
    else:
        msg = f"no forwarder {wanted[:80]!r} is running: name one of {ids}"
    raise UsageError(msg)


def _described(one: RunningForwarder) -> dict[str, Any]:
    """Return one row: what the lock file says, and what the forwarder says of itself."""
    row: dict[str, Any] = {
        "id": one.id,
        "pid": one.pid,
        "url": one.ready.get("websocket"),
        "background": one.is_background,
        "place": one.place,
        "groups": None,
        "viewers": None,
        "journal_bytes": None,
        "calls_per_minute": None,
        "uptime_ms": None,
        "problem": "it is starting",
    }
    address = one.ready.get("http")
    if address is None:
        return row
    try:
        said = request(f"{address}/v1/forwarder", token=_token_of(one), timeout_s=_ANSWER_S)
        groups = said["groups"]
        return row | {
            "groups": [
                f"{one['group']} matching {one['pattern']}" if one.get("pattern") else one["group"]
                for one in groups
            ],
            "viewers": sum(group["viewers"] for group in groups),
            "journal_bytes": sum(group["journal_bytes"] for group in groups),
            "calls_per_minute": said["calls_per_minute"],
            "uptime_ms": said["uptime_ms"],
            "problem": None,
        }
    except (GaplessError, KeyError, TypeError) as error:
        return row | {"problem": str(error)}


def _token_of(one: RunningForwarder) -> str | None:
    url = str(one.ready["websocket"])
    return find_offered_token(url) if is_loopback(urlsplit(url).hostname or "") else None


def _table(rows: list[dict[str, Any]]) -> str:
    titles = ("ID", "STARTED BY", "GROUPS", "VIEWERS", "JOURNAL", "CALLS/MIN", "UP", "WHERE", "")
    lines = [
        (
            row["id"][:_SHORT] if row["background"] else row["id"],
            "tail" if row["background"] else "forward",
            _groups_text(row["groups"]),
            _text(row["viewers"]),
            format_size(row["journal_bytes"]),
            _text(row["calls_per_minute"]),
            NOTHING if row["uptime_ms"] is None else duration(row["uptime_ms"]),
            replace_unprintable(row["place"]),
            replace_unprintable(row["problem"] or ""),
        )
        for row in rows
    ]
    return table(titles, lines, frozenset({3, 4, 5, 6}))


def _groups_text(groups: list[str] | None) -> str:
    """Name a few log groups, and count the others."""
    if groups is None:
        return NOTHING
    shown = ", ".join(replace_unprintable(one) for one in groups[:2]) or "none"
    return shown if len(groups) <= 2 else f"{shown} and {len(groups) - 2} more"  # noqa: PLR2004 - shown


def _text(value: int | None) -> str:
    return NOTHING if value is None else str(value)
