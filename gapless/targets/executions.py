"""Which log streams ``--execution``, ``--stream`` and ``--prefix`` stand for. Pure.

The ID of ``--execution`` is a whole id, or the unambiguous beginning of one. An execution's id is
the last part of its log streams' names: an ECS task's id, a job's, or for Lambda a version in
brackets and a hexadecimal number, whose brackets may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

import msgspec

from common.errors import UsageError

CANDIDATES_MAX: Final = 8
"""Candidates that the error about an ambiguous id lists."""

_TASK_ARN: Final = re.compile(r"arn:aws[a-z-]*:ecs:[^:]*:[^:]*:task/(?:[^/]+/)?(?P<id>[^/]+)")
_VERSION: Final = re.compile(r"\[[^\]]*\]")


def id_of_stream(stream: str) -> str:
    """Return the id of the execution that writes to a log stream."""
    return stream.rpartition("/")[2] or stream


def short_id(execution: str) -> str:
    """Return an id without the function's version in brackets, which shells would expand."""
    return _VERSION.sub("", execution, count=1) if execution.startswith("[") else execution


def written_id(text: str) -> str:
    """Return the id in what the user gave: the last part of an ECS task's ARN, or the text."""
    found = _TASK_ARN.fullmatch(text)
    return text if found is None else found["id"]


def resolve_execution(typed: str, streams: Iterable[str]) -> str:
    """Return the id that was meant; as typed if no log stream belongs to such an execution yet.

    Args:
        typed: What the user gave.
        streams: The names of the log streams.

    Raises:
        UsageError: Several ids begin like this; the text lists them.
    """
    wanted = written_id(typed)
    known = set(streams)
    if wanted in known:
        return wanted
    ids = {id_of_stream(one) for one in known}
    if wanted in ids:
        return wanted
    exact = {one for one in ids if short_id(one) == wanted}
    found = exact or {one for one in ids if one.startswith(wanted) or _begins(one, wanted)}
    if len(found) > 1:
        names = sorted(map(short_id, found) if not exact else found)
        more = f" and {len(names) - CANDIDATES_MAX} more" if len(names) > CANDIDATES_MAX else ""
        msg = (
            f"--execution {typed[:80]} is ambiguous: {', '.join(names[:CANDIDATES_MAX])}{more}; "
            "give more of the id"
        )
        raise UsageError(msg)
    return next(iter(found), wanted)


def _begins(execution: str, typed: str) -> bool:
    return short_id(execution).startswith(typed)


class StreamFilter(msgspec.Struct, frozen=True):
    """The values of the three options."""

    executions: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every log stream is selected."""
        return not (self.executions or self.streams or self.prefixes)


class CheckedFilter(msgspec.Struct, frozen=True):
    """The filter that was meant, and a message for each of its parts that matches nothing."""

    filter: StreamFilter
    unmatched: tuple[str, ...]
    unmatched_executions: int = 0
    """How many of the messages, the first ones, are about executions."""
    is_known: bool = True
    """Whether all log streams are known."""

    @property
    def matches_nothing(self) -> bool:
        """Whether no part of the filter matches a log stream."""
        parts = (*self.filter.executions, *self.filter.streams, *self.filter.prefixes)
        return self.is_known and 0 < len(parts) == len(self.unmatched)


def check_filter(given: StreamFilter, streams: Collection[str], where: str) -> CheckedFilter:
    """Resolve the executions of a filter, and find out which parts match no log stream.

    Args:
        given: The options.
        streams: The names of all log streams.
        where: The log groups, for the messages.

    Raises:
        UsageError: The id of an execution is ambiguous.
    """
    ids = {id_of_stream(one) for one in streams}
    executions = dict.fromkeys(resolve_execution(one, streams) for one in given.executions)
    unmatched = [
        _message("execution", one, {short_id(known) for known in ids}, where)
        for one in executions
        if one not in ids and one not in streams
    ]
    count = len(unmatched)
    unmatched += [
        _message("log stream", one, streams, where) for one in given.streams if one not in streams
    ]
    unmatched += [
        f"no log stream of {where} begins with {one[:80]!r} yet: {_listing('streams', where)}"
        for one in given.prefixes
        if not any(stream.startswith(one) for stream in streams)
    ]
    meant = StreamFilter(tuple(executions), given.streams, given.prefixes)
    return CheckedFilter(meant, tuple(unmatched), count)


def _message(what: str, name: str, known: Collection[str], where: str) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    listing = _listing("executions" if what == "execution" else "streams", where)
    hint = f"did you mean {close[0]}?" if close else listing
    return f"no {what} {name[:120]!r} in {where} yet: {hint}"


def _listing(command: str, where: str) -> str:
    return f"'gapless {command} {'LOG-GROUP' if ', ' in where else where}' lists those there are"
