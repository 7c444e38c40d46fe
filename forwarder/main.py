"""Runs a forwarder from its configuration: journals, feeds, hubs and the server, until stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import resource
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from errno import EADDRINUSE
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from common.hosts import is_loopback
from common.state import make_private_dir
from common.times import TimeFormatError, parse_duration
from common.tokens import OfferedToken
from forwarder.cloudwatch.clock import timer_ms, wall_clock
from forwarder.cloudwatch.missing import explain_missing
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import REFUSED_SOCKETS, RESERVED_DESCRIPTORS, Config, Limits
from forwarder.delivery.hub import Hub
from forwarder.errors import (
    ConfigError,
    ForwarderError,
    GroupNotFoundError,
    LifecycleError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.contract import Journal
from forwarder.journal.sqlite import SqliteJournals
from forwarder.live.receiver import LiveReceiver
from forwarder.live.subscriptions import LivePaths
from forwarder.reconcile.feed import Feed
from forwarder.server.admission import Admission
from forwarder.server.api import TAIL_PATH, Api
from forwarder.server.server import Server
from forwarder.server.tokens import BearerTokens, TokenFile, TokenGrant

_LOG: Final = logging.getLogger("gapless.forwarder")

CHECKS_MAX: Final = 3
"""Attempts to reach CloudWatch at the start."""

CHECK_PAUSE_S: Final = 0.5

CHECK_UNANSWERED_MS: Final = 2_000
"""Longest wait for an answer to the check; then viewers are served, and see the silence."""

CHECK_LOOK_S: Final = 0.2
"""Interval of looks whether the check has got no answer for that long."""

GOODBYE: Final = "the forwarder is shutting down"

_CLUSTER: Final = re.compile(r"(arn:[\w.:-]+/)?[\w-]{1,255}", re.ASCII)

_Job = Callable[[], Awaitable[None]]
"""A task beside the server; runs until it is cancelled or fails."""


class Ready(msgspec.Struct):
    """The line that ``forward`` prints once it accepts connections.

    ``epoch`` is the first log group's.
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
        journals = _open_journals(config, stack)
        cloudwatch = CloudWatch(config.aws, clock=wall_clock(config.clock_skew))
        clock = cloudwatch.skew.now_ms
        stack.push_async_callback(cloudwatch.close)
        jobs: list[_Job] = []
        hubs: dict[str, Hub] = {}
        for journal in journals:
            group = LogGroup(
                journal,
                allowance_ms=config.allowance_ms,
                allowance_max_ms=config.allowance_max_ms,
                lifecycle=lifecycle,
                overlap_ms=config.overlap_ms,
            )
            feed, hubs[group.name] = _feed_and_hub(group, cloudwatch, config, clock)
            jobs.append(feed.run)
        receivers = {name: hub.live for name, hub in hubs.items() if hub.live is not None}
        live = LivePaths(config.live, config.aws, cloudwatch, receivers)
        jobs.append(live.run)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        server = _server(config, hubs, cloudwatch, tokens, partial(_fail, failed))
        stack.push_async_callback(server.stop, GOODBYE)
        with _explained_bind_errors(config):
            await server.bind(config.host.strip("[]"), config.port, tls)
        await _check_in_time(cloudwatch, journals, stack)
        await live.check()
        jobs += await _ecs_jobs(config, [hub.group for hub in hubs.values()], stack)
        if token_file is not None:
            jobs.append(partial(token_file.run, server.tokens_changed))
        line = _ready(config, server.port, journals[0].epoch)
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


def _feed_and_hub(
    group: LogGroup, cloudwatch: CloudWatch, config: Config, clock: Callable[[], int]
) -> tuple[Feed, Hub]:
    """The feed of a log group, and the hub that serves its viewers from it."""

    def on_progress() -> None:
        hub.progress()

    feed = Feed(group, cloudwatch, config=config, on_progress=on_progress, clock=clock)
    receiver = None
    if config.live != "poll":
        receiver = LiveReceiver(group, feed, clock=clock, on_progress=on_progress)
    hub = Hub(group, feed, live=receiver, heartbeat_ms=config.heartbeat_ms)
    return feed, hub


def _server(
    config: Config,
    hubs: dict[str, Hub],
    cloudwatch: CloudWatch,
    tokens: BearerTokens | None,
    on_error: Callable[[ForwarderError], None],
) -> Server:
    """The server of all log groups, with its limits; it does not listen yet."""
    admission = Admission(config.limits, sockets_max=_sockets_max(config.limits))
    api = Api(
        hubs,
        tokens,
        refused=admission.refused,
        calls=cloudwatch.calls,
        skew=cloudwatch.skew,
    )
    return Server(
        api,
        admission,
        clock=cloudwatch.skew.now_ms,
        on_error=on_error,
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


def _open_journals(config: Config, stack: AsyncExitStack) -> list[Journal]:
    """One journal for each log group, all in one file; for several groups in a folder's file."""
    path = config.journal
    if path is None:
        path = Path(stack.enter_context(TemporaryDirectory(prefix="gapless-journal-")))
    if len(config.groups) > 1 or path.is_dir():
        path /= "journal.sqlite3"
    with suppress(OSError):  # opening the file reports the reason
        make_private_dir(path.parent)
    journals = SqliteJournals(path)
    stack.callback(journals.close)
    return [journals.journal(group) for group in config.groups]


async def _check_in_time(
    cloudwatch: CloudWatch, journals: list[Journal], stack: AsyncExitStack
) -> None:
    """Check that every log group can be read, unless CloudWatch takes long to answer.

    Raises:
        CloudWatchError: a log group can't be read; the subclass says why.
    """
    check = asyncio.create_task(_check_readable(cloudwatch, journals))
    stack.callback(check.cancel)
    while cloudwatch.answers.waited_ms(timer_ms()) < CHECK_UNANSWERED_MS:
        done, _ = await asyncio.wait({check}, timeout=CHECK_LOOK_S)
        if done:
            return check.result()
    # Polls report whatever it finds. Not cancelled: a call that hangs shows the silence.
    check.add_done_callback(_ignore_result)
    return None


def _ignore_result(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


async def _check_readable(cloudwatch: CloudWatch, journals: list[Journal]) -> None:
    """Check that every log group can be read, before connections are accepted.

    A transient failure does not stop a forwarder whose journal already has events to serve.

    Raises:
        CloudWatchError: a log group can't be read; the subclass says why.
    """
    for journal in journals:
        for attempt in range(1, CHECKS_MAX + 1):
            try:
                await cloudwatch.check(journal.group)
            except ThrottledError:
                break
            except GroupNotFoundError as error:
                raise await explain_missing(cloudwatch, error) from error
            except (UnreachableError, TruncatedResponseError) as error:
                if journal.head_seq:
                    _LOG.warning("%s: %s (serving what is in the journal)", journal.group, error)
                    break
                if attempt == CHECKS_MAX:
                    raise
                await asyncio.sleep(CHECK_PAUSE_S)
            else:
                break


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


def _sockets_max(limits: Limits) -> int:
    """The number of sockets that the server may open; raises the soft limit where it can.

    Some file descriptors stay reserved: without them neither the journal nor CloudWatch could
    be reached any more.
    """
    reserved = REFUSED_SOCKETS + RESERVED_DESCRIPTORS
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


def _ready(config: Config, port: int, epoch: str) -> Ready:
    host = config.host.strip("[]")
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    secure = "s" if config.tls_cert is not None else ""
    return Ready(
        websocket=f"ws{secure}://{address}{TAIL_PATH}",
        http=f"http{secure}://{address}",
        epoch=epoch,
    )
