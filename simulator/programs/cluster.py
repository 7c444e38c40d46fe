"""Forwarders that share a journal in PostgreSQL, each as two processes: one serves, one ingests.

Faults kill or pause the process that owns the log group, the one that serves the viewer, or the
database. Viewers reach the serving processes through the cable, in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from common.concurrency import in_thread
from common.errors import GaplessError, MissingExtraError
from common.http import request
from common.locks import hold_temporary
from common.processes import ChildProcess
from simulator.errors import ConflictError, SimulatorError
from simulator.programs.forwarder import ForwarderProcess
from simulator.programs.postgres import ReplicatedServer
from simulator.programs.remover import PAUSED

CHECK_S: Final = 0.5
"""Interval between two looks at which servers are ready, as a load balancer's."""

ANSWER_S: Final = 1.0
"""Time limit of such a look: a stopped process does not answer."""

READY_WITHIN_S: Final = 60.0
"""Longest that it may take until all servers follow the journal."""

OWNER_WITHIN_S: Final = 15.0
"""Longest wait for an owner: a lease of 10 s, and the takeover."""

_LOOK_S: Final = 0.1

Role = Literal["serve", "ingest"]
_ROLES: Final[tuple[Role, ...]] = ("serve", "ingest")


class Cluster:
    """Forwarders, and the database that they share; used from one event loop."""

    def __init__(
        self,
        forwarders: int,
        command: Callable[[str, int, Role], Sequence[str]],
        environment: Mapping[str, str],
        *,
        serve: Callable[[Sequence[int]], None],
        failed: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        """Start nothing before ``start``.

        Args:
            forwarders: how many.
            command: returns the command of a process, from the journal's URL, number and role.
            environment: the environment of each.
            serve: called with the ports of the servers that viewers are to reach.
            failed: called with one line on why the simulation can't go on.
            changed: called when a process comes up or goes down.
        """
        self._forwarders = forwarders
        self._command = command
        self._environment = environment
        self._serve = serve
        self._failed = failed
        self._changed = changed
        self._engine: ReplicatedServer
        self._folder: Path
        self._engine_down: str | None = None
        """The owner of the fault that keeps the database or its standby down, or will do so."""
        self._turn = asyncio.Lock()
        self._processes: dict[Role, list[ForwarderProcess]] = {role: [] for role in _ROLES}
        self._ports: dict[ForwarderProcess, int] = {}
        self._hit: dict[str, ForwarderProcess] = {}
        """The process that each fault has killed or paused."""
        self._running: set[asyncio.Task[None]] = set()
        self._stack = contextlib.AsyncExitStack()

    @property
    def servers(self) -> Sequence[ForwarderProcess]:
        """The processes that serve viewers."""
        return self._processes["serve"]

    @property
    def ports(self) -> list[int]:
        """The ports of the servers that run."""
        return [self._ports[one] for one in self.servers if one.is_up and one in self._ports]

    async def start(self) -> Mapping[str, Any]:
        """Start the database and all forwarders; return the ready line of a server.

        Raises:
            GaplessError: something can't be started.
        """
        if find_spec("psycopg") is None:
            what = "a cluster of forwarders"
            raise MissingExtraError(what, "postgresql")
        await self._start_engine()
        self._stack.push_async_callback(self._stop_processes)
        children: dict[ForwarderProcess, ChildProcess] = {}
        for role in _ROLES:
            for number in range(1, self._forwarders + 1):
                one = self._process(number, role)
                children[one] = one.start(is_tied=False)
                self._processes[role].append(one)
        lines = {one: await in_thread(child.ready) for one, child in children.items()}
        self._ports.update({one: _port(line) for one, line in lines.items()})
        await self._until_ready()
        self._run(self._keep_checking())
        return lines[self.servers[0]]

    async def stop(self) -> None:
        """End everything that was started."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._stack.aclose()

    def describe(self) -> dict[str, Any]:
        """The state of all servers together, as the control API shows it."""
        pids = [one.pid for one in self.servers if one.pid is not None]
        starts = sum(one.starts for one in self.servers)
        return {"up": bool(pids), "starts": starts, "pid": pids[0] if pids else None}

    # Faults of the forwarders

    async def crash_owner(self, owner: str, after_ms: int) -> None:
        """Kill the process that owns the log group in ``after_ms``; down until ``restart(owner)``.

        Raises:
            SimulatorError: none owns it.
        """
        await self._crash(owner, await self._find_owner(), after_ms)

    async def crash_server(self, owner: str, port: int | None, after_ms: int) -> None:
        """Kill the server with that port (None: any one) in ``after_ms``, until ``restart``.

        Raises:
            SimulatorError: all are down.
        """
        up = [one for one in self.servers if one.is_up]
        if not up:
            msg = "every server is down already: heal server_crash first"
            raise SimulatorError(msg)
        chosen = next((one for one in up if self._ports.get(one) == port), up[0])
        await self._crash(owner, chosen, after_ms)

    async def restart(self, owner: str, *, is_called_off: bool) -> None:
        """Restart the process that the owner's fault has killed, or call the kill off."""
        one = self._hit.pop(owner, None)
        if one is not None:
            await one.restart(owner, is_called_off=is_called_off)

    async def pause_owner(self, owner: str) -> None:
        """Stop the process that owns the log group (SIGSTOP), until ``go_on(owner)``.

        Raises:
            SimulatorError: none owns it.
        """
        self._hit[owner] = one = await self._find_owner()
        (self._folder / f"{PAUSED}{owner}").write_text(str(one.pid))
        one.pause(owner)

    async def go_on(self, owner: str) -> None:
        """Let the process that the owner's fault has stopped go on."""
        one = self._hit.pop(owner, None)
        if one is not None:
            one.go_on(owner)
            (self._folder / f"{PAUSED}{owner}").unlink(missing_ok=True)

    # Faults of the database

    async def crash_engine(self, owner: str) -> None:
        """Kill the database's primary with SIGKILL, until ``restart_engine(owner)``.

        Raises:
            SimulatorError: a fault has it down already.
        """
        await self._harm_engine(owner, self._engine.kill)

    async def restart_engine(self, owner: str) -> None:
        """Start the primary again if the owner's fault has killed it."""
        await self._heal_engine(owner, self._engine.restart)

    async def fail_over(self, owner: str) -> None:
        """Kill the primary with SIGKILL and promote its standby.

        Raises:
            SimulatorError: a fault has the database down already.
        """
        await self._harm_engine(owner, self._engine.fail_over)

    async def replace_standby(self, owner: str) -> None:
        """Give the promoted server a standby, if the owner's fault has promoted it."""
        await self._heal_engine(owner, self._engine.replace_standby)

    async def pause_engine(self, owner: str) -> None:
        """Stop the primary (SIGSTOP), so that it answers nothing, until ``continue_engine(owner)``.

        Raises:
            SimulatorError: a fault has the database down already, or this is not Linux.
        """
        await self._harm_engine(owner, self._engine.pause)

    async def continue_engine(self, owner: str) -> None:
        """Let the primary go on if the owner's fault has stopped it."""
        await self._heal_engine(owner, self._engine.go_on)

    async def save_engine(self, owner: str) -> None:
        """Copy the database's present state, for ``set_engine_back(owner)``.

        Raises:
            SimulatorError: a fault has the database down already, or this is not Linux.
        """
        await self._harm_engine(owner, self._engine.save)

    async def set_engine_back(self, owner: str, *, is_called_off: bool) -> None:
        """Kill both servers and restore the copy that the owner's fault has made, if any.

        A call that is off leaves the servers as they are.
        """
        act = self._engine.discard_copy if is_called_off else self._engine.set_back
        await self._heal_engine(owner, act)

    async def _harm_engine(self, owner: str, act: Callable[[], None]) -> None:
        await self._to_its_end(self._harm_engine_now(owner, act))

    async def _heal_engine(self, owner: str, act: Callable[[], None]) -> None:
        await self._to_its_end(self._heal_engine_now(owner, act))

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for work on the database, which goes on if the caller times out.

        Half of a promotion is no state, and a caller that tries again must wait for the first try.
        """
        await asyncio.shield(self._run(work))

    async def _harm_engine_now(self, owner: str, act: Callable[[], None]) -> None:
        async with self._turn:
            if self._engine_down is not None:
                msg = f"another fault has PostgreSQL already: heal {self._engine_down} first"
                raise ConflictError(msg)
            self._engine_down = owner
            await in_thread(act)

    async def _heal_engine_now(self, owner: str, act: Callable[[], None]) -> None:
        async with self._turn:
            if self._engine_down == owner:
                await in_thread(act)
                self._engine_down = None

    # Processes

    async def _stop_processes(self) -> None:
        every = (one for role in _ROLES for one in self._processes[role])
        await asyncio.gather(*(one.stop() for one in every))

    async def _start_engine(self) -> None:
        self._folder = folder = Path(tempfile.mkdtemp(prefix="gapless-pg-"))
        lifeline = hold_temporary()
        remover = ChildProcess.start(
            "the database's remover",
            [
                *(sys.executable, "-m", "simulator.programs.remover"),
                *("--while-held", str(lifeline.path), str(folder)),
            ],
            environment=self._environment,
        )
        self._stack.push_async_callback(in_thread, remover.wait)
        self._stack.callback(lifeline.release)
        await in_thread(remover.ready)
        # It has the file open by now; unlinked, it leaves nothing behind even after SIGKILL.
        lifeline.path.unlink()
        self._engine = await in_thread(partial(ReplicatedServer, folder))
        await in_thread(self._engine.start)

    def _process(self, number: int, role: Role) -> ForwarderProcess:
        one = ForwarderProcess(
            self._command(self._engine.url, number, role),
            self._environment,
            None,
            moved=lambda port: self._move(one, port),
            failed=self._failed,
            changed=self._note_change,
        )
        return one

    async def _crash(self, owner: str, one: ForwarderProcess, after_ms: int) -> None:
        self._hit[owner] = one
        await one.crash(owner, after_ms, "kept")

    async def _find_owner(self) -> ForwarderProcess:
        """Find the process that reads the log group; wait while it is being taken over."""
        deadline = asyncio.get_running_loop().time() + OWNER_WITHIN_S
        while asyncio.get_running_loop().time() < deadline:
            for one in self._processes["ingest"]:
                if one.is_up and await in_thread(partial(_reads, self._ports.get(one))):
                    return one
            await asyncio.sleep(_LOOK_S)
        msg = "no forwarder owns the log group now: try again when one has taken it over"
        raise SimulatorError(msg)

    def _move(self, one: ForwarderProcess, port: int) -> None:
        self._ports[one] = port

    def _note_change(self) -> None:
        # New connections to a killed server would be refused.
        self._serve(self.ports)
        self._changed()

    async def _ready(self) -> list[int]:
        up = self.ports
        found = await asyncio.gather(*(in_thread(partial(_is_ready, port)) for port in up))
        return [port for port, is_ready in zip(up, found, strict=True) if is_ready]

    async def _until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + READY_WITHIN_S
        while len(await self._ready()) < self._forwarders:
            if asyncio.get_running_loop().time() > deadline:
                msg = f"the cluster was not ready within {READY_WITHIN_S:.0f} s: try again"
                raise SimulatorError(msg)
            await asyncio.sleep(_LOOK_S)

    async def _keep_checking(self) -> None:
        """Lead viewers to the servers that are ready; without one, to those that run."""
        while True:
            ready = set(await self._ready())
            up = self.ports
            self._serve([port for port in up if port in ready] or up)
            await asyncio.sleep(CHECK_S)

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _port(ready: Mapping[str, Any]) -> int:
    port = urlsplit(str(ready.get("http"))).port
    assert port is not None, "a ready forwarder says where it listens"
    return port


def _is_ready(port: int) -> bool:
    try:
        request(f"http://127.0.0.1:{port}/readyz", timeout_s=ANSWER_S)
    except GaplessError:
        return False
    return True


def _reads(port: int | None) -> bool:
    """Whether the ingesting process with that port reads a log group."""
    if port is None:
        return False
    try:
        answer = request(f"http://127.0.0.1:{port}/v1/forwarder", timeout_s=ANSWER_S)
    except GaplessError:
        return False
    return bool(answer["groups"])
