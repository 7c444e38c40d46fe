"""Runs a forwarder from its settings: journal, feeds, hubs and server, and their orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import resource
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from errno import EADDRINUSE
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from forwarder.cloudwatch.clock import clock_of, held_back, timer_ms
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import REFUSED_SOCKETS, RESERVED_DESCRIPTORS, Config, Limits
from forwarder.delivery.hub import Hub
from forwarder.errors import (
    ConfigError,
    ForwarderError,
    LifecycleError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.contract import Journal
from forwarder.journal.sqlite import SqliteJournals
from forwarder.live.inlet import GroupInlet
from forwarder.live.subscriptions import LivePaths
from forwarder.reconcile.feed import Feed
from forwarder.reconcile.schedule import Schedule
from forwarder.server.api import TAIL_PATH, Api
from forwarder.server.server import Server
from forwarder.server.tokens import TokenFile, Tokens
from tests.support.memory_journal import MemoryJournal

if TYPE_CHECKING:
    from forwarder.reconcile.ecs import EcsWatcher

_LOG: Final = logging.getLogger("gapless.forwarder")

CHECKS_MAX: Final = 3
"""Attempts at reaching CloudWatch at the start."""

CHECK_PAUSE_S: Final = 0.5

GOODBYE: Final = "the forwarder is shutting down"

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_CLUSTER: Final = re.compile(r"(arn:[\w.:-]+/)?[\w-]{1,255}", re.ASCII)
_UNITS_MS: Final = (86_400_000, 3_600_000, 60_000, 1_000)


class _Runs(Protocol):
    """What runs beside the server, until it is cancelled or can't go on."""

    async def run(self) -> None: ...


class Ready(msgspec.Struct):
    """What ``forward`` prints once it accepts connections; ``epoch`` is the first group's."""

    websocket: str
    http: str
    epoch: str
    ready: bool = True


async def run(config: Config, ready: Callable[[Ready], None], stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set; then everybody is told, and the journal is left in order.

    Args:
        config: what to serve, and where.
        ready: called once, as soon as connections are accepted.
        stop: set by whoever wants it to end.

    Raises:
        ConfigError: the settings can't work; the port is taken.
        JournalError: the journal can't be opened, or written any more.
        CloudWatchError: CloudWatch can't be read and there is nothing to serve without it.

    """
    token_file = None if config.token_file is None else TokenFile(config.token_file)
    tokens = None if token_file is None else token_file.tokens
    _check_host(config.host, tokens)
    tls = _tls(config)
    lifecycle = None if config.lifecycle is None else lifecycle_of(config.lifecycle)
    wall_clock = clock_of(config.clock_skew)
    async with AsyncExitStack() as stack:
        journals = _open_journals(config, stack)
        cloudwatch = CloudWatch(config.aws, clock=wall_clock)
        clock = held_back(wall_clock, cloudwatch.skew.time)
        stack.push_async_callback(cloudwatch.close)
        hubs: dict[str, Hub] = {}
        feeds: list[Feed] = []
        for journal in journals:
            group = LogGroup(
                journal,
                allowance_ms=config.allowance_ms,
                allowance_max_ms=config.allowance_max_ms,
                lifecycle=lifecycle,
                overlap_ms=config.overlap_ms,
            )
            feed = _feed(group, cloudwatch, config, clock)
            hub = Hub(group, feed, heartbeat_ms=config.heartbeat_ms)
            feed.on_progress = hub.progress
            hubs[group.name] = hub
            feeds.append(feed)
        live = _live(config, cloudwatch, hubs, feeds, clock)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        api = Api(hubs, tokens)
        api.calls, api.skew = cloudwatch.calls, cloudwatch.skew
        server = Server(
            api,
            clock=clock,
            on_error=_teller(failed),
            limits=config.limits,
            sockets_max=_sockets_max(config.limits),
        )
        stack.push_async_callback(server.stop, GOODBYE)
        await _bind(server, config, tls)
        await _check(cloudwatch, journals)
        await live.check()
        watchers = await _watchers(config, [hub.group for hub in hubs.values()], stack)
        await _accept(server, config)
        ready(_ready(config, server.port, journals[0].epoch))
        # What the start made stays; the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        runs: list[_Runs] = [*feeds, live, *watchers]
        if token_file is not None:
            token_file.on_change = server.tokens_changed
            runs.append(token_file)
        await _until(runs, stop, failed)


def lifecycle_of(text: str) -> Lifecycle:
    """The lifecycle that ``ecs:CLUSTER``, ``pattern:RE`` or ``idle:30s`` names.

    Raises:
        LifecycleError: none of them, or no regular expression.

    """
    kind, _, rule = text.partition(":")
    if kind == "pattern" and rule:
        return Lifecycle.pattern(rule)
    if kind == "ecs" and _CLUSTER.fullmatch(rule) is not None:
        return Lifecycle.told(text)
    found = _DURATION.fullmatch(rule)
    if kind == "idle" and rule and found is not None:
        units = zip(found.groups(), _UNITS_MS, strict=True)
        return Lifecycle.idle(sum(int(count or 0) * unit_ms for count, unit_ms in units))
    msg = f"--lifecycle {text[:100]!r} is not ecs:CLUSTER, pattern:RE or idle:DURATION (idle:30s)"
    raise LifecycleError(msg)


def _live(
    config: Config,
    cloudwatch: CloudWatch,
    hubs: dict[str, Hub],
    feeds: list[Feed],
    clock: Callable[[], int],
) -> LivePaths:
    """The live paths, and each log group's side of them; with ``poll`` there are none."""
    inlets: dict[str, GroupInlet] = {}
    if config.live != "poll":
        for (name, hub), feed in zip(hubs.items(), feeds, strict=True):
            inlets[name] = hub.live = GroupInlet(
                hub.group, feed, clock=clock, on_progress=hub.progress
            )
    return LivePaths(config.live, config.aws, cloudwatch, inlets)


async def _watchers(
    config: Config, groups: list[LogGroup], stack: AsyncExitStack
) -> list[EcsWatcher]:
    """Whoever knows from outside that an execution is over; none for most lifecycles.

    Raises:
        ConfigError: there is no such ECS cluster.
        CloudWatchError: it may not be asked.

    """
    kind, _, cluster = (config.lifecycle or "").partition(":")
    if kind != "ecs":
        return []
    from forwarder.reconcile.ecs import EcsWatcher  # noqa: PLC0415 - only where one is needed

    watcher = EcsWatcher(cluster, groups, config.aws)
    stack.push_async_callback(watcher.close)
    await watcher.open()
    return [watcher]


async def _until(runs: Sequence[_Runs], stop: asyncio.Event, failed: asyncio.Future[None]) -> None:
    """Feed until told to stop, or until something can't go on.

    Raises:
        ForwarderError: what can't go on.

    """
    stopping = asyncio.create_task(stop.wait())
    running = [asyncio.create_task(one.run()) for one in runs]
    waiting: list[asyncio.Future[None] | asyncio.Task[bool] | asyncio.Task[None]] = [
        stopping,
        failed,
        *running,
    ]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in (stopping, *running):
            task.cancel()
        await asyncio.gather(stopping, *running, return_exceptions=True)
        failed.cancel()


def _teller(failed: asyncio.Future[None]) -> Callable[[ForwarderError], None]:
    def tell(error: ForwarderError) -> None:
        if not failed.done():
            failed.set_exception(error)

    return tell


def _open_journals(config: Config, stack: AsyncExitStack) -> list[Journal]:
    """One for each log group: in memory, in a file, or for several groups in a folder's file."""
    if config.journal is None:
        return [MemoryJournal(group) for group in config.groups]
    path = config.journal
    if len(config.groups) > 1 or path.is_dir():
        path /= "journal.sqlite3"
    with suppress(OSError):  # opening the file says better what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    journals = SqliteJournals(path)
    stack.callback(journals.close)
    return [journals.journal(group) for group in config.groups]


def _feed(
    group: LogGroup, cloudwatch: CloudWatch, config: Config, clock: Callable[[], int]
) -> Feed:
    schedule = Schedule(
        timer_ms(),
        clock(),
        group.coverage.end,
        poll_ms=config.poll_ms,
        overlap_ms=config.overlap_ms,
    )
    return Feed(group, cloudwatch, schedule, config=config, clock=clock)


async def _check(cloudwatch: CloudWatch, journals: list[Journal]) -> None:
    """Whether the log groups can be read at all, before anybody is told that they are served.

    What passes by itself is no reason to stop serving a journal that has something.

    Raises:
        CloudWatchError: of the class that says why not.

    """
    for journal in journals:
        for attempt in range(1, CHECKS_MAX + 1):
            try:
                await cloudwatch.check(journal.group)
            except ThrottledError:
                break
            except (UnreachableError, TruncatedResponseError) as error:
                if journal.head_seq:
                    _LOG.warning("%s: %s (serving what is in the journal)", journal.group, error)
                    break
                if attempt == CHECKS_MAX:
                    raise
                await asyncio.sleep(CHECK_PAUSE_S)
            else:
                break


async def _bind(server: Server, config: Config, tls: ssl.SSLContext | None) -> None:
    try:
        await server.bind(config.host.strip("[]"), config.port, tls)
    except OSError as error:
        raise _no_address(config, error) from error


async def _accept(server: Server, config: Config) -> None:
    try:
        await server.accept()
    except OSError as error:
        raise _no_address(config, error) from error


def _no_address(config: Config, error: OSError) -> ForwarderError:
    where = f"port {config.port} of {config.host}"
    if error.errno == EADDRINUSE:
        return ForwarderError(f"{where} is in use: give another --port, or 0 for any free one")
    return ForwarderError(f"can't listen on {where}: {error.strerror or error}")


def _sockets_max(limits: Limits) -> int:
    """How many sockets the process may have, as many as wanted if the system lets it.

    Without file descriptors left, neither the journal nor CloudWatch could be reached any more.
    """
    apart = REFUSED_SOCKETS + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.sockets_max + apart
    if soft < wanted and soft != resource.RLIM_INFINITY:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits.sockets_max
    return max(1, min(limits.sockets_max, soft - apart))


def _check_host(host: str, tokens: Tokens | None) -> None:
    try:
        is_loopback = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback and tokens is None:
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
        msg = f"--tls-cert {config.tls_cert} and --tls-key {config.tls_key} are no good: {error}"
        raise ConfigError(msg) from error
    return context


def _ready(config: Config, port: int, epoch: str) -> Ready:
    host = config.host.strip("[]")
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    secure = "s" if config.tls_cert is not None else ""
    return Ready(
        websocket=f"ws{secure}://{address}{TAIL_PATH}",
        http=f"http{secure}://{address}",
        epoch=epoch,
    )
