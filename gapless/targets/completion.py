"""Shell completion of log groups, streams, executions, profiles and Regions.

Lists come from a ``gapless … --json`` process, cached in the state directory for a minute. That
process may take longer than a completion may wait: it then fills the cache for the next one. It
has no terminal, so it cannot ask for a code, and it ends after ``FILL_WITHIN_S`` at the latest.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from common.errors import GaplessError
from common.files import read_regular, replace_file
from common.locks import FileLock
from common.state import state_dir
from gapless.aws import AwsChoice, choices_of, profile_names
from gapless.targets.executions import id_of_stream, short_id
from gapless.targets.grammar import GroupTarget, Target, TargetError, parse_target
from gapless.targets.listing import ListError, list_command, parse_rows

FRESH_S: Final = 60.0
"""Age up to which a cached list is used as it is."""

STALE_S: Final = 86_400.0
"""Age up to which an old list is better than none, while no newer one comes."""

WAIT_S: Final = 1.5
"""Longest that one completion waits for a list; with the start of Python, two seconds."""

FILL_WITHIN_S: Final = 30.0
"""Longest that the process which fills the cache may take."""

_POLL_S: Final = 0.02
_PLACES_MAX: Final = 4
"""Accounts and Regions of one command line that are listed."""

_left_running: list[subprocess.Popen[bytes]] = []
"""Processes that may outlive this one; Python warns of those that it forgets."""

_Row = tuple[str, str]
"""A value, and what the shell shows beside it."""


def complete_target(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a log group."""
    del param
    rows: list[_Row] = []
    for choice in _choices(ctx):
        rows += [
            (str(one["name"]), choice.region or "")
            for one in cached_rows(("groups", "--json", *choice.arguments()))
            if one.get("name")
        ]
    return _items(rows, incomplete)


def complete_stream(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a log stream of the log groups on the command line."""
    del param
    return _items(((str(one.get("stream")), "") for one in _streams(ctx)), incomplete)


def complete_execution(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the id of an execution of the log groups on the command line."""
    del param
    rows = [
        (short_id(id_of_stream(str(one.get("stream")))), str(one.get("stream")))
        for one in _streams(ctx)
    ]
    return _items(rows, incomplete)


def complete_profile(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a profile of the AWS settings."""
    del ctx, param
    return _items(((one, "") for one in profile_names(os.environ)), incomplete)


def complete_region(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of an AWS Region, as the AWS SDK knows them."""
    del ctx, param
    return _items(region_names(), incomplete)


def region_names() -> list[_Row]:
    """Return the Regions in the SDK's own data, which is read without importing the SDK."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, ImportError):
        spec = importlib.util.find_spec("botocore")
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            data = json.loads((Path(folder) / "data/partitions.json").read_bytes())
            return sorted(
                (name, str(region.get("description", "")))
                for partition in data["partitions"]
                for name, region in partition["regions"].items()
                if not name.endswith("-global")
            )
    return []


def cached_rows(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a ``gapless`` command: cached ones, or new ones if they come in time."""
    try:
        path = state_dir("completion") / f"{_digest(arguments, os.environ)}.json"
    except GaplessError:
        return []
    if _age_s(path) <= FRESH_S:
        return _read(path)
    with contextlib.suppress(OSError):
        filling = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "gapless.targets.completion", str(path), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(os.environ),
            start_new_session=True,  # the shell's Ctrl+C ends the completion, not the list
        )
        _left_running.append(filling)
    deadline = time.monotonic() + WAIT_S
    while _age_s(path) > FRESH_S and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return _read(path) if _age_s(path) <= STALE_S else []


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a list: with the shell's variables it would complete, too."""
    shell = ("_GAPLESS_COMPLETE", "COMP_WORDS", "COMP_CWORD")
    return {name: value for name, value in env.items() if name not in shell}


def fill_cache(path: Path, arguments: Sequence[str]) -> None:
    """Run a ``gapless`` command and keep its rows, unless another process does so now."""
    lock = FileLock.take(path.with_suffix(".lock"))
    if lock is None:
        return
    with lock, contextlib.suppress(OSError, ListError, subprocess.TimeoutExpired):
        ended = subprocess.run(  # noqa: S603 - our own command
            list_command(arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=FILL_WITHIN_S,
            check=False,
        )
        rows = parse_rows(ended.stdout, ended.stderr, ended.returncode)
        with replace_file(path) as file:
            file.write(json.dumps(rows).encode())


def _streams(ctx: click.Context) -> list[dict[str, Any]]:
    groups = [one.identifier for one in _targets(ctx) if isinstance(one, GroupTarget)]
    return [
        row
        for group in dict.fromkeys(groups[:_PLACES_MAX])
        for choice in _choices(ctx)
        for row in cached_rows(("streams", group, "--json", *choice.arguments()))
        if row.get("stream")
    ]


def _targets(ctx: click.Context) -> list[Target]:
    given = ctx.params.get("targets") or ctx.params.get("target") or ()
    # While an option lacks its value, click leaves the arguments before it unparsed.
    words = (*(given if isinstance(given, tuple) else (given,)), *ctx.args)
    found = []
    for one in words:
        with contextlib.suppress(TargetError):
            found.append(parse_target(one) if isinstance(one, str) else one)
    return found


def _choices(ctx: click.Context) -> tuple[AwsChoice, ...]:
    """Return the accounts and Regions so far, from options, variables and the settings file."""
    from gapless.settings import defaults_of, settings_file  # noqa: PLC0415 - not for every completion

    settings: dict[str, Any] = {}
    with contextlib.suppress(GaplessError):
        root = ctx.find_root().command
        assert isinstance(root, click.Group), "completion begins with it"
        settings = defaults_of(ctx.command, settings_file(os.environ), root)

    def values(name: str) -> tuple[str, ...]:
        given = ctx.params.get(name) or settings.get(name) or ()
        return (given,) if isinstance(given, str) else tuple(map(str, given))

    endpoint = next(iter(values("endpoint_url")), None)
    return choices_of(values("profile"), values("region"), endpoint)[:_PLACES_MAX]


def _items(rows: Iterable[_Row], incomplete: str) -> list[CompletionItem]:
    """Return the values that begin with the text so far, written so that the shell takes them."""
    is_bash = os.environ.get("_GAPLESS_COMPLETE") == "bash_complete"
    return [
        CompletionItem(shlex.quote(value) if is_bash else value, help=note or None)
        for value, note in sorted(dict(rows).items())
        if value.startswith(incomplete) and value.isprintable()
    ]


def _digest(arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """Name the list of one command with one set of AWS settings; no secret is part of it."""
    chosen = {name: value for name, value in env.items() if _chooses_account(name)}
    seen = json.dumps([list(arguments), chosen], sort_keys=True)
    return hashlib.blake2b(seen.encode(), digest_size=12).hexdigest()


def _chooses_account(name: str) -> bool:
    return name.startswith("AWS_") and "SECRET" not in name and "TOKEN" not in name


def _age_s(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return float("inf")


def _read(path: Path) -> list[dict[str, Any]]:
    with contextlib.suppress(OSError, ValueError):
        rows = json.loads(read_regular(path))
        if isinstance(rows, list):
            return [one for one in rows if isinstance(one, dict)]
    return []


if __name__ == "__main__":
    fill_cache(Path(sys.argv[1]), sys.argv[2:])
