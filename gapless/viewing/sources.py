"""Opens what the command line names: finds log groups, and the forwarders that serve them.

Log streams are listed by ``gapless streams --json`` processes, while a forwarder gets ready: the
AWS SDK is slow to import, and the viewer needs it for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from common.errors import GaplessError, UsageError
from common.http import HttpStatusError, request
from common.tokens import find_offered_token
from gapless.aws import AwsChoice
from gapless.targets.executions import CheckedFilter, StreamFilter, check_filter
from gapless.targets.grammar import ForwarderTarget, Target, parse_target, split_label
from gapless.targets.listing import ListError, ListProcess
from gapless.targets.reading import FoundGroup, find_groups
from gapless.viewing.model import WatchedTarget, forwarder_at


class TargetOpener:
    """Opens targets in the accounts and Regions of the command line.

    Args:
        choices: The accounts and Regions.
        meanwhile: Called while a forwarder that was started gets ready.
        waits_for_end: Whether the viewer ends with its executions.
        pattern: The filter pattern of every target; empty: all events.
        token: For forwarders that require a token; None: what they offer to this user.
    """

    def __init__(
        self,
        choices: Sequence[AwsChoice],
        meanwhile: Callable[[], None],
        *,
        waits_for_end: bool,
        pattern: str = "",
        token: str | None = None,
    ) -> None:
        self._choices = choices
        self._meanwhile = meanwhile
        self._waits_for_end = waits_for_end
        self._pattern = pattern
        self._token = token

    @property
    def choices(self) -> Sequence[AwsChoice]:
        """The accounts and Regions of the command line."""
        return self._choices

    def open_name(self, stack: ExitStack, text: str) -> tuple[WatchedTarget, ...]:
        """Open what a screen names, which begins with Region or profile where there are several.

        Raises:
            GaplessError: It matches nothing, or a forwarder cannot be started.
        """
        written, choices = split_label(text, self._choices)
        opened = self.open(stack, (parse_target(written),), choices)
        if written == text:
            return opened
        return tuple(msgspec.structs.replace(one, name=text) for one in opened)

    def open(
        self,
        stack: ExitStack,
        targets: Sequence[Target],
        choices: Sequence[AwsChoice] | None = None,
    ) -> tuple[WatchedTarget, ...]:
        """Open targets, with forwarders of their own where none is running.

        Args:
            stack: Keeps the forwarders running until it is closed.
            targets: What to open.
            choices: Where to look it up; None: everywhere.

        Raises:
            UsageError: CloudWatch refuses the filter pattern.
            GaplessError: A target matches nothing, or a forwarder cannot be started.
        """
        watched: dict[str, WatchedTarget] = {}
        for target in targets:
            if isinstance(target, ForwarderTarget):
                one = forwarder_at(target.url)
                if pattern := one.pattern or self._pattern:
                    check_pattern(one.url, target.http_url, pattern, self._token)
                watched.setdefault(one.key, one)
        for group in find_groups(targets, choices or self._choices):
            one = self._open_group(stack, group)
            watched.setdefault(one.key, one)
        return tuple(watched.values())

    def _open_group(self, stack: ExitStack, found: FoundGroup) -> WatchedTarget:
        from gapless.attach import attach  # noqa: PLC0415 - only for a log group

        own = stack.enter_context(attach(found.choice, self._meanwhile))
        own.keep_running()
        own.serve(found.identifier, self._pattern)
        return WatchedTarget(
            url=own.url,
            name=found.name,
            group=found.identifier,
            key=own.key(found.identifier),
            streams=found.streams or None,
            note=own.endless_notice(found.identifier, self._pattern) if self._waits_for_end else "",
        )


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
