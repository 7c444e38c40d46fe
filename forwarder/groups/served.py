"""The log groups that a forwarder serves: on request, by pattern, or as a file lists them.

A request for a log group that is not served yet starts its feed, if the forwarder may serve it.
Whether a client may ask at all is decided before, by its token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec

from common.files import StableFile, read_regular
from forwarder.cloudwatch.catalogue import GroupInfo, describe_log_groups
from forwarder.cloudwatch.missing import explain_missing
from forwarder.cloudwatch.reader import CloudWatch, is_arn
from forwarder.cluster.log import Fenced, Unknown
from forwarder.config import Config
from forwarder.delivery.hub import Hub
from forwarder.errors import (
    NOT_COVERED,
    AccessDeniedError,
    CloudWatchError,
    ConfigError,
    FilterPatternError,
    ForwarderError,
    GroupNotFoundError,
    JournalFullError,
    NotOwnedError,
    RequestError,
    TargetError,
)
from forwarder.groups.keeper import Keeper
from forwarder.groups.listing import GroupListing
from forwarder.records import FeedKey
from forwarder.targets import GroupTarget, account_of, common_prefix, parse_file, parse_target

_LOG: Final = logging.getLogger("gapless.forwarder")

ACQUIRE_S: Final = 6.0
"""How long a request waits for a feed to start."""

EXPLAIN_S: Final = 3.0
"""How long similar names of a missing log group are looked for. Both together are less than clients
wait for an answer (10 s)."""

FOLLOW_S: Final = 1.0
"""Interval between checks of the groups file and of the patterns, whose listings are shared."""

CHECKED_ALONE_MAX: Final = 5
"""Most log groups that are checked with a call each at the start; more are listed instead:
a listing of fifty costs one call, and the calls that read events are few."""

RETRY_S: Final = 2
"""``Retry-After`` of a request whose feed did not start."""

FILE_BYTES_MAX: Final = 1 << 20

REMOVED: Final = "the log group is not served here any more"


class ListedGroup(msgspec.Struct, frozen=True):
    """One log group in the answer to ``/v1/groups?match=``.

    Attributes:
        name: Its name.
        arn: Its ARN, by which one of a linked account is requested; None: unknown.
        created: When it was created, ms since the Unix epoch; None: unknown.
        served: Whether its feed runs here.
        group: The value of the parameter ``group`` for it.
    """

    name: str
    arn: str | None
    created: int | None
    served: bool
    group: str


class ServedGroups:
    """Decides which log groups are served, and has the keeper start and stop them."""

    def __init__(
        self,
        config: Config,
        keeper: Keeper,
        cloudwatch: CloudWatch,
        *,
        skip_check: Callable[[FeedKey], None],
    ) -> None:
        """Serve nothing yet.

        Args:
            config: What to serve: targets, groups file, and whether any log group.
            keeper: Starts and stops the feeds.
            cloudwatch: Where to list log groups.
            skip_check: Called with feeds whose log group was listed just now, so that it exists.

        Raises:
            ConfigError: the groups file can't be read.
        """
        self._fixed = tuple(dict.fromkeys(map(parse_target, config.groups)))
        self._any_group = config.any_group
        self._groups_max = config.groups_max
        self._waits = config.wait
        self._skip_check = skip_check
        self._shares = config.replicated is not None
        self._follows = config.replicated is not None and config.role == "serve"
        self._keeper = keeper
        self._cloudwatch = cloudwatch
        self._listing = GroupListing(self._list, asyncio.get_running_loop().time)
        self._account: str | None = None
        self._matched: dict[GroupTarget, frozenset[FeedKey]] = {}
        self._reported: set[str] = set()
        self._file = None if config.groups_file is None else StableFile(config.groups_file)
        self._of_file: tuple[GroupTarget, ...] = ()
        if self._file is not None:
            self._read_file(self._file.path)

    @property
    def hubs(self) -> Mapping[FeedKey, Hub]:
        """The hubs of the running feeds."""
        return self._keeper.hubs

    @property
    def place(self) -> str:
        """Region and account, for messages."""
        return self._cloudwatch.place.text

    @property
    def listing_calls(self) -> int:
        """Pages of log groups asked for, for the metrics."""
        return self._listing.calls

    # On request

    def may_serve(self, group: str) -> bool:
        """Whether a log group is or may be served here; makes no call."""
        try:
            target = parse_target(group)
        except TargetError:
            return False
        if target.is_pattern:
            return False
        return self._any_group or any(one.covers(target, self._account) for one in self._targets)

    async def acquire(self, key: FeedKey, is_covered: Callable[[str], bool]) -> Hub:
        """Return the hub of a feed whose log group may be served; starts the feed if needed.

        Args:
            key: The feed; its log group may be an ARN.
            is_covered: Whether the client may read a log group.

        Raises:
            RequestError: the log group does not exist (404), CloudWatch refuses the pattern (400),
                the client may not read it (403), or the feed can't be started (503).
        """
        target = parse_target(key.group)
        try:
            async with asyncio.timeout(ACQUIRE_S):
                found = await self._resolve(target)
                if not is_covered(found.group):
                    raise RequestError(HTTPStatus.FORBIDDEN, NOT_COVERED)
                return await self._keeper.acquire(FeedKey(found.group, key.pattern))
        except GroupNotFoundError as error:
            explained = await self._explain(error)
            status = HTTPStatus.NOT_FOUND
            raise RequestError(status, str(explained), code=error.code) from error
        except FilterPatternError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except TimeoutError as error:
            text = (
                f"log group {key.group[:100]!a} can't be read yet: CloudWatch Logs does not answer"
            )
            raise RequestError(
                HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S, code="unreachable"
            ) from error
        except ForwarderError as error:
            raise _unavailable(error) from error

    async def _explain(self, error: GroupNotFoundError) -> GroupNotFoundError:
        """Add Region, account and similar names, unless that takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EXPLAIN_S):
                return await explain_missing(self._cloudwatch, error)
        return error

    async def match(self, patterns: Iterable[str]) -> list[ListedGroup]:
        """List the log groups that match any of the patterns and may be served, by name.

        Raises:
            RequestError: a pattern is none (400), or the log groups can't be listed (503).
        """
        found: dict[FeedKey, ListedGroup] = {}
        try:
            for target in [parse_target(one) for one in patterns]:
                for key, info in await self._infos(target):
                    if self.may_serve(key.group):
                        arn, is_served = info.arn or None, key in self.hubs
                        found[key] = ListedGroup(info.name, arn, info.created, is_served, key.group)
        except TargetError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except ForwarderError as error:
            raise _unavailable(error) from error
        return [found[key] for key in sorted(found)]

    async def _infos(self, target: GroupTarget) -> list[tuple[FeedKey, GroupInfo]]:
        if self._any_group or any(one.is_pattern for one in self._targets):
            infos = await self._listing.match(target)
            found = [(await self._key_of(info), info) for info in infos]
            # Clients request what they were told of. One call shows whether events may be read.
            for key, _ in found[1:]:
                if key not in self.hubs:
                    self._skip_check(key)
            return found
        # The log groups are known: the others of the account are none of the client's business.
        return [
            (key, GroupInfo(key.group, None, None, None))
            for key in sorted(self._keeper.pinned)
            if target.matches(key.group)
        ]

    # Names and ARNs

    @property
    def _targets(self) -> tuple[GroupTarget, ...]:
        return self._fixed + self._of_file

    async def _resolve(self, target: GroupTarget) -> FeedKey:
        """Return the feed of one log group, which an ARN of the own account names by its name.

        Raises:
            GroupNotFoundError: the ARN is of another Region, or may not be served.
            CloudWatchError: the own account can't be found out.
        """
        if not target.account:
            return FeedKey(target.name)
        await self._learn_account()
        region = self._cloudwatch.place.region
        if region and target.region != region:
            msg = f"log group {target} is in {target.region}, but this forwarder reads {self.place}"
            raise GroupNotFoundError(msg)
        if not self.may_serve(str(target)):
            msg = f"log group {target} is not served here, in {self.place}"
            raise GroupNotFoundError(msg)
        return FeedKey(target.name if target.account == self._account else str(target))

    async def _key_of(self, info: GroupInfo) -> FeedKey:
        if not info.arn:
            return FeedKey(info.name)
        await self._learn_account()
        return FeedKey(info.name if account_of(info.arn) == self._account else info.arn)

    async def _learn_account(self) -> None:
        """Find out the own account, from any log group's ARN, else from AWS STS."""
        if self._account is None:
            answer = await self._cloudwatch.call(lambda client: client.describe_log_groups(limit=1))
            for one in answer.get("logGroups") or ():
                self._cloudwatch.note_account(one.get("arn") or "")
            place = self._cloudwatch.place
            if not place.account:
                place = await self._cloudwatch.find_place()
            self._account = place.account or None

    async def _list(self, target: GroupTarget, on_page: Callable[[], None]) -> list[GroupInfo]:
        account = None
        if target.account:
            await self._learn_account()
            account = None if target.account == self._account else target.account
        found = await describe_log_groups(
            self._cloudwatch,
            target.longest_part if not target.prefix else None,
            prefix=target.prefix or None,
            account=account,
            on_page=on_page,
        )
        return [one for one in found if target.matches(one.name)]

    # At the start

    async def start(self) -> None:
        """Start what the targets name; with ``--wait``, log groups may come later.

        Raises:
            ForwarderError: a log group of the command line can't be served.
        """
        if self._any_group:
            await self._cloudwatch.open()
        named = [one for one in self._fixed if not one.is_pattern]
        keys = [await self._resolve(one) for one in named]
        for key in keys:
            self._keeper.pin(key)
        if self._follows:
            # Their owners may have to come first: the keeper starts each as soon as it can.
            await self._match_fixed()
            return
        await self._check_together(keys)
        results = await asyncio.gather(
            *(self._keeper.acquire(key) for key in keys), return_exceptions=True
        )
        for result in results:
            if isinstance(result, GroupNotFoundError):
                if not self._waits:
                    raise await explain_missing(self._cloudwatch, result) from result
            elif isinstance(result, NotOwnedError) or self._is_passing(result):
                continue
            elif isinstance(result, BaseException):
                raise result
        await self._match_fixed()

    def _is_passing(self, result: Hub | BaseException) -> bool:
        """Whether an error ends by itself: the shared journal's engine is away or fails over."""
        return self._shares and isinstance(result, JournalFullError | Fenced | Unknown)

    async def _match_fixed(self) -> None:
        for target in self._fixed:
            if target.is_pattern:
                await self._match_target(target)
        await self._apply()

    async def _check_together(self, keys: Sequence[FeedKey]) -> None:
        """Look up many log groups with few calls; those that are found need no call each."""
        names = {key.group for key in keys if not is_arn(key.group)}
        if len(names) <= CHECKED_ALONE_MAX:
            return
        try:
            found = await describe_log_groups(self._cloudwatch, prefix=common_prefix(names) or None)
        except AccessDeniedError:  # listing needs a permission of its own
            return
        listed = sorted(names & {one.name for one in found})
        for name in listed[1:]:  # one call shows whether events may be read
            self._skip_check(FeedKey(name))

    # As time goes by

    async def follow(self) -> None:
        """Follow the groups file and the patterns until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            if self._file is not None and self._file.has_changed():
                try:
                    self._read_file(self._file.path)
                except ConfigError as error:
                    _LOG.warning("%s (its former targets stay)", error)
            await self._apply()

    def _read_file(self, path: Path) -> None:
        try:
            data = read_regular(path, FILE_BYTES_MAX + 1)
            if len(data) > FILE_BYTES_MAX:
                msg = f"--groups-file {path} is larger than {FILE_BYTES_MAX} bytes: use patterns"
                raise ConfigError(msg)
            parsed = parse_file(data.decode("utf-8"), f"--groups-file {path}")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            msg = f"--groups-file {path} can't be read ({why}): name a file with a log group a line"
            raise ConfigError(msg) from error
        for problem in parsed.problems:
            _LOG.warning("%s", problem)
        self._of_file = parsed.targets

    async def _apply(self) -> None:
        """Pin what the targets stand for now, and let go of the rest."""
        keys: dict[FeedKey, None] = {}
        for target in self._targets:
            try:
                if target.is_pattern:
                    keys |= dict.fromkeys(sorted(await self._match_target(target)))
                else:
                    keys[await self._resolve(target)] = None
            except ForwarderError as error:
                self._report(f"{target}: {error}")
                keys |= dict.fromkeys(sorted(self._matched.get(target, ())))
        self._matched = {one: self._matched[one] for one in self._targets if one in self._matched}
        if len(keys) > self._groups_max:
            self._report(
                f"{len(keys)} log groups match: the first {self._groups_max} are served; "
                "give a larger --max-groups, or narrower patterns"
            )
        wanted = list(keys)[: self._groups_max]
        # Those with a filter pattern are pinned for viewers of other processes.
        pinned = {key for key in self._keeper.pinned if not key.pattern}
        for key in pinned - set(wanted):
            self._keeper.unpin(key)
            if not self.may_serve(key.group):
                self._keeper.stop(key, REMOVED)
        for key in wanted:
            self._keeper.pin(key)

    async def _match_target(self, target: GroupTarget) -> frozenset[FeedKey]:
        infos = await self._listing.match(target)
        keys = [await self._key_of(one) for one in infos]
        for key in keys:
            if key not in self._keeper.pinned and key not in self.hubs:
                self._skip_check(key)
        self._matched[target] = frozenset(keys)
        return self._matched[target]

    def _report(self, text: str) -> None:
        """Log a problem once, however often it is met."""
        if text not in self._reported:
            _LOG.warning("%s", text)
            self._reported.add(text)


def _unavailable(error: ForwarderError) -> RequestError:
    code = error.code if isinstance(error, CloudWatchError) else None
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return RequestError(status, str(error), retry_after_s=RETRY_S, code=code)
