"""Makes the viewer's engine for a viewing, with the cursors that an earlier viewer saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from common.errors import GaplessError
from common.state import state_dir
from common.tokens import find_offered_token
from gapless.terminal import say
from gapless.viewing.model import Viewing, WatchedTarget

if TYPE_CHECKING:
    from tui.client.engine import Engine
    from tui.client.target import TargetSpec
    from wire.query import Filter

_NO_RESUME = "the next viewer cannot resume where this one ends"


def make_engine(
    viewing: Viewing,
    now_ms: int,
    *,
    cursors: Path | None,
    saves: bool = True,
    warn: Callable[[str], None] = say,
) -> Engine:
    """Return the engine for the targets, with its goal and the saved cursors.

    Args:
        viewing: What to watch.
        now_ms: The present, ms since the Unix epoch.
        cursors: Folder of saved cursors; None: none are used.
        saves: Whether the engine saves cursors; output does so itself, once lines are printed.
        warn: Called with a message if a cursor cannot be read.
    """
    from tui.client.engine import Engine, Goal  # noqa: PLC0415 - websockets is slow to import
    from tui.lines.timeline import CAPACITY  # noqa: PLC0415 - with it

    shared = _shared_filter(viewing)
    specs = [
        _target_spec(viewing, target, _filter_of(target, shared), cursors, warn, on_screen=saves)
        for target in viewing.targets
    ]
    through = viewing.until if viewing.follow or viewing.until is not None else now_ms
    goal = Goal(through_ms=through, executions=viewing.executions)
    return Engine(
        specs, goal=goal, capacity=viewing.capacity or CAPACITY, cursors=cursors if saves else None
    )


def cursors_folder(viewing: Viewing, warn: Callable[[str], None] = say) -> Path | None:
    """Return the folder of saved cursors; None for a simulation, which is never resumed.

    ``warn`` is called if the folder cannot be used.
    """
    if viewing.control:
        return None
    try:
        folder = state_dir("cursors")
    except GaplessError as error:
        warn(f"{_NO_RESUME}: {error}")
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        warn(f"{_NO_RESUME}: {folder} is not writable")
        return None
    return folder


def bookmarks_file(viewing: Viewing, folder: Path) -> Path:
    """Return the file that keeps the view for the next viewer of the same targets and filter."""
    from tui.client.saved import bookmarks_path  # noqa: PLC0415 - with the engine

    names = ["\n".join((one.key, *(one.executions or ()))) for one in viewing.targets]
    groups = [one.group for one in viewing.targets]
    return bookmarks_path(folder, list(zip(names, groups, strict=True)), _shared_filter(viewing))


def _shared_filter(viewing: Viewing) -> Filter:
    from wire.query import Filter  # noqa: PLC0415 - with the engine

    return Filter(viewing.streams, viewing.executions, viewing.prefixes)


def _filter_of(target: WatchedTarget, shared: Filter) -> Filter:
    """Return the target's filter: its own executions if it has any."""
    if target.executions is None:
        return shared
    return msgspec.structs.replace(shared, streams=(), executions=target.executions, prefixes=())


def _target_spec(
    viewing: Viewing,
    target: WatchedTarget,
    filter_: Filter,
    cursors: Path | None,
    warn: Callable[[str], None],
    *,
    on_screen: bool,
) -> TargetSpec:
    """Return a target for the engine, which resumes at its saved cursor.

    A screen also shows the lines before the cursor; output has printed them already. A cursor is
    valid only with the ``since`` that it was made with [7].
    """
    from tui.client.saved import load_cursor  # noqa: PLC0415 - websockets is slow to import
    from tui.client.target import TargetSpec  # noqa: PLC0415 - with it

    saved = None
    if cursors is not None and viewing.resumes:
        saved = load_cursor(cursors, target.key, target.group, filter_, warn=warn)
    return TargetSpec(
        url=target.url,
        name=target.name,
        group=target.group,
        filter=filter_,
        since=viewing.since if saved is None else saved.subject.since,
        history="newest" if on_screen else "oldest",  # output prints the oldest lines first
        token=_token_source(viewing, target),
        identity=target.key,
        cursor=None if saved is None else saved.cursor,
        previous=saved.previous if saved is not None and on_screen else None,
        awaits_group=not on_screen,
    )


def _token_source(viewing: Viewing, target: WatchedTarget) -> str | Callable[[], str | None]:
    """Return the token file's token, else what the forwarder offers to this user's commands.

    A log group's own forwarder always offers one: the token file is for the other targets.
    """
    if viewing.token is not None and not target.is_own:
        return viewing.token
    return partial(find_offered_token, target.url)
