"""The simulator process: it runs the cable, the workload, the faults and the control API.

The CloudWatch stand-in (moto) and the forwarder are child processes. Their addresses are fixed
before they run, so that all of them start side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from common.concurrency import in_thread
from common.errors import GaplessError
from common.locks import call_when_released, hold_temporary
from common.processes import ChildProcess
from common.signals import handle_ending_signals
from simulator.cloudwatch import HOST, REGION, Mode, wall_clock_ms
from simulator.control import Changes
from simulator.errors import SimulatorError
from simulator.faults.board import Board
from simulator.levers import Levers, StandIn, Targets
from simulator.network.cable import Cable, listen
from simulator.network.crowd import Crowds
from simulator.oracle.ledger import Ledger
from simulator.programs.clock import SkewedClock
from simulator.programs.cluster import Cluster, Role
from simulator.programs.forwarder import STOP_WITHIN_S, ForwarderProcess
from simulator.programs.viewers import Viewers
from simulator.scenarios.base import Setup
from simulator.scenarios.conductor import Conductor
from simulator.workload.workload import Workload
from simulator.workload.writer import Writer

GROUP: Final = "/gapless/demo"
LIVE_STREAM: Final = "gapless-demo"
"""The Kinesis stream that a subscription filter sends the log group's events to."""

PAST_TIMEOUT_S: Final = 120.0
"""Longest that it may take to write the events that executions wrote before the start."""

EXPLANATION_S: Final = 1.0
"""A failed workload is reported this much later: a child that ended explains it better."""

_AWS_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "simulator",
    "AWS_SECRET_ACCESS_KEY": "simulator",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class SimulatorConfig(NamedTuple):
    """Settings of a simulation.

    Attributes:
        seed: Replays the simulation.
        rate: Events a second, all executions together.
        executions: How many run at once.
        mode: The CloudWatch stand-in: moto patched (``faithful``) or as it is (``moto``).
        port: Where viewers connect; 0 = any free one, as for the other ports.
        while_held: A file; the simulator ends once no process holds a lock on it.
        journal: The forwarder's journal; None where faults may not touch it.
        clock: File from which the forwarder reads its clock's error; None where faults may not.
        is_live: Whether a subscription filter sends events to a Kinesis stream.
        group_age_ms: How long ago the log group was created.
        forwarders: How many; several share a journal in PostgreSQL.
    """

    seed: int = 1
    rate: float = 20.0
    executions: int = 4
    mode: Mode = "faithful"
    port: int = 0
    cloudwatch_port: int = 0
    control_port: int = 0
    group: str = GROUP
    region: str = REGION
    while_held: Path | None = None
    journal: Path | None = None
    clock: Path | None = None
    is_live: bool = True
    group_age_ms: int = 0
    forwarders: int = 1


ForwarderArgv = Callable[[str], Sequence[str]]
"""Returns the command that starts a forwarder for the CloudWatch at a URL.

It prints one JSON line with ``ready``, ``websocket``, ``http`` and ``epoch``.
"""

MemberArgv = Callable[[str, str, int, Role], Sequence[str]]
"""The same of a process of a cluster: URLs of CloudWatch and the journal, number and role."""


def print_ready(ready: Mapping[str, Any]) -> None:
    """Print the ready line: one line of JSON on stdout."""
    print(json.dumps(ready), flush=True)  # noqa: T201 - the ready line


def run(
    config: SimulatorConfig,
    forwarder_argv: ForwarderArgv,
    announce: Callable[[Mapping[str, Any]], None] = print_ready,
    member_argv: MemberArgv | None = None,
) -> signal.Signals | None:
    """Simulate until SIGTERM, SIGINT, SIGHUP or the lifeline's end, and leave no process behind.

    Call it from the main thread, before any other thread is started.

    Args:
        config: The settings.
        forwarder_argv: The forwarder's command; its environment holds dummy credentials and the
            Region.
        announce: Called once with the fields of the ready line.
        member_argv: The command of each process, where there are several forwarders.

    Returns:
        The signal that ended it; None for the lifeline.

    Raises:
        SimulatorError: it can't start, or a part of it ended unexpectedly.
    """
    return asyncio.run(Simulator(config, announce).run(forwarder_argv, member_argv))


class _Children(NamedTuple):
    """The child processes, started but not ready yet.

    ``held`` is the lifeline of moto; ``first`` is the first process of the only forwarder, None
    where there is a cluster, which starts later.
    """

    url: str
    moto: ChildProcess
    held: Path
    forwarder: ForwarderProcess
    first: ChildProcess | None
    cluster: Cluster | None


class Simulator:
    """One simulation; ``run`` is its whole life."""

    def __init__(
        self, config: SimulatorConfig, announce: Callable[[Mapping[str, Any]], None]
    ) -> None:
        """Prepare a simulation; raises SimulatorError where the settings make no sense."""
        self._config = config
        self._announce = announce
        self._ledger = Ledger()
        self._workload = Workload(
            config.seed, config.rate, config.executions, started_ms=wall_clock_ms()
        )
        self._cable = Cable()
        self._crowds = Crowds(lambda: self._cable.port, config.group)
        self._changes = Changes()
        self._viewers = Viewers()
        self._clock = None if config.clock is None else SkewedClock(config.clock)
        self._end: asyncio.Future[signal.Signals | None]

    async def run(
        self, forwarder_argv: ForwarderArgv, member_argv: MemberArgv | None
    ) -> signal.Signals | None:
        """Start everything, announce it, wait for the end, stop everything; see ``run``."""
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(handle_ending_signals(self._finish))
            self._cable.bind(self._config.port)
            stack.push_async_callback(self._cable.stop)
            stack.push_async_callback(self._crowds.stop)
            moto_listener = stack.enter_context(listen(self._config.cloudwatch_port))
            control_listener = stack.enter_context(listen(self._config.control_port))
            url = f"http://{HOST}:{moto_listener.getsockname()[1]}"
            held = stack.enter_context(hold_temporary()).path
            moto = ChildProcess.start(
                "the CloudWatch stand-in",
                self._moto_argv(moto_listener, held),
                environment=self._environment(),
                pass_fds=(moto_listener.fileno(),),
                dies_with_parent=True,
            )
            stack.push_async_callback(in_thread, partial(moto.stop, STOP_WITHIN_S))
            # Moto has it now; kept open here, connections to a dead moto would hang.
            moto_listener.close()
            forwarder = ForwarderProcess(
                forwarder_argv(url),
                self._environment(),
                self._config.journal,
                moved=self._cable.retarget,
                failed=self._fail,
                changed=self._changes.announce,
            )
            stack.push_async_callback(forwarder.stop)
            cluster = None if member_argv is None else self._cluster(url, member_argv)
            if cluster is not None:
                stack.push_async_callback(cluster.stop)
            first = forwarder.start() if cluster is None else None
            watch = asyncio.create_task(self._watch(moto))
            stack.callback(watch.cancel)
            if self._config.while_held is not None:
                call_when_released(self._config.while_held, lambda: self._from_thread(self._finish))
            children = _Children(url, moto, held, forwarder, first, cluster)
            start = asyncio.create_task(self._announce_start(stack, children, control_listener))
            stack.callback(start.cancel)
            start.add_done_callback(self._check_started)
            return await self._end

    def _cluster(self, url: str, member_argv: MemberArgv) -> Cluster:
        return Cluster(
            self._config.forwarders,
            partial(member_argv, url),
            self._environment(),
            serve=lambda ports: self._cable.retarget(*ports),
            failed=self._fail,
            changed=self._changes.announce,
        )

    def _check_started(self, start: asyncio.Task[None]) -> None:
        # An unexpected error ends the simulation too, with its traceback.
        if not start.cancelled() and (error := start.exception()) and not self._end.done():
            self._end.set_exception(error)

    async def _announce_start(
        self, stack: contextlib.AsyncExitStack, children: _Children, control_listener: socket.socket
    ) -> None:
        try:
            ready = await self._start(stack, children, control_listener)
        except GaplessError as error:
            self._fail(str(error))
        else:
            if not self._end.done():
                self._announce(ready)

    async def _start(
        self, stack: contextlib.AsyncExitStack, children: _Children, control_listener: socket.socket
    ) -> dict[str, Any]:
        """Start the threads, wait until every part is ready, and return the ready line."""
        writer = Writer(
            self._workload,
            self._ledger,
            endpoint=children.url,
            region=self._config.region,
            group=self._config.group,
            now_ms=wall_clock_ms,
            failed=lambda text: self._from_thread(self._fail_soon, text),
        )
        writer.start()
        # Imported while the other processes start, since it takes as long as they do.
        from simulator import control  # noqa: PLC0415
        from simulator.network import http_server  # noqa: PLC0415

        stack.push_async_callback(asyncio.to_thread, writer.stop)
        targets = Targets(
            cable=self._cable,
            crowds=self._crowds,
            stand_in=StandIn(children.url, self._config.mode),
            forwarder=children.forwarder,
            viewers=self._viewers,
            clock=self._clock,
            writer=writer,
            cluster=children.cluster,
            ledger=self._ledger,
        )
        levers = Levers(targets, asyncio.get_running_loop())
        board = Board(
            levers.begin,
            levers.end,
            self._config.seed,
            announce=self._changes.announce,
            affected=levers.affected,
        )
        board.start()
        stack.push_async_callback(asyncio.to_thread, board.close)
        conductor = Conductor(board, writer.pause, writer.resume, self._changes.announce)
        parts = control.Parts(
            board,
            self._ledger,
            self._workload,
            writer,
            wall_clock_ms,
            self._changes,
            self._viewers,
            children.cluster or children.forwarder,
            conductor,
            self._setup(),
        )
        server = http_server.serve(
            control_listener, control.Control(parts), "control", http_server.JsonRequestHandler
        )
        stack.push_async_callback(asyncio.to_thread, server.shutdown)
        await in_thread(children.moto.ready)
        # Moto has the file open by now; unlinked, it leaves nothing behind even after SIGKILL.
        await asyncio.to_thread(children.held.unlink)
        writer.open()
        forwarder = await self._start_forwarders(children)
        ready = self._ready(forwarder, children.url, control_listener)
        await asyncio.to_thread(writer.history_written.wait, PAST_TIMEOUT_S)
        return ready

    def _setup(self) -> Setup:
        """The setup with which a scenario file repeats what is done to this simulator."""
        config = self._config
        return Setup(
            rate=config.rate,
            executions=config.executions,
            is_live=self._is_live,
            group_age_ms=config.group_age_ms,
            forwarders=config.forwarders,
            seed=config.seed,
        )

    async def _start_forwarders(self, children: _Children) -> Mapping[str, Any]:
        """Wait until viewers can connect, and return the ready line of a forwarder."""
        if children.cluster is not None:
            forwarder = await children.cluster.start()
            await self._cable.start(*children.cluster.ports)
        else:
            assert children.first is not None, "without a cluster it was started"
            forwarder = await in_thread(children.first.ready)
            await self._cable.start(urlsplit(str(forwarder.get("http"))).port or 80)
        return forwarder

    def _ready(
        self, forwarder: Mapping[str, Any], url: str, control_listener: socket.socket
    ) -> dict[str, Any]:
        """Make the simulator's ready line from the forwarder's."""
        try:
            websocket, http_url = forwarder["websocket"], forwarder["http"]
            epoch = forwarder["epoch"]
        except KeyError as error:
            msg = f"the forwarder's ready line has no {error}"
            raise SimulatorError(msg) from error
        return {
            "ready": True,
            "websocket": self._through_cable(websocket),
            "http": self._through_cable(http_url),
            "epoch": epoch,
            "cloudwatch": url,
            "control": f"http://{HOST}:{control_listener.getsockname()[1]}",
            "group": self._config.group,
        }

    def _through_cable(self, url: str) -> str:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{HOST}:{self._cable.port}"))

    def _moto_argv(self, listener: socket.socket, held: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "simulator.moto_process"),
            *("--listener-fd", str(listener.fileno())),
            *("--mode", self._config.mode),
            *("--group", self._config.group),
            *("--region", self._config.region),
            *("--group-age-ms", str(self._config.group_age_ms)),
            # Unpatched moto would send other ids, and from within PutLogEvents.
            *(("--live-stream", LIVE_STREAM) if self._is_live else ()),
            *("--while-held", str(held)),
        ]

    @property
    def _is_live(self) -> bool:
        return self._config.is_live and self._config.mode == "faithful"

    def _environment(self) -> dict[str, str]:
        """The children's environment: no real AWS account in it, and no proxy."""
        own = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        direct = {"NO_PROXY": HOST, "no_proxy": HOST}
        return own | direct | _AWS_CREDENTIALS | {"AWS_DEFAULT_REGION": self._config.region}

    async def _watch(self, child: ChildProcess) -> None:
        await in_thread(child.wait)
        self._fail(str(child.failure()))

    def _finish(self, number: signal.Signals | None = None) -> None:
        if not self._end.done():
            self._end.set_result(number)

    def _fail(self, text: str) -> None:
        if not self._end.done():
            self._end.set_exception(SimulatorError(text))

    def _fail_soon(self, text: str) -> None:
        self._end.get_loop().call_later(EXPLANATION_S, self._fail, text)

    def _from_thread(self, then: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the simulation is over
            self._end.get_loop().call_soon_threadsafe(then, *arguments)
