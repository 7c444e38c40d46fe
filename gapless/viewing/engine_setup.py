"""Makes the viewer's engine for a ``Viewing``; it resumes where its consumer stopped."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from common.errors import GaplessError
from common.state import state_dir
from common.tokens import find_offered_token
from gapless.terminal import say
from gapless.viewing.model import Viewing, WatchedTarget

if TYPE_CHECKING:
    from tui.client.engine import Engine
    from tui.client.saved import Cursor, PreviousRun
    from tui.client.target import TargetSpec
    from tui.output.consumer import Consumer
    from wire.query import Filter

_NO_RESUME = "the next viewer cannot resume where this one ends"


def make_engine(
    viewing: Viewing,
    now_ms: int,
    *,
    cursors: Path | None = None,
    consumer: Consumer | None = None,
    warn: Callable[[str], None] = say,
) -> Engine:
    """Return the engine for the targets, with its goal and the saved cursors.

    Args:
        viewing: What to watch.
        now_ms: The present, ms since the Unix epoch.
        cursors: Folder of the screen's cursors; None: none are used or saved.
        consumer: The consumer that prints the lines, and saves what it has printed.
        warn: Called with a message if a cursor cannot be read.
    """
    from tui.client.engine import Engine, Goal  # noqa: PLC0415 - websockets is slow to import
    from tui.lines.timeline import CAPACITY  # noqa: PLC0415 - with it

    folder = cursors if viewing.is_on_screen and viewing.resumes else None
    specs = []
    for number, target in enumerate(viewing.targets):
        filter_ = target_filter(viewing, target)
        if viewing.is_on_screen:
            start = _start_of_screen(viewing, target, filter_, folder, warn)
        else:
            known = consumer.start_of(number) if consumer else None
            start = _Start(viewing.since) if known is None else _Start(*known)
        specs.append(_target_spec(viewing, target, filter_, start))
    through = viewing.until if viewing.follow or viewing.until is not None else now_ms
    goal = Goal(through_ms=through, executions=viewing.executions, patience_ms=viewing.patience)
    return Engine(
        specs,
        goal=goal,
        capacity=viewing.capacity or CAPACITY,
        cursors=folder,
        is_watched=viewing.is_on_screen,
    )


def make_consumer(viewing: Viewing, folder: Path) -> Consumer:
    """Return the consumer that the output resumes as, locked; ``close`` it at the end.

    Raises:
        UsageError: Another process is this consumer, or the consumer has another query.
    """
    from tui.output.consumer import (  # noqa: PLC0415 - with the engine
        ConsumedTarget,
        Consumer,
        OutputQuery,
    )

    targets = [
        ConsumedTarget(
            identity=one.key,
            group=one.group,
            name=one.name,
            query=OutputQuery(
                target_filter(viewing, one), viewing.grep, viewing.exclude, viewing.level
            ),
        )
        for one in viewing.targets
    ]
    consumer = Consumer(folder, viewing.consumer, viewing.output or "text", targets, say)
    try:
        consumer.check_since(viewing.since)
    except BaseException:
        consumer.close()
        raise
    return consumer


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


def target_filter(viewing: Viewing, target: WatchedTarget) -> Filter:
    """Return the target's filter: its own executions if it has any."""
    shared = _shared_filter(viewing)
    if target.executions is None:
        return shared
    return msgspec.structs.replace(shared, streams=(), executions=target.executions, prefixes=())


class _Start(NamedTuple):
    """Where a target's stream starts."""

    since: int | None
    cursor: Cursor | None = None
    previous: PreviousRun | None = None


def _start_of_screen(
    viewing: Viewing,
    target: WatchedTarget,
    filter_: Filter,
    folder: Path | None,
    warn: Callable[[str], None],
) -> _Start:
    """Start at the saved cursor; a screen also shows the lines before it.

    A cursor is valid only with the ``since`` that it was made with [7].
    """
    from tui.client.saved import load_cursor  # noqa: PLC0415 - with the engine

    if folder is None:
        return _Start(viewing.since)
    name = viewing.consumer
    saved = load_cursor(folder, target.key, target.group, filter_, consumer=name, warn=warn)
    if saved is None:
        return _Start(viewing.since)
    return _Start(saved.subject.since, saved.cursor, saved.previous)


def _target_spec(
    viewing: Viewing, target: WatchedTarget, filter_: Filter, start: _Start
) -> TargetSpec:
    """Return a target for the engine."""
    from tui.client.target import TargetSpec  # noqa: PLC0415 - websockets is slow to import

    return TargetSpec(
        url=target.url,
        name=target.name,
        group=target.group,
        filter=filter_,
        since=start.since,
        history="newest" if viewing.is_on_screen else "oldest",  # output prints the oldest first
        token=_token_source(viewing, target),
        identity=target.key,
        consumer=viewing.consumer,
        cursor=start.cursor,
        previous=start.previous,
        awaits_group=not viewing.is_on_screen,
    )


def _token_source(viewing: Viewing, target: WatchedTarget) -> str | Callable[[], str | None]:
    """Return the token file's token, else what the forwarder offers to this user's commands.

    A log group's own forwarder always offers one: the token file is for the other targets.
    """
    if viewing.token is not None and not target.is_own:
        return viewing.token
    return partial(find_offered_token, target.url)
