"""Opens what the command line names: finds log groups, and the forwarders that serve them.

Log streams are listed by ``gapless streams --json`` processes, while a forwarder gets ready: the
AWS SDK is slow to import, and the viewer needs it for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from common.errors import CannotConnectError, GaplessError, UsageError
from common.http import HttpStatusError, request
from common.tokens import find_offered_token
from gapless.aws import AwsChoice, prepare_credentials
from gapless.targets.executions import CheckedFilter, StreamFilter, check_filter
from gapless.targets.grammar import (
    ForwarderTarget,
    GroupTarget,
    PatternTarget,
    SourcedTarget,
    Target,
    parse_target,
    split_label,
)
from gapless.targets.listing import ListError, ListProcess
from gapless.targets.reading import find_groups, sources_of
from gapless.viewing.model import WatchedPattern, WatchedTarget, forwarder_at, own_target

if TYPE_CHECKING:
    from gapless.forwarders.attach import OwnForwarder


class Opened(NamedTuple):
    """What targets were opened as."""

    targets: tuple[WatchedTarget, ...]
    patterns: tuple[WatchedPattern, ...]
    notice: str = ""
    """Which targets match nothing in an account or Region while others are watched."""


class TargetOpener:
    """Opens targets in the accounts and Regions of the command line.

    Args:
        choices: The accounts and Regions.
        meanwhile: Called while a forwarder that was started gets ready.
        waits_for_end: Whether the viewer ends with its executions.
        follows: Whether log groups may join that are created later.
        waits: Whether to wait for log groups that do not exist yet.
        pattern: The filter pattern of every target; empty: all events.
        token: For forwarders that require a token; None: what they offer to this user.
        calls_per_second: Most calls of a forwarder that is started; None: as set for ``forward``.
    """

    def __init__(
        self,
        choices: Sequence[AwsChoice],
        meanwhile: Callable[[], None],
        *,
        waits_for_end: bool = False,
        follows: bool = True,
        waits: bool = False,
        pattern: str = "",
        token: str | None = None,
        calls_per_second: float | None = None,
    ) -> None:
        self._choices = choices
        self._calls_per_second = calls_per_second
        self._meanwhile = meanwhile
        self._waits_for_end = waits_for_end
        self._follows = follows
        self._waits = waits
        self._pattern = pattern
        self._token = token

    @property
    def choices(self) -> Sequence[AwsChoice]:
        """The accounts and Regions of the command line."""
        return self._choices

    def open_name(self, stack: ExitStack, text: str) -> Opened:
        """Open what a screen names, which begins with Region or profile where there are several.

        Raises:
            GaplessError: It matches nothing, or a forwarder cannot be started.
        """
        written, choices = split_label(text, self._choices)
        opened = self.open(stack, (parse_target(written),), choices)
        if written == text:
            return opened
        named = (msgspec.structs.replace(one, name=text) for one in opened.targets)
        return Opened(tuple(named), opened.patterns, opened.notice)

    def open(
        self,
        stack: ExitStack,
        targets: Sequence[Target],
        choices: Sequence[AwsChoice] | None = None,
    ) -> Opened:
        """Open targets, with background forwarders where none is running.

        Args:
            stack: Keeps the forwarders running until it is closed.
            targets: What to open.
            choices: Where to look it up; None: everywhere.

        Raises:
            GaplessError: A target matches nothing, or a forwarder cannot be started.
            UsageError: CloudWatch refuses the filter pattern.
        """
        choices = choices or self._choices
        forwarders: dict[AwsChoice, OwnForwarder] = {}
        watched: dict[str, WatchedTarget] = {}
        patterns: list[WatchedPattern] = []
        matched: set[Target] = set()
        unmatched: list[SourcedTarget] = []
        for source in sources_of(targets, choices):
            if isinstance(source.target, ForwarderTarget):
                at = forwarder_at(source.target.url)
                if pattern := at.pattern or self._pattern:
                    check_pattern(at.url, source.target.http_url, pattern, self._token)
                watched.setdefault(at.key, at)
                continue
            assert source.choice is not None, "only a forwarder has no account"
            own = forwarders.get(source.choice)
            if own is None:
                own = forwarders[source.choice] = self._attach(stack, source.choice)
            found = self._find(own, source, source.choice)
            for one in found:
                watched.setdefault(one.key, one)
            if found:
                matched.add(source.target)
            else:
                unmatched.append(source)
            if self._may_join(source.target, found):
                patterns.append(_pattern_of(own, source, source.choice, found))
        if not self._waits:
            self._check_matched(targets, matched, choices)
        # Where nothing is watched yet, the viewer itself says for what it waits.
        notices = self._unmatched_notices(unmatched) if watched else ()
        return Opened(tuple(watched.values()), tuple(patterns), " · ".join(notices))

    def _unmatched_notices(self, unmatched: Iterable[SourcedTarget]) -> Iterable[str]:
        """Return a message for each target that matches nothing in some accounts or Regions."""
        places: dict[Target, list[str]] = {}
        for one in unmatched:
            places.setdefault(one.target, []).append(one.label)
        for target, labels in places.items():
            joins = self._may_join(target, ())
            yield unmatched_notice(target, labels, joins=joins, follows=self._follows)

    def _attach(self, stack: ExitStack, choice: AwsChoice) -> OwnForwarder:
        from gapless.forwarders.attach import attach  # noqa: PLC0415 - only for a log group

        prepare_credentials(choice)
        calls = self._calls_per_second
        own = stack.enter_context(attach(choice, self._meanwhile, calls_per_second=calls))
        own.keep_running()
        return own

    def _find(
        self, own: OwnForwarder, source: SourcedTarget, choice: AwsChoice
    ) -> list[WatchedTarget]:
        """Return the log groups of a target in one account and Region."""
        target = source.target
        assert not isinstance(target, ForwarderTarget), "forwarders are found by their URL"
        streams = source.streams or None
        is_name = isinstance(target, GroupTarget) and target.arn is None
        if is_name and not source.label and not self._waits:
            own.serve(target.identifier, self._pattern)
            listed = [{"name": target.identifier, "group": target.identifier}]
        else:
            url = f"{own.http_url}/v1/groups?match={quote(target.identifier, safe='')}"
            try:
                listed = request(url, token=own.token())
            except HttpStatusError as error:
                raise CannotConnectError(error.detail or str(error)) from error
            if self._pattern and listed:
                own.serve(str(listed[0]["group"]), self._pattern)  # CloudWatch may refuse it
        return [
            own_target(
                own.url,
                choice,
                source.label,
                name=str(one["name"]),
                group=str(one["group"]),
                arn=one.get("arn"),
                streams=streams,
                note=self._note(own, str(one["name"])),
            )
            for one in listed
        ]

    def _note(self, own: OwnForwarder, name: str) -> str:
        return own.endless_notice(name, self._pattern) if self._waits_for_end else ""

    def _may_join(self, target: Target, found: Sequence[WatchedTarget]) -> bool:
        if isinstance(target, PatternTarget):
            return self._follows or (self._waits and not found)
        return self._waits and not found

    def _check_matched(
        self, targets: Sequence[Target], matched: set[Target], choices: Sequence[AwsChoice]
    ) -> None:
        """Check that each target matches something somewhere.

        Raises:
            CannotConnectError: One does not; the text says where, with similar names.
        """
        wanted = (one for one in targets if not isinstance(one, ForwarderTarget))
        for one in wanted:
            has_stream = isinstance(one, GroupTarget) and one.stream is not None
            whole = msgspec.structs.replace(one, stream=None) if has_stream else one
            if whole not in matched:
                find_groups([whole], choices)  # explains it; or else it was just created


def _pattern_of(
    own: OwnForwarder, source: SourcedTarget, choice: AwsChoice, found: Sequence[WatchedTarget]
) -> WatchedPattern:
    assert not isinstance(source.target, ForwarderTarget), "a forwarder is no pattern"
    return WatchedPattern(
        url=own.url,
        patterns=(source.target.identifier,),
        choice=choice,
        label=source.label,
        known=tuple(one.group for one in found if one.group is not None),
        streams=source.streams or None,
    )


def unmatched_notice(target: Target, labels: Sequence[str], *, joins: bool, follows: bool) -> str:
    """Return the message that a target matches nothing in these places, and what follows from it.

    Args:
        target: A log group or pattern.
        labels: The accounts and Regions; an empty one where there is only one.
        joins: Whether a log group joins that is created there later.
        follows: Whether the viewer stays, so that one could join.
    """
    assert not isinstance(target, ForwarderTarget), "a forwarder is no pattern"
    named = [one for one in labels if one]
    where = f" in {' or '.join(named)}" if named else ""
    head = f"no log group{where} matches {target.identifier!r}"
    if joins:
        return f"{head} yet: waiting for it, and watching the others"
    if follows:
        return f"{head}: watching the others; --wait waits for it"
    return f"{head}: check --region and --profile"


def check_pattern(url: str, http_url: str, pattern: str, token: str | None) -> None:
    """Have a forwarder judge a filter pattern before the screen starts.

    Whatever else is wrong, the viewer reports.

    Raises:
        UsageError: CloudWatch refuses it.
    """
    query = urlencode([*parse_qsl(urlsplit(url).query), ("pattern", pattern)])
    try:
        request(f"{http_url}/v1/executions?{query}", token=token or find_offered_token(url))
    except HttpStatusError as error:
        if error.status == HTTPStatus.BAD_REQUEST:
            raise UsageError(error.detail or str(error)) from error
    except GaplessError:
        pass


LIST_WITHIN_S: Final = 15.0
"""Longest wait for the list of log streams; then the options are taken as they are."""


class StreamLists:
    """The log streams of targets, listed by processes that run until the end of a block.

    Args:
        stack: Ends the processes that still run.
        targets: The arguments.
        choices: The accounts and Regions.
        token_file: For forwarders that require a token.
    """

    def __init__(
        self,
        stack: ExitStack,
        targets: Sequence[Target],
        choices: Sequence[AwsChoice],
        token_file: Path | None,
    ) -> None:
        """Start to list the log streams."""
        self._names = [
            one.url if isinstance(one, ForwarderTarget) else one.identifier for one in targets
        ]
        self._has_forwarders = any(isinstance(one, ForwarderTarget) for one in targets)
        self._lists: list[ListProcess] = []
        options = [
            *(("--profile", one) for one in dict.fromkeys(each.profile for each in choices) if one),
            *(("--region", one) for one in dict.fromkeys(each.region for each in choices) if one),
        ]
        endpoint = choices[0].endpoint_url
        options += [("--endpoint-url", endpoint)] if endpoint else []
        token = [("--token-file", str(token_file))] if token_file is not None else []
        for target, name in zip(targets, self._names, strict=True):
            is_forwarder = isinstance(target, ForwarderTarget)
            words = [word for pair in (token if is_forwarder else options) for word in pair]
            command = "executions" if is_forwarder else "streams"
            process = ListProcess(command, name, "--json", *words)
            self._lists.append(stack.enter_context(process))

    def check(self, given: StreamFilter) -> CheckedFilter:
        """Wait for the lists and check a filter with them.

        Raises:
            UsageError: The id of an execution is ambiguous.
        """
        streams: set[str] = set()
        try:
            for one in self._lists:
                rows = one.rows(LIST_WITHIN_S)
                streams |= {str(row["stream"]) for row in rows if row.get("stream")}
        except ListError as error:
            problem = f"cannot check the filters: the log streams cannot be listed: {error}"
            return CheckedFilter(given, (problem,), is_known=False)
        found = check_filter(given, streams, ", ".join(self._names))
        if not self._has_forwarders:
            return found
        # A forwarder lists what it has read so far; there may be more in the past.
        return CheckedFilter(found.filter, (), is_known=False)
