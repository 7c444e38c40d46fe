"""Answers FilterLogEvents, GetLogEvents and DescribeLogStreams."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from simulator.cloudwatch.levers import Call, Rack, StoredEvent
from simulator.cloudwatch.logs import (
    KEY_BITS,
    KEY_END,
    Event,
    GroupStore,
    Logs,
    StreamStore,
    TokenError,
    first_key,
)
from simulator.cloudwatch.parameters import collect, group_of, invalid, matcher, not_found

DESCENDING_FROM_MS: Final = 1_704_067_200_000
"""FilterLogEvents reads backwards only in ranges that start in 2024 or later."""

STREAMS_PER_PAGE: Final = 50

_POSITION: Final = re.compile(r"([fb])/([0-9]{56})/([0-9]{1,20})")

FindGroup = Callable[[str, str, str], GroupStore | None]
"""Finds a log group by Region, name and account (empty: our own)."""

ListGroups = Callable[[str, str, Collection[str] | None], list[dict[str, Any]]]
"""Describes the log groups of linked accounts by Region, prefix and accounts (None: all)."""

GROUPS_PER_PAGE: Final = 50


class Reading:
    """Answers the calls that read; each holds the storage's lock while it searches."""

    def __init__(
        self, logs: Logs, rack: Rack, find_group: FindGroup, list_groups: ListGroups
    ) -> None:
        """``rack`` holds the levers, which may hide events."""
        self._logs = logs
        self._rack = rack
        self._find_group = find_group
        self._list_groups = list_groups

    def filter_log_events(self, call: Call) -> dict[str, Any]:
        """One page of the merged log streams; both ends of the range are inclusive.

        Raises:
            AwsRefusal: AWS would refuse the request.
        """
        asked = call.parameters
        start_ms, end_ms = asked.get("startTime") or 0, asked.get("endTime")
        low, high = first_key(start_ms), KEY_END if end_ms is None else first_key(end_ms + 1)
        request, token = _fingerprint(asked), asked.get("nextToken")
        descending = asked.get("startFromHead") is False
        if token is not None:
            position = self._position(request, token, call.now_ms)
            descending = position[0] == "d"
            if descending:
                high = min(high, int(position[1:]))
            else:
                low = max(low, int(position[1:]) + 1)
        elif descending and start_ms < DESCENDING_FROM_MS:
            msg = "startFromHead can be false only if startTime is on or after January 1, 2024."
            raise invalid(msg)
        with self._logs.lock:
            store = self._store(call)
            streams = _selected(store, asked)
            found = store.read(streams, low, high, descending=descending)
            page = collect(found, _page_limit(call), self._predicate(call))
        answer: dict[str, Any] = {
            "events": list(map(_to_json, self._returned(page.events))),
            "searchedLogStreams": [],
        }
        if page.may_be_more or call.events_max == 0:
            begin = high if descending else low - 1
            after = begin if page.position is None else page.position
            position = f"{'d' if descending else 'a'}{after}"
            answer["nextToken"] = self._logs.tokens.issue(request, position, call.now_ms)
        return answer

    def get_log_events(self, call: Call) -> dict[str, Any]:
        """One page of a log stream, ascending; the end of the range is exclusive.

        Tokens contain the key to continue from. If nothing follows, the same token is returned.

        Raises:
            AwsRefusal: AWS would refuse the request.
        """
        asked = call.parameters
        end_ms = asked.get("endTime")
        low = first_key(asked.get("startTime") or 0)
        high = KEY_END if end_ms is None else first_key(end_ms)
        token = asked.get("nextToken")
        forward = bool(asked.get("startFromHead"))
        before, after = low, low - 1
        if token is not None:
            forward, key = self._parse_position(token, call.now_ms)
            before, after = (key + 1, key) if forward else (key, key - 1)
            low, high = (max(low, key + 1), high) if forward else (low, min(high, key))
        name = asked["logStreamName"]
        with self._logs.lock:
            store = self._store(call)
            if name not in store.streams:
                what = "log stream"
                raise not_found(what)
            found = store.read([name], low, high, descending=not forward)
            page = collect(found, _page_limit(call), self._predicate(call))
        events = page.events if forward else page.events[::-1]
        if events:
            before, after = events[0][0], events[-1][0]
        if page.position is not None:
            before, after = (before, page.position) if forward else (page.position, after)
        tokens = {
            "nextForwardToken": f"f/{after + 1:056d}/{call.now_ms}",
            "nextBackwardToken": f"b/{before + 1:056d}/{call.now_ms}",
        }
        is_over = not (page.events or page.may_be_more or call.events_max == 0)
        if token is not None and is_over:
            tokens["nextForwardToken" if forward else "nextBackwardToken"] = token
        listed = [
            {
                "timestamp": one.timestamp,
                "message": one.message,
                "ingestionTime": one.ingested_ms,
            }
            for one in self._returned(events)
        ]
        return {"events": listed, **tokens}

    def describe_log_streams(self, call: Call) -> dict[str, Any]:
        """One page of log streams; their times may be out of date.

        Raises:
            AwsRefusal: AWS would refuse the request.
        """
        asked = call.parameters
        prefix = asked.get("logStreamNamePrefix") or ""
        by_time = asked.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            msg = "Cannot order by LastEventTime with a logStreamNamePrefix."
            raise invalid(msg)
        descending, request = bool(asked.get("descending")), _fingerprint(asked)
        token, last = asked.get("nextToken"), None
        if token is not None:
            when, _, name = self._position(request, token, call.now_ms).partition(".")
            last = (int(when), name)
        with self._logs.lock:
            streams = self._store(call).streams
            lag_ms = self._logs.stream_times_lag_ms
            places = sorted(
                (
                    ((one.times(call.now_ms, lag_ms).last_ms or 0) if by_time else 0, name)
                    for name, one in streams.items()
                    if name.startswith(prefix)
                ),
                reverse=descending,
            )
            if last is not None:
                places = [one for one in places if (one < last if descending else one > last)]
            limit = asked.get("limit") or STREAMS_PER_PAGE
            shown = places[:limit]
            listed = [_describe(name, streams[name], call.now_ms, lag_ms) for _, name in shown]
        answer: dict[str, Any] = {"logStreams": listed}
        if len(places) > limit:
            position = f"{shown[-1][0]}.{shown[-1][1]}"
            answer["nextToken"] = self._logs.tokens.issue(request, position, call.now_ms)
        return answer

    def describe_linked_groups(self, call: Call) -> dict[str, Any]:
        """One page of the log groups of our own account and of linked ones, by name.

        Raises:
            AwsRefusal: AWS would refuse the request.
        """
        asked = call.parameters
        request, token = _fingerprint(asked), asked.get("nextToken")
        begun = 0 if token is None else int(self._position(request, token, call.now_ms))
        prefix, part = asked.get("logGroupNamePrefix") or "", asked.get("logGroupNamePattern") or ""
        with self._logs.lock:
            groups = self._list_groups(call.region, prefix, asked.get("accountIdentifiers"))
        groups = [one for one in groups if part in one["logGroupName"]]
        end = begun + (asked.get("limit") or GROUPS_PER_PAGE)
        answer: dict[str, Any] = {"logGroups": groups[begun:end]}
        if end < len(groups):
            answer["nextToken"] = self._logs.tokens.issue(request, str(end), call.now_ms)
        return answer

    def _store(self, call: Call) -> GroupStore:
        store = self._find_group(call.region, *group_of(call.parameters))
        if store is None:
            what = "log group"
            raise not_found(what)
        self._logs.reveal(call.now_ms)
        store.apply_retention(call.now_ms)
        return store

    def _predicate(self, call: Call) -> Callable[[Event], bool] | None:
        matches = matcher(call.parameters.get("filterPattern") or "")
        if not self._rack.may_hide:
            return None if matches is None else lambda event: matches(event[3])

        def shows(event: Event) -> bool:
            if matches is not None and not matches(event[3]):
                return False
            return not self._rack.hides(self._stored(event), call.now_ms)

        return shows

    def _stored(self, event: Event) -> StoredEvent:
        key, ingested_ms, stream, message = event
        return StoredEvent(self._logs.ids.of(key), stream, key >> KEY_BITS, message, ingested_ms)

    def _returned(self, events: Iterable[Event]) -> list[StoredEvent]:
        stored = list(map(self._stored, events))
        return self._rack.returned(stored) if self._rack.may_change else stored

    def _position(self, request: str, token: str, now_ms: int) -> str:
        try:
            return self._logs.tokens.read(request, token, now_ms)
        except TokenError as error:
            msg = "The specified nextToken is invalid."
            raise invalid(msg) from error

    def _parse_position(self, token: str, now_ms: int) -> tuple[bool, int]:
        found = _POSITION.fullmatch(token)
        if found is None or self._logs.tokens.is_expired(int(found[3]), now_ms):
            msg = "The specified nextToken is invalid."
            raise invalid(msg)
        return found[1] == "f", int(found[2]) - 1


def _to_json(event: StoredEvent) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": event.id,
    }


def _selected(store: GroupStore, asked: dict[str, Any]) -> Collection[str] | None:
    names, prefix = asked.get("logStreamNames"), asked.get("logStreamNamePrefix")
    if names is not None and prefix is not None:
        msg = "Only one of logStreamNames and logStreamNamePrefix can be given."
        raise invalid(msg)
    if prefix is not None:
        return [name for name in store.streams if name.startswith(prefix)]
    if names is None:
        return None
    if any(name not in store.streams for name in names):
        what = "log stream"
        raise not_found(what)
    return set(names)


def _page_limit(call: Call) -> int:
    limit = call.parameters.get("limit")
    return call.events_max if limit is None else min(call.events_max, int(limit))


def _fingerprint(asked: dict[str, Any]) -> str:
    """The parameters that a token is bound to; the direction is part of the token."""
    free = {"nextToken", "limit", "startFromHead", "interleaved", "unmask"}
    kept: Iterable[tuple[str, Any]] = sorted(
        (name, sorted(value) if isinstance(value, list) else value)
        for name, value in asked.items()
        if name not in free and value is not None
    )
    return json.dumps(list(kept))


def _describe(name: str, stream: StreamStore, now_ms: int, lag_ms: int) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "arn": stream.arn,
        "creationTime": stream.created_ms,
        "logStreamName": name,
        "storedBytes": 0,  # always 0 on AWS since 2019
    }
    times = stream.times(now_ms, lag_ms)
    if times.last_ms is not None:
        listed["firstEventTimestamp"] = times.first_ms
        listed["lastEventTimestamp"] = times.last_ms
        listed["lastIngestionTime"] = times.ingestion_ms
    return listed
