"""Parses and builds the query parameters of ``/v1/tail``, ``/v1/logs`` and ``/v1/digest``.

Checks the form only; the forwarder decides whether it serves the group and can resume the cursor.
"""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec

from wire.errors import WireError
from wire.limits import (
    FILTERS_MAX,
    GROUP_CHARS_MAX,
    LOGS_PAGE_EVENTS_MAX,
    NAME_CHARS_MAX,
    PATTERN_CHARS_MAX,
    SEQ_MAX,
    TIMESTAMP_MAX,
)
from wire.order import Interval, parse_interval

History = Literal["newest", "oldest"]
_EPOCH_CHARS_MAX: Final = 128


class Filter(msgspec.Struct, frozen=True):
    """Selects log streams, the union of three fields, and the feed that they are taken from.

    Attributes:
        streams: Names of log streams.
        executions: Executions, each of which selects its log streams.
        prefixes: Starts of log stream names. Without any of the three every stream is selected.
        pattern: CloudWatch's filter pattern, which makes a feed of its own; empty: all events.
    """

    streams: tuple[str, ...] = ()
    executions: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    pattern: str = ""

    def matches(self, stream: str) -> bool:
        """Whether the filter selects the log stream named ``stream``."""
        if not (self.streams or self.executions or self.prefixes):
            return True
        return (
            stream in self.streams
            or any(belongs_to_execution(stream, execution) for execution in self.executions)
            or stream.startswith(self.prefixes)
        )

    @property
    def matches_all(self) -> bool:
        """Whether the filter selects every stream."""
        return not (self.streams or self.executions or self.prefixes)


def belongs_to_execution(stream: str, execution: str) -> bool:
    """Whether a log stream belongs to an execution: its name is the id or ends in ``/id``."""
    return stream == execution or stream.endswith("/" + execution)


class TailQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``/v1/tail``; see the table in ``PROTOCOL.md``."""

    group: str | None = None
    filter: Filter = Filter()
    since: int | None = None
    epoch: str | None = None
    after: int | None = None
    held: Interval | None = None
    history: History = "newest"
    base: int = 0
    credit: int | None = None

    def encode(self) -> str:
        """Encode as a query string, without the leading question mark.

        Raises:
            WireError: a name contains a lone surrogate, which a query string cannot represent.
        """
        pairs = _filter_pairs(self.group, self.filter)
        for name in ("since", "epoch", "after", "held", "credit"):
            value = getattr(self, name)
            if value is not None:
                pairs.append((name, str(value)))
        if self.history != "newest":
            pairs.append(("history", self.history))
        if self.base:
            pairs.append(("base", str(self.base)))
        return _encode(pairs)


class LogsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``/v1/logs``: in display order, or with a cursor in seq order."""

    group: str | None = None
    filter: Filter = Filter()
    since: int | None = None
    through: int | None = None
    limit: int = LOGS_PAGE_EVENTS_MAX
    next: str | None = None
    epoch: str | None = None
    after: int | None = None
    until_seq: int | None = None

    def encode(self) -> str:
        """Encode as a query string, without the leading question mark.

        Raises:
            WireError: a name contains a lone surrogate, which a query string cannot represent.
        """
        pairs = _filter_pairs(self.group, self.filter)
        for name in ("since", "through", "next", "epoch", "after", "until_seq"):
            value = getattr(self, name)
            if value is not None:
                pairs.append((name, str(value)))
        if self.limit != LOGS_PAGE_EVENTS_MAX:
            pairs.append(("limit", str(self.limit)))
        return _encode(pairs)


class DigestQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``/v1/digest``: a time range, and the ``seq`` up to which events count."""

    group: str | None = None
    filter: Filter = Filter()
    from_: int
    through: int
    epoch: str
    seq: int
    base: int = 0

    def encode(self) -> str:
        """Encode as a query string, without the leading question mark.

        Raises:
            WireError: a name contains a lone surrogate, which a query string cannot represent.
        """
        pairs = _filter_pairs(self.group, self.filter)
        pairs += [("from", str(self.from_)), ("through", str(self.through))]
        pairs += [("epoch", self.epoch), ("seq", str(self.seq))]
        if self.base:
            pairs.append(("base", str(self.base)))
        return _encode(pairs)


def parse_tail(query: str) -> TailQuery:
    """Parse the parameters of ``/v1/tail``.

    Raises:
        WireError: a parameter is malformed, repeated or contradicts another; the text names it.
    """
    parameters = _Parameters(query)
    held = parameters.text("held", 200)
    history = parameters.text("history", 10) or "newest"
    if history not in ("newest", "oldest"):
        msg = "history must be newest or oldest"
        raise WireError(msg)
    parsed = TailQuery(
        group=parameters.text("group", GROUP_CHARS_MAX),
        filter=parameters.filter(),
        since=parameters.number("since", TIMESTAMP_MAX),
        epoch=parameters.text("epoch", _EPOCH_CHARS_MAX),
        after=parameters.number("after", SEQ_MAX),
        held=None if held is None else parse_interval(held),
        history="oldest" if history == "oldest" else "newest",
        base=parameters.number("base", SEQ_MAX) or 0,
        credit=parameters.number("credit", SEQ_MAX),
    )
    if (parsed.epoch is None) != (parsed.after is None):
        msg = "epoch and after go together: give both or neither"
        raise WireError(msg)
    if parsed.epoch is not None and parsed.since is None:
        msg = "a cursor (epoch, after) needs since as well: pass the value it was issued for"
        raise WireError(msg)
    if parsed.held is not None and parsed.epoch is None:
        msg = "held needs a cursor (epoch, after)"
        raise WireError(msg)
    return parsed


def parse_logs(query: str) -> LogsQuery:
    """Parse the parameters of ``/v1/logs``.

    Raises:
        WireError: as for ``parse_tail``.
    """
    parameters = _Parameters(query)
    limit = parameters.number("limit", SEQ_MAX)
    if limit == 0:
        msg = "limit must be at least 1"
        raise WireError(msg)
    parsed = LogsQuery(
        group=parameters.text("group", GROUP_CHARS_MAX),
        filter=parameters.filter(),
        since=parameters.number("since", TIMESTAMP_MAX),
        through=parameters.number("through", TIMESTAMP_MAX),
        # A larger limit is no error: the client gets full pages and follows ``next``.
        limit=min(limit or LOGS_PAGE_EVENTS_MAX, LOGS_PAGE_EVENTS_MAX),
        next=parameters.text("next", 200),
        epoch=parameters.text("epoch", _EPOCH_CHARS_MAX),
        after=parameters.number("after", SEQ_MAX),
        until_seq=parameters.number("until_seq", SEQ_MAX),
    )
    if (parsed.epoch is None) != (parsed.after is None):
        msg = "epoch and after go together: give both or neither"
        raise WireError(msg)
    return parsed


def parse_digest(query: str) -> DigestQuery:
    """Parse the parameters of ``/v1/digest``.

    Raises:
        WireError: as for ``parse_tail``, or a required parameter is missing.
    """
    parameters = _Parameters(query)
    from_ = parameters.number("from", TIMESTAMP_MAX)
    through = parameters.number("through", TIMESTAMP_MAX)
    epoch = parameters.text("epoch", _EPOCH_CHARS_MAX)
    seq = parameters.number("seq", SEQ_MAX)
    if from_ is None or through is None or epoch is None or seq is None:
        msg = "from, through, epoch and seq are all needed"
        raise WireError(msg)
    return DigestQuery(
        group=parameters.text("group", GROUP_CHARS_MAX),
        filter=parameters.filter(),
        from_=from_,
        through=through,
        epoch=epoch,
        seq=seq,
        base=parameters.number("base", SEQ_MAX) or 0,
    )


def parse_feed(query: str) -> tuple[str | None, str]:
    """Parse the parameters of requests such as ``/v1/executions``: group and pattern.

    Without them they are None and empty.

    Raises:
        WireError: one of them is malformed or repeated.
    """
    parameters = _Parameters(query)
    return parameters.text("group", GROUP_CHARS_MAX), parameters.pattern()


def _filter_pairs(group: str | None, selected: Filter) -> list[tuple[str, str]]:
    pairs = [] if group is None else [("group", group)]
    pairs += [("stream", name) for name in selected.streams]
    pairs += [("execution", name) for name in selected.executions]
    pairs += [("prefix", name) for name in selected.prefixes]
    if selected.pattern:
        pairs.append(("pattern", selected.pattern))
    return pairs


def _encode(pairs: list[tuple[str, str]]) -> str:
    try:
        return urlencode(pairs)
    except UnicodeEncodeError as error:
        name = next(name for name, value in pairs if _has_surrogate(value))
        msg = f"{name} is not valid text: it contains half a surrogate pair"
        raise WireError(msg) from error


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in value)


class _Parameters:
    """The parameters of one query string, by name; a name that is never read is ignored.

    Its methods raise ``WireError`` for a value that is malformed or out of range.
    """

    def __init__(self, query: str) -> None:
        try:
            pairs = parse_qsl(
                query,
                keep_blank_values=True,
                strict_parsing=bool(query),
                errors="strict",
                max_num_fields=FILTERS_MAX + 20,
            )
        except ValueError as error:
            msg = f"malformed query: {ascii(str(error)[:100])[1:-1]}"
            raise WireError(msg) from error
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, chars_max: int) -> str | None:
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            msg = f"{name} is given {len(values)} times: give it once"
            raise WireError(msg)
        if not values[0] or len(values[0]) > chars_max:
            msg = f"{name} must have 1 to {chars_max} characters"
            raise WireError(msg)
        return values[0]

    def number(self, name: str, maximum: int) -> int | None:
        text = self.text(name, 20)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or int(text) > maximum:
            msg = f"{name} must be a whole number from 0 to {maximum}"
            raise WireError(msg)
        return int(text)

    def pattern(self) -> str:
        pattern = self.text("pattern", PATTERN_CHARS_MAX)
        if pattern is not None and not pattern.strip():
            msg = "pattern is blank: leave it out to get all events"
            raise WireError(msg)
        return pattern or ""

    def filter(self) -> Filter:
        lists = [tuple(self._values.get(name, ())) for name in ("stream", "execution", "prefix")]
        if sum(map(len, lists)) > FILTERS_MAX:
            msg = f"more than {FILTERS_MAX} streams, executions and prefixes in one request"
            raise WireError(msg)
        for name, values in zip(("stream", "execution", "prefix"), lists, strict=True):
            if any(not value or len(value) > NAME_CHARS_MAX for value in values):
                msg = f"{name} must have 1 to {NAME_CHARS_MAX} characters"
                raise WireError(msg)
        streams, executions, prefixes = lists
        return Filter(streams, executions, prefixes, self.pattern())
