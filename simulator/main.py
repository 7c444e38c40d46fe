"""The simulator process: CloudWatch, the forwarder, the cable, the workload and the control API.

CloudWatch (moto) and the forwarder are processes of their own. Their addresses are fixed before
they run, so everything starts side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from common.concurrency import in_thread
from common.errors import GaplessError
from common.locks import call_when_released, hold_temporary
from common.processes import ChildProcess
from common.signals import handle_ending_signals
from simulator.acceptance import Visibility
from simulator.cloudwatch import HOST, REGION, Mode, wall_clock_ms
from simulator.cloudwatch.app import listen
from simulator.control import Changes
from simulator.errors import SimulatorError
from simulator.faults.base import Levers
from simulator.faults.board import Board
from simulator.levers import CableLink, CloudWatchLink, ProgramsLink
from simulator.network.cable import Cable
from simulator.network.crowd import Crowds
from simulator.oracle.ledger import Ledger
from simulator.programs import STOP_WITHIN_S, Forwarder, SkewedClock, Viewers
from simulator.scenarios.conductor import Conductor
from simulator.workload.workload import Workload
from simulator.workload.writer import Writer

GROUP: Final = "/gapless/demo"
LIVE_STREAM: Final = "gapless-demo"
"""The Kinesis stream that a subscription filter sends the log group's events to."""

PAST_TIMEOUT_S: Final = 120.0
"""How long it may take to write what the executions wrote before."""

EXPLANATION_WITHIN_S: Final = 1.0

_AWS_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "simulator",
    "AWS_SECRET_ACCESS_KEY": "simulator",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class SimulatorConfig(NamedTuple):
    """What can be chosen; ports 0 = any that is free.

    ``rate`` is in events a second; ``port`` is the viewers' one. With ``while_held``, a file,
    the simulator ends as soon as nobody holds a lock on that file. ``journal`` is the file that
    the forwarder keeps its journal in, ``clock`` one that it reads its clock's error from: where
    they are given, faults may touch them. With ``is_live`` a subscription filter sends events
    to a Kinesis stream. The log group was made ``group_age_ms`` ago.
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


def print_ready(ready: Mapping[str, Any]) -> None:
    """Say on standard output that the simulator is ready."""
    print(json.dumps(ready), flush=True)  # noqa: T201 - the ready line


def run(
    config: SimulatorConfig,
    forwarder_argv: Callable[[str], Sequence[str]],
    announce: Callable[[Mapping[str, Any]], None] = print_ready,
) -> signal.Signals | None:
    """Simulate until SIGTERM, SIGINT, SIGHUP or the lifeline's end; leaves no process behind.

    Call it from the main thread, before any other thread is started.

    Args:
        config: what to simulate.
        forwarder_argv: the command that starts a forwarder for the CloudWatch at a URL, to which
            dummy credentials and the Region are given by its environment. It prints one JSON
            line with ``ready``, ``websocket``, ``http`` and ``epoch``.
        announce: told once what the ready line says.

    Returns:
        The signal that ended it; None for the lifeline.

    Raises:
        SimulatorError: it can't begin, or a part of it ended before its time.

    """
    return asyncio.run(Simulator(config, announce).run(forwarder_argv))


class Simulator:
    """One simulation; ``run`` is its whole life."""

    def __init__(
        self, config: SimulatorConfig, announce: Callable[[Mapping[str, Any]], None]
    ) -> None:
        """See ``run``; raises SimulatorError where the configuration makes no sense."""
        self._config = config
        self._announce = announce
        self._visibility = Visibility()
        self._ledger = Ledger(self._visibility.visible_ms)
        self._workload = Workload(
            config.seed, config.rate, config.executions, started_ms=wall_clock_ms()
        )
        self._cable = Cable()
        self._crowds = Crowds(lambda: self._cable.port, config.group)
        self._changes = Changes()
        self._viewers = Viewers()
        self._clock = None if config.clock is None else SkewedClock(config.clock)
        self._end: asyncio.Future[signal.Signals | None]

    async def run(self, forwarder_argv: Callable[[str], Sequence[str]]) -> signal.Signals | None:
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
            # Now that moto has it: were it kept, connections to a dead moto would hang.
            moto_listener.close()
            forwarder = Forwarder(
                forwarder_argv(url),
                self._environment(),
                self._config.journal,
                is_at=self._cable.retarget,
                failed=self._fail,
                changed=self._changes.announce,
            )
            stack.push_async_callback(forwarder.stop)
            first = forwarder.start()
            watch = asyncio.create_task(self._watch(moto))
            stack.callback(watch.cancel)
            if self._config.while_held is not None:
                call_when_released(self._config.while_held, lambda: self._from_thread(self._finish))
            start = asyncio.create_task(
                self._begin(
                    lambda: self._start(
                        stack, url, moto, (forwarder, first), control_listener, held
                    )
                )
            )
            stack.callback(start.cancel)
            start.add_done_callback(self._begun)
            return await self._end

    def _begun(self, start: asyncio.Task[None]) -> None:
        # What nobody foresaw ends the simulation too, with its traceback.
        if not start.cancelled() and (error := start.exception()) and not self._end.done():
            self._end.set_exception(error)

    async def _begin(self, start: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        try:
            said = await start()
        except GaplessError as error:
            self._fail(str(error))
        else:
            if not self._end.done():
                self._announce(said)

    async def _start(
        self,
        stack: contextlib.AsyncExitStack,
        url: str,
        moto: ChildProcess,
        forwarder: tuple[Forwarder, ChildProcess],
        control_listener: socket.socket,
        held: Path,
    ) -> dict[str, Any]:
        writer = Writer(
            self._workload,
            self._ledger,
            endpoint=url,
            region=self._config.region,
            group=self._config.group,
            now_ms=wall_clock_ms,
            failed=lambda text: self._from_thread(self._fail_soon, text),
        )
        writer.start()
        # Imported now that the other processes are starting: it takes as long as they can spare.
        from simulator import control  # noqa: PLC0415

        stack.push_async_callback(asyncio.to_thread, writer.stop)
        loop = asyncio.get_running_loop()
        cloudwatch = CloudWatchLink(url, self._config.mode, self._visibility, self._ledger)
        cable = CableLink(self._cable, self._crowds, loop)
        programs = ProgramsLink(forwarder[0], self._viewers, self._clock, loop, self._ledger)
        board = Board(
            Levers(cable, cloudwatch, writer, programs),
            self._config.seed,
            announce=self._changes.announce,
        )
        board.start()
        stack.push_async_callback(asyncio.to_thread, board.close)
        conductor = Conductor(board, writer, self._changes.announce)
        parts = control.Parts(
            board,
            self._ledger,
            self._workload,
            writer,
            wall_clock_ms,
            self._changes,
            self._viewers,
            forwarder[0],
            conductor,
        )
        server = control.serve(control_listener, parts)
        stack.push_async_callback(asyncio.to_thread, server.shutdown)
        await in_thread(moto.ready)
        # Moto has it open; so nothing stays behind, even after SIGKILL.
        await asyncio.to_thread(held.unlink)
        writer.open()
        said = await in_thread(forwarder[1].ready)
        ready = self._ready(said, url, control_listener)
        await self._cable.start(urlsplit(said["http"]).port or 80)
        await asyncio.to_thread(writer.history_written.wait, PAST_TIMEOUT_S)
        return ready

    def _ready(
        self, said: Mapping[str, Any], url: str, control_listener: socket.socket
    ) -> dict[str, Any]:
        try:
            websocket, http_url, epoch = said["websocket"], said["http"], said["epoch"]
        except KeyError as error:
            msg = f"the forwarder's ready line says no {error}"
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
        """Nothing of a real account reaches the simulated one, and no proxy stands between."""
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
        # A dead child is the better explanation, and is noticed a moment later.
        self._end.get_loop().call_later(EXPLANATION_WITHIN_S, self._fail, text)

    def _from_thread(self, then: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is over anyway
            self._end.get_loop().call_soon_threadsafe(then, *arguments)
