"""Runs a forwarder from its configuration: journals, feeds, hubs and the server, until stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import re
import resource
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from errno import EADDRINUSE
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

import msgspec

from common.concurrency import in_thread
from common.hosts import is_loopback
from common.state import make_private_dir
from common.times import TimeFormatError, parse_duration
from common.tokens import OfferedToken
from forwarder.cloudwatch.clock import wall_clock
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import REFUSED_SOCKETS, RESERVED_DESCRIPTORS, Config, Limits
from forwarder.delivery.hub import Hub
from forwarder.errors import ConfigError, ForwarderError, JournalError, LifecycleError
from forwarder.groups.journals import (
    DESCRIPTORS_PER_FEED,
    SHARED_NAME,
    JournalFolder,
    Journals,
    SharedFile,
)
from forwarder.groups.keeper import SHUTTING_DOWN, Keeper, Opener, OpenFeed
from forwarder.groups.opening import FeedOpener
from forwarder.groups.served import ServedGroups
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.live.subscriptions import LivePaths
from forwarder.records import FeedKey
from forwarder.server.admission import Admission
from forwarder.server.api import TAIL_PATH, Api
from forwarder.server.server import Server
from forwarder.server.status import JournalSizes, StatusReport
from forwarder.server.tokens import BearerTokens, TokenFile, TokenGrant

_LOG: Final = logging.getLogger("gapless.forwarder")

DELETE_UNUSED_S: Final = 3_600.0
"""Interval between deletions of unused journals."""

REST_EVERY_S: Final = 0.5
"""Interval between looks for a journal to rest: of a hundred, all do within 80 s."""

_CLUSTER: Final = re.compile(r"(arn:[\w.:-]+/)?[\w-]{1,255}", re.ASCII)

_Job = Callable[[], Awaitable[None]]
"""A task beside the server; runs until it is cancelled or fails."""


class Ready(msgspec.Struct):
    """The line that ``forward`` prints once it accepts connections.

    ``epoch`` is the first log group's; empty as long as none is served.
    """

    websocket: str
    http: str
    epoch: str
    ready: bool = True
    token_file: str | None = None
    """File of the token that the forwarder made at its start; None if it made none."""


async def run(
    config: Config,
    ready: Callable[[Ready], None],
    stop: asyncio.Event,
    offered: OfferedToken | None = None,
) -> None:
    """Serve until ``stop`` is set, then close every connection and the journal in order.

    Args:
        config: what to serve, and where.
        ready: called once, as soon as connections are accepted.
        stop: set by the caller to end the forwarder.
        offered: token that clients need, which is offered to this user's commands; None: that of
            the configuration's token file, or none.

    Raises:
        ConfigError: the configuration can't work, or the port is taken.
        JournalError: the journal can't be opened, or can't be written any more.
        CloudWatchError: CloudWatch can't be read and the journal has nothing to serve instead.
    """
    token_file = None if config.token_file is None else TokenFile(config.token_file)
    tokens = None if token_file is None else token_file.tokens
    if offered is not None:
        tokens = BearerTokens([TokenGrant(offered.token)])
    _check_host(config.host, tokens)
    tls = _tls(config)
    lifecycle = None if config.lifecycle is None else lifecycle_of(config.lifecycle)
    async with AsyncExitStack() as stack:
        cloudwatch = _cloudwatch(config)
        stack.push_async_callback(cloudwatch.close)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        live = LivePaths(config.live, config.aws, cloudwatch)
        parts = await _parts(config, cloudwatch, live, lifecycle, stack)
        stack.callback(parts.opener.cancel_checks)
        keeper = _keeper(config, parts.opener.open, partial(_fail, failed))
        stack.push_async_callback(keeper.close)
        jobs = parts.begin(keeper)
        skip_check = parts.opener.skip_check
        groups = ServedGroups(config, keeper, cloudwatch, skip_check=skip_check)
        report = StatusReport(
            cloudwatch.calls, keeper, parts.sizes, asyncio.get_running_loop().time
        )
        clock = parts.clock or cloudwatch.skew.now_ms
        server = _server(config, groups, keeper, cloudwatch, tokens, report, clock)
        stack.push_async_callback(server.stop, SHUTTING_DOWN)
        with _explained_bind_errors(config):
            await server.bind(config.host.strip("[]"), config.port, tls)
        await groups.start()
        await live.check()
        jobs += [live.run, keeper.run, report.run, *_folder_jobs(config, groups, parts.sizes)]
        if not parts.follows:
            jobs += await _ecs_jobs(config, parts.opener.log_groups, stack)
        if token_file is not None:
            jobs.append(partial(token_file.run, server.tokens_changed))
        line = _ready(config, server.port, keeper.hubs)
        if offered is not None:
            # Before connections are accepted: a viewer that reconnects at once needs it.
            stack.callback(offered.withdraw)
            line.token_file = str(offered.publish(config.host, server.port))
        with _explained_bind_errors(config):
            await server.accept()
        ready(line)
        # What the start allocated lives as long as the process: spare the collector from it.
        gc.collect()
        gc.freeze()
        await _run_until_stopped(jobs, stop, failed)


def _cloudwatch(config: Config) -> CloudWatch:
    clock, calls = wall_clock(config.clock_skew), config.calls_per_second
    return CloudWatch(config.aws, clock=clock, calls_per_second=calls)


class _Opener(Protocol):
    """Opens feeds: those of log groups that are read here, or that are followed."""

    log_groups: list[LogGroup]

    async def open(self, key: FeedKey) -> OpenFeed:
        """Open a feed."""

    def skip_check(self, key: FeedKey) -> None:
        """Note that a feed's log group exists."""

    def cancel_checks(self) -> None:
        """Cancel what is still being checked."""


class _Parts(msgspec.Struct):
    """What depends on where the journal is, and on the forwarder's role."""

    opener: _Opener
    sizes: JournalSizes
    begin: Callable[[Keeper], list[_Job]] = lambda _: []
    """Returns the jobs of the keeper's feeds, once there is a keeper."""
    follows: bool = False
    """Whether other forwarders read the log groups."""
    clock: Callable[[], int] | None = None
    """ms since the Unix epoch; None: as CloudWatch's answers show."""


async def _parts(
    config: Config,
    cloudwatch: CloudWatch,
    live: LivePaths,
    lifecycle: Lifecycle | None,
    stack: AsyncExitStack,
) -> _Parts:
    """Open the journals, or connect to those that forwarders share.

    Raises:
        ForwarderError: they can't be used.
    """
    if config.replicated is None:
        journals = _open_journals(config, stack)
        return _Parts(FeedOpener(config, cloudwatch, journals, live, lifecycle), journals)
    # Only where there is a replicated journal: its driver is an extra.
    from forwarder.groups import replica  # noqa: PLC0415

    make_engine = replica.engine_maker(config)
    folder = replica.views_folder(config, lambda: _temporary_folder(stack))
    clock = cloudwatch.skew.now_ms
    if config.role == "serve":
        followed = await replica.serving_role(
            config, folder, make_engine, lifecycle=lifecycle, clock=clock, random=random.random
        )
        stack.callback(followed.close)
        jobs: list[_Job] = [followed.run]
        return _Parts(followed, followed, lambda _: jobs, follows=True, clock=followed.clock.now_ms)
    role = replica.IngestingRole(folder, make_engine, clock=clock, random=random.random)
    stack.callback(role.journals.close_all)
    opener = FeedOpener(
        config, cloudwatch, role.journals, live, lifecycle, prepare=role.journals.prepare
    )
    return _Parts(opener, role.journals, role.begin)


def lifecycle_of(text: str) -> Lifecycle:
    """Parse ``--lifecycle``: ``ecs:CLUSTER``, ``pattern:REGEX`` or ``idle:DURATION``.

    Raises:
        LifecycleError: the text is none of them, or its regular expression is invalid.
    """
    kind, _, rule = text.partition(":")
    if kind == "pattern" and rule:
        return Lifecycle.pattern(rule)
    if kind == "ecs" and _CLUSTER.fullmatch(rule) is not None:
        return Lifecycle.external(text)
    if kind == "idle":
        with suppress(TimeFormatError):
            return Lifecycle.idle(parse_duration(rule))
    msg = f"--lifecycle {text[:100]!r} is not ecs:CLUSTER, pattern:RE or idle:DURATION (idle:30s)"
    raise LifecycleError(msg)


def _keeper(
    config: Config, open_feed: Opener, on_alone: Callable[[ForwarderError], None]
) -> Keeper:
    """The keeper of all feeds; a forwarder of fixed log groups ends with the last of them.

    One of a replicated journal does not: what fails here is taken over by another, or again.
    """
    goes_on = config.is_dynamic or config.replicated is not None
    return Keeper(
        open_feed,
        feeds_max=config.groups_max,
        linger_s=config.linger_ms / 1000,
        now_s=asyncio.get_running_loop().time,
        random=random.random,
        on_alone=(lambda _: None) if goes_on else on_alone,
    )


def _server(
    config: Config,
    groups: ServedGroups,
    keeper: Keeper,
    cloudwatch: CloudWatch,
    tokens: BearerTokens | None,
    report: StatusReport,
    clock: Callable[[], int],
) -> Server:
    """The server of all log groups, with its limits; it does not listen yet."""
    descriptors = config.groups_max * DESCRIPTORS_PER_FEED if config.is_dynamic else 0
    admission = Admission(config.limits, sockets_max=_sockets_max(config.limits, descriptors))
    api = Api(
        keeper.hubs,
        tokens,
        may_serve=groups.may_serve,
        place=lambda: groups.place,
        status=report.status,
        refused=admission.refused,
        calls=cloudwatch.calls,
        skew=cloudwatch.skew,
    )
    api.serves_viewers = config.replicated is None or config.role == "serve"

    def on_error(hub: Hub | None, error: ForwarderError) -> None:
        if hub is not None:
            keeper.fail(hub, error)

    return Server(
        api,
        admission,
        clock=clock,
        on_error=on_error,
        groups=groups,
        allowed_hosts=config.allow_hosts,
    )


async def _ecs_jobs(config: Config, groups: list[LogGroup], stack: AsyncExitStack) -> list[_Job]:
    """The job that asks ECS which executions have ended; none for other lifecycles.

    Raises:
        ConfigError: the ECS cluster does not exist.
        CloudWatchError: ECS denies access.
    """
    kind, _, cluster = (config.lifecycle or "").partition(":")
    if kind != "ecs":
        return []
    from forwarder.reconcile.ecs import EcsWatcher  # noqa: PLC0415 - only where one is needed

    watcher = EcsWatcher(cluster, groups, config.aws)
    stack.push_async_callback(watcher.close)
    await watcher.open()
    return [watcher.run]


async def _run_until_stopped(
    jobs: Sequence[_Job], stop: asyncio.Event, failed: asyncio.Future[None]
) -> None:
    """Run the jobs until ``stop`` is set, a job fails, or ``failed`` has an error.

    Raises:
        ForwarderError: the error that ended the forwarder.
    """
    stopping = asyncio.create_task(stop.wait())
    running = [asyncio.ensure_future(job()) for job in jobs]
    waiting: list[asyncio.Future[None] | asyncio.Task[bool]] = [stopping, failed, *running]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in (stopping, *running):
            task.cancel()
        await asyncio.gather(stopping, *running, return_exceptions=True)
        failed.cancel()


def _fail(failed: asyncio.Future[None], error: ForwarderError) -> None:
    if not failed.done():
        failed.set_exception(error)


def _open_journals(config: Config, stack: AsyncExitStack) -> Journals:
    """One file for the log groups of the command line; a folder where they come and go."""
    path = config.journal
    if path is None:
        path = _temporary_folder(stack)
    journals: Journals
    if config.is_dynamic:
        journals = JournalFolder(path)
    else:
        if len(config.groups) > 1 or path.is_dir():
            path /= SHARED_NAME
        with suppress(OSError):  # opening the file reports the reason
            make_private_dir(path.parent)
        journals = SharedFile(path)
    stack.callback(journals.close_all)
    return journals


def _temporary_folder(stack: AsyncExitStack) -> Path:
    return Path(stack.enter_context(TemporaryDirectory(prefix="gapless-journal-")))


def _folder_jobs(config: Config, groups: ServedGroups, journals: JournalSizes) -> list[_Job]:
    """The jobs of a forwarder whose log groups come and go."""
    if not config.is_dynamic:
        return []
    if not isinstance(journals, JournalFolder):
        return [groups.follow]
    delete = partial(_delete_unused, journals, config.retain_ms)
    return [groups.follow, delete, partial(_let_rest, journals)]


async def _let_rest(journals: JournalFolder) -> None:
    """Free the memory of journals that are not used at present, again and again."""
    while True:
        await asyncio.sleep(REST_EVERY_S)
        try:
            journals.rest_one()
        except JournalError as error:  # its own log group fails at the next use
            _LOG.warning("%s", error)


async def _delete_unused(journals: JournalFolder, retain_ms: int) -> None:
    """Delete the journals that were not used for as long as messages are kept, again and again."""
    while True:
        freed = await in_thread(partial(journals.delete_unused, retain_ms / 1000))
        if freed:
            _LOG.warning("deleted journals unused for longer than --retain: %d bytes", freed)
        await asyncio.sleep(DELETE_UNUSED_S)


@contextmanager
def _explained_bind_errors(config: Config) -> Iterator[None]:
    """Turn an OSError of listening into one line that says what to change."""
    try:
        yield
    except OSError as error:
        where = f"port {config.port} of {config.host}"
        msg = f"can't listen on {where}: {error.strerror or error}"
        if error.errno == EADDRINUSE:
            msg = f"{where} is in use: give another --port, or 0 for any free one"
        raise ForwarderError(msg) from error


def _sockets_max(limits: Limits, descriptors: int) -> int:
    """The number of sockets that the server may open; raises the soft limit where it can.

    Some file descriptors stay reserved: without them neither the journal nor CloudWatch could
    be reached any more. ``descriptors`` are those that the journals may need besides.
    """
    reserved = REFUSED_SOCKETS + RESERVED_DESCRIPTORS + descriptors
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.sockets_max + reserved
    if soft < wanted and soft != resource.RLIM_INFINITY:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits.sockets_max
    return max(1, min(limits.sockets_max, soft - reserved))


def _check_host(host: str, tokens: BearerTokens | None) -> None:
    if not is_loopback(host) and tokens is None:
        msg = (
            f"--host {host[:100]} can be reached from other machines: "
            "give --token-file, or listen on 127.0.0.1"
        )
        raise ConfigError(msg)


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        msg = f"--tls-cert {config.tls_cert} and --tls-key {config.tls_key} can't be used: {error}"
        raise ConfigError(msg) from error
    return context


def _ready(config: Config, port: int, hubs: Mapping[FeedKey, Hub]) -> Ready:
    host = config.host.strip("[]")
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    secure = "s" if config.tls_cert is not None else ""
    return Ready(
        websocket=f"ws{secure}://{address}{TAIL_PATH}",
        http=f"http{secure}://{address}",
        epoch=next((hub.group.journal.epoch for hub in hubs.values()), ""),
    )
