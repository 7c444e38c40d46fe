"""The cable between viewer and forwarder: a TCP proxy that can be unplugged and strained.

While the cable is unplugged nothing listens, so new connections are refused at once. A second
socket keeps the port bound, so that no other program can take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from simulator.errors import SimulatorError
from simulator.network.direction import CHUNK_BYTES, Direction, Gate
from simulator.network.frames import HEAD_END, could_be_request, is_upgrade
from simulator.network.toxics import BlockUpgrade, Hold, Strain

HOST: Final = "127.0.0.1"
PORT_MAX: Final = 65_535
CONNECTIONS_MAX: Final = 10_000

CLOSE_TIMEOUT_S: Final = 2.0
"""Time for a viewer to close after a close frame, before it is reset."""

_RESET: Final = struct.pack("ii", 1, 0)
_BAD_GATEWAY: Final = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n"
    b"Connection: close\r\n\r\nno WebSockets here\n"
)


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; 0 = any free port.

    Raises:
        SimulatorError: the port is in use or not allowed.
    """
    if not 0 <= port <= PORT_MAX:
        msg = f"port {port} does not exist: choose one up to {PORT_MAX}, or 0 for any free one"
        raise SimulatorError(msg)
    try:
        return socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        raise _port_error(port, error) from error


def _port_error(port: int, error: Exception) -> SimulatorError:
    why = error.strerror if isinstance(error, OSError) else error
    return SimulatorError(
        f"cannot listen on port {port} ({why}): choose another, or 0 for any free one"
    )


class _Pull(NamedTuple):
    """One reason why the cable is unplugged: the share of the connections that it cuts."""

    share: float
    rng: Random


class _Imposed(NamedTuple):
    """A strain that applies to a share of the connections."""

    strain: Strain
    share: float
    rng: Random


class Cable:
    """Forwards connections to the forwarder; used only from the event loop's thread."""

    def __init__(self) -> None:
        self._keeper: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._is_started = False
        self._targets: tuple[int, ...] = ()
        self._turn = itertools.count()
        self._pulls: dict[str, _Pull] = {}
        self._strains: dict[str, _Imposed] = {}
        self._open: dict[_Connection, None] = {}
        self._affected: Counter[str] = Counter()
        self.connections = 0

    @property
    def port(self) -> int:
        """The port that viewers connect to."""
        assert self._keeper is not None, "call bind first"
        port: int = self._keeper.getsockname()[1]
        return port

    def bind(self, port: int) -> None:
        """Bind a port of 127.0.0.1; 0 = any free one.

        Raises:
            SimulatorError: The port cannot be bound.
        """
        try:
            self._check_free(port)
            self._keeper = _bound(port)
        except (OSError, OverflowError) as error:
            raise _port_error(port, error) from error

    async def start(self, *targets: int) -> None:
        """Start forwarding connections to ports of this machine, to each in turn."""
        self._targets = targets
        self._is_started = True
        await self._listen()

    def retarget(self, *targets: int) -> None:
        """Forward new connections to other ports of this machine; without any, refuse them."""
        self._targets = targets

    @property
    def busiest_target(self) -> int | None:
        """The port that most viewers are connected to; of several, the one connected to last."""
        found = [one.target for one in self._open if one.is_websocket]
        # The last one wins a tie.
        return max(reversed(found), key=found.count, default=None)

    async def strain(self, owner: str, strain: Strain, share: float, seed: int) -> None:
        """Apply a strain to a share (0..1) of the present and future connections.

        It lasts until ``ease(owner)`` and replaces the owner's earlier strain.
        """
        await self.ease(owner)
        self._affected[owner] = 0
        imposed = _Imposed(strain, share, Random(seed))  # noqa: S311 - a simulation
        self._strains[owner] = imposed
        for connection in tuple(self._open):
            self._impose(owner, imposed, connection)

    async def ease(self, owner: str) -> None:
        """Remove the owner's strain."""
        self._strains.pop(owner, None)
        for connection in tuple(self._open):
            connection.remove_strain(owner)

    def affected(self, owner: str) -> int:
        """How much the owner's strain or pull has affected.

        That is messages of a strain of messages, deliveries of one that slows them down, and else
        connections. Attempts to connect while nothing listens reach no program that could count.
        """
        return self._affected.get(owner, 0)

    def take_affected(self, owner: str) -> int:
        """The same, of a strain or pull that is over; forgets it."""
        return self._affected.pop(owner, 0)

    def _affect(self, owner: str) -> None:
        self._affected[owner] += 1

    async def close_with(self, code: int, share: float, seed: int) -> int:
        """Send a close frame with ``code`` to a share of the viewers, then cut them off.

        Returns how many.
        """
        rng = Random(seed)  # noqa: S311 - a simulation
        hit = [one for one in tuple(self._open) if rng.random() < share]
        return sum(one.close_with(code) for one in hit)

    def _impose(self, owner: str, imposed: _Imposed, connection: _Connection) -> None:
        # Both are always drawn, so that a connection's fate depends only on seed and number.
        is_hit, own_seed = imposed.rng.random() < imposed.share, imposed.rng.getrandbits(64)
        if is_hit:
            connection.apply_strain(owner, imposed.strain, Random(own_seed))  # noqa: S311 - likewise

    async def stop(self) -> None:
        """Cut every connection and release the port."""
        self._refuse()
        for connection in tuple(self._open):
            connection.reset()
        if self._keeper is not None:
            self._keeper.close()

    async def pull(self, owner: str, share: float, seed: int) -> None:
        """Cut a share (0..1) of the present and future connections until ``plug(owner)``."""
        rng = Random(seed)  # noqa: S311 - a simulation
        self._pulls[owner] = _Pull(share, rng)
        self._affected[owner] = 0
        if share >= 1:
            self._refuse()
        for connection in tuple(self._open):
            if rng.random() < share:
                connection.reset()
                self._affect(owner)

    async def plug(self, owner: str) -> None:
        """Let connections pass again, unless another owner has the cable unplugged."""
        self._pulls.pop(owner, None)
        if self._server is None and all(pull.share < 1 for pull in self._pulls.values()):
            await self._listen()

    @staticmethod
    def _check_free(port: int) -> None:
        # With SO_REUSEPORT a port of another simulator would look free.
        if port:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))

    async def _listen(self) -> None:
        # Also without a target: one may come later, and nothing listens for it then.
        if self._is_started:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self.port))

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _is_cut(self) -> bool:
        # Every pull draws, so that the result of one seed does not depend on the others.
        hit = [owner for owner, pull in self._pulls.items() if pull.rng.random() < pull.share]
        for owner in hit:
            self._affect(owner)
        return bool(hit)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer, self.connections, self._affect)
        self.connections += 1
        targets = self._targets
        if not targets or self._is_cut() or len(self._open) >= CONNECTIONS_MAX:
            connection.reset()
            return
        self._open[connection] = None
        for owner, imposed in self._strains.items():
            self._impose(owner, imposed, connection)
        try:
            await connection.run(targets[next(self._turn) % len(targets)])
        except OSError:
            connection.reset()  # one end is gone, so close the other
        finally:
            self._open.pop(connection, None)
            connection.close()


class _Connection:
    """A viewer's connection through the proxy: one socket to each side."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
        affect: Callable[[str], None],
    ) -> None:
        self._near = (reader, writer)
        self._affect = affect
        self._writers = [writer]
        self._rng = Random(number)  # noqa: S311 - a simulation
        self._link = Gate()
        self._strains: dict[str, tuple[Strain, Random]] = {}
        self._directions: tuple[Direction, ...] = ()
        self._was_reset = False
        self._close_timer: asyncio.TimerHandle | None = None
        self.target = 0
        """The forwarder's port."""

    @property
    def is_websocket(self) -> bool:
        """Whether the forwarder accepted the WebSocket upgrade."""
        return any(
            direction.stream is not None and direction.stream.is_websocket
            for direction in self._directions
        )

    def apply_strain(self, owner: str, strain: Strain, rng: Random) -> None:
        """Apply a strain from now on; it replaces the owner's earlier one."""
        if isinstance(strain, Hold):
            self._affect(owner)
            if strain.both_ways:
                self._link.hold(owner)
        elif isinstance(strain, BlockUpgrade) and self.is_websocket:
            self._affect(owner)
            self.reset()  # as if a middlebox had just been inserted
        self._strains[owner] = (strain, rng)
        for direction in self._directions:
            direction.apply_strain(owner, strain, rng)

    def remove_strain(self, owner: str) -> None:
        """Remove the owner's strain."""
        self._strains.pop(owner, None)
        self._link.release(owner)
        for direction in self._directions:
            direction.remove_strain(owner)

    def close_with(self, code: int) -> bool:
        """Send the viewer a close frame and drop the forwarder; False if it is no WebSocket."""
        is_websocket = self.is_websocket
        for direction in self._directions:
            direction.close_with(code)
        return is_websocket

    async def run(self, target: int) -> None:
        """Forward bytes in both directions until both ends have finished."""
        begun = await self._read_request()
        if begun is None:
            return
        await self._link.wait_open()
        self.target = target
        far = await asyncio.open_connection(HOST, target)
        self._writers.append(far[1])
        if self._was_reset:
            _reset(far[1])  # unplugged meanwhile
            return
        far[1].write(begun)
        shared = (self._link, self._rng, self._cut, self._affect)
        up = Direction((self._near[0], far[1]), *shared, is_down=False)
        down = Direction((far[0], self._near[1]), *shared, is_down=True)
        self._directions = (up, down)
        for owner, (strain, rng) in self._strains.items():
            up.apply_strain(owner, strain, rng)
            down.apply_strain(owner, strain, rng)
        await asyncio.gather(up.run(), down.run())

    def reset(self) -> None:
        """Close the connection at once by a reset to both ends; bytes in flight are lost."""
        self._was_reset = True
        for writer in self._writers:
            _reset(writer)
        self._end()

    def close(self) -> None:
        """Close the connection in order; bytes in flight still arrive."""
        for writer in self._writers:
            writer.close()
        self._end()

    def _end(self) -> None:
        self._link.stay_open()
        if self._close_timer is not None:
            self._close_timer.cancel()
        for direction in self._directions:
            direction.stop()

    def _cut(self, resets: bool) -> None:  # noqa: FBT001 - called by a direction only
        """Drop the forwarder, and the viewer at once or after everything has reached it."""
        if resets:
            self.reset()
            return
        for direction in self._directions:
            direction.mute()
        _reset(self._writers[1])
        loop = asyncio.get_running_loop()
        self._close_timer = loop.call_later(CLOSE_TIMEOUT_S, self.reset)

    async def _read_request(self) -> bytes | None:
        """The request, read ahead if upgrades are blocked; None if it was a blocked upgrade."""
        begun = b""
        reader, writer = self._near
        while self._upgrade_blockers() and HEAD_END not in begun and could_be_request(begun):
            data = await reader.read(CHUNK_BYTES)
            if not data:
                break
            begun += data
        if (owners := self._upgrade_blockers()) and is_upgrade(begun):
            for owner in owners:
                self._affect(owner)
            writer.write(_BAD_GATEWAY)
            await writer.drain()
            return None
        return begun

    def _upgrade_blockers(self) -> list[str]:
        """The owners of strains that block WebSocket upgrades."""
        strains = self._strains.items()
        return [owner for owner, (strain, _) in strains if isinstance(strain, BlockUpgrade)]


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.transport.get_extra_info("socket")
    if raw is not None and not writer.transport.is_closing():
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def _bound(port: int) -> socket.socket:
    one = socket.socket()
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((HOST, port))
    except BaseException:
        one.close()
        raise
    return one
