"""The cable between viewer and forwarder: a TCP proxy that can be pulled and plugged.

While the whole cable is pulled nothing listens, so that a new connection is refused at once; the
port stays bound by a second socket, so that nobody else can take it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from random import Random
from typing import Final, NamedTuple

from simulator.errors import SimulatorError
from simulator.network.frames import HEAD_END, is_upgrade, may_be_request
from simulator.network.toxics import BlockUpgrade, Hold, Strain
from simulator.network.way import CHUNK_BYTES, Gate, Way

HOST: Final = "127.0.0.1"
CONNECTIONS_MAX: Final = 10_000

FAREWELL_S: Final = 2.0
"""How long a viewer may take to close after it was told to."""

_RESET: Final = struct.pack("ii", 1, 0)
_BAD_GATEWAY: Final = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n"
    b"Connection: close\r\n\r\nno WebSockets here\n"
)


class _Pull(NamedTuple):
    """One reason why the cable is out: the share of the connections that it cuts."""

    share: float
    rng: Random


class _Imposed(NamedTuple):
    """A strain on a share of the connections."""

    strain: Strain
    share: float
    rng: Random


class Cable:
    """Passes connections on to the forwarder; used from the event loop's thread alone."""

    def __init__(self) -> None:
        """A cable that leads nowhere yet."""
        self._keeper: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._target = 0
        self._pulls: dict[str, _Pull] = {}
        self._strains: dict[str, _Imposed] = {}
        self._open: dict[_Connection, None] = {}
        self.connections = 0

    @property
    def port(self) -> int:
        """The port that viewers connect to."""
        assert self._keeper is not None, "bind comes first"
        port: int = self._keeper.getsockname()[1]
        return port

    @property
    def is_pulled(self) -> bool:
        """Whether any fault has it out, wholly or for a share of the connections."""
        return bool(self._pulls)

    def bind(self, port: int) -> None:
        """Take a port of 127.0.0.1; 0 = any that is free.

        Raises:
            SimulatorError: it can't be had.

        """
        try:
            self._check_free(port)
            self._keeper = _bound(port)
        except (OSError, OverflowError) as error:
            msg = f"port {port} can't be had ({error}); choose another, or 0 for any that is free"
            raise SimulatorError(msg) from error

    async def start(self, target: int) -> None:
        """Pass connections on to the port ``target`` of this machine."""
        self._target = target
        await self._listen()

    def retarget(self, target: int) -> None:
        """Pass new connections on to another port of this machine."""
        self._target = target

    async def strain(self, owner: str, strain: Strain, share: float, seed: int) -> None:
        """Put that share (0..1) of the connections, present and future, under a strain.

        It lasts until ``ease(owner)``, and takes the place of the owner's earlier one.
        """
        await self.ease(owner)
        imposed = _Imposed(strain, share, Random(seed))  # noqa: S311 - a simulation
        self._strains[owner] = imposed
        for connection in tuple(self._open):
            self._impose(owner, imposed, connection)

    async def ease(self, owner: str) -> None:
        """Take the owner's strain away."""
        self._strains.pop(owner, None)
        for connection in tuple(self._open):
            connection.recover(owner)

    async def close_with(self, code: int, share: float, seed: int) -> None:
        """Send that share of the viewers a close frame with a code, and cut them off."""
        rng = Random(seed)  # noqa: S311 - a simulation
        for connection in tuple(self._open):
            if rng.random() < share:
                connection.close_with(code)

    def _impose(self, owner: str, imposed: _Imposed, connection: _Connection) -> None:
        # Both are drawn whatever comes of it: a connection's fate follows from seed and number.
        is_hit, own_seed = imposed.rng.random() < imposed.share, imposed.rng.getrandbits(64)
        if is_hit:
            connection.suffer(owner, imposed.strain, Random(own_seed))  # noqa: S311 - likewise

    async def stop(self) -> None:
        """Cut everything and let go of the port."""
        self._refuse()
        for connection in tuple(self._open):
            connection.reset()
        if self._keeper is not None:
            self._keeper.close()

    async def pull(self, owner: str, share: float, seed: int) -> None:
        """Cut that share (0..1) of the connections, present and future, until ``plug(owner)``."""
        rng = Random(seed)  # noqa: S311 - a simulation
        self._pulls[owner] = _Pull(share, rng)
        if share >= 1:
            self._refuse()
        for connection in tuple(self._open):
            if rng.random() < share:
                connection.reset()

    async def plug(self, owner: str) -> None:
        """Let connections pass again, unless another owner has the cable out."""
        self._pulls.pop(owner, None)
        if self._server is None and all(pull.share < 1 for pull in self._pulls.values()):
            await self._listen()

    @staticmethod
    def _check_free(port: int) -> None:
        # With SO_REUSEPORT a port that another simulator has would seem to be free.
        if port:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))

    async def _listen(self) -> None:
        if self._target:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self.port))

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _drawn(self) -> bool:
        # Every pull draws, so that what one seed gives does not depend on the others.
        return any([pull.rng.random() < pull.share for pull in self._pulls.values()])  # noqa: C419

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer, self.connections)
        self.connections += 1
        if self._drawn() or len(self._open) >= CONNECTIONS_MAX:
            connection.reset()
            return
        self._open[connection] = None
        for owner, imposed in self._strains.items():
            self._impose(owner, imposed, connection)
        try:
            await connection.run(self._target)
        except OSError:
            connection.reset()  # one end is gone; so is the other, then
        finally:
            self._open.pop(connection, None)
            connection.close()


class _Connection:
    """A viewer's connection: one to the proxy, one from it to the forwarder."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._near = (reader, writer)
        self._writers = [writer]
        self._rng = Random(number)  # noqa: S311 - a simulation
        self._link = Gate()
        self._strains: dict[str, tuple[Strain, Random]] = {}
        self._ways: tuple[Way, ...] = ()
        self._was_reset = False
        self._farewell: asyncio.TimerHandle | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether the forwarder agreed to speak WebSocket."""
        return any(way.stream is not None and way.stream.is_websocket for way in self._ways)

    def suffer(self, owner: str, strain: Strain, rng: Random) -> None:
        """Be under a strain from now on, in place of the owner's earlier one."""
        if isinstance(strain, Hold) and strain.both_ways:
            self._link.hold(owner)
        elif isinstance(strain, BlockUpgrade) and self.is_websocket:
            self.reset()  # as by a middlebox that has just been put in between
        self._strains[owner] = (strain, rng)
        for way in self._ways:
            way.suffer(owner, strain, rng)

    def recover(self, owner: str) -> None:
        """Be free of the owner's strain."""
        self._strains.pop(owner, None)
        self._link.let_go(owner)
        for way in self._ways:
            way.recover(owner)

    def close_with(self, code: int) -> None:
        """Send the viewer a close frame, and let go of the forwarder; WebSockets only."""
        for way in self._ways:
            way.close_with(code)

    async def run(self, target: int) -> None:
        """Pass bytes on both ways until both ends have said that they are done."""
        begun = await self._opening()
        if begun is None:
            return
        await self._link.passed()
        far = await asyncio.open_connection(HOST, target)
        self._writers.append(far[1])
        if self._was_reset:
            _reset(far[1])  # pulled in the meantime
            return
        far[1].write(begun)
        up = Way((self._near[0], far[1]), self._link, self._rng, self._cut, is_down=False)
        down = Way((far[0], self._near[1]), self._link, self._rng, self._cut, is_down=True)
        self._ways = (up, down)
        for owner, (strain, rng) in self._strains.items():
            up.suffer(owner, strain, rng)
            down.suffer(owner, strain, rng)
        await asyncio.gather(up.run(), down.run())

    def reset(self) -> None:
        """Close at once: what is under way is lost, and both ends get a reset."""
        self._was_reset = True
        for writer in self._writers:
            _reset(writer)
        self._end()

    def close(self) -> None:
        """Close in order: what is under way still arrives."""
        for writer in self._writers:
            writer.close()
        self._end()

    def _end(self) -> None:
        self._link.stay_open()
        if self._farewell is not None:
            self._farewell.cancel()
        for way in self._ways:
            way.stop()

    def _cut(self, resets: bool) -> None:  # noqa: FBT001 - called by a way alone
        """Let go of the forwarder; of the viewer at once, or when all has reached it."""
        if resets:
            self.reset()
            return
        for way in self._ways:
            way.mute()
        _reset(self._writers[1])
        loop = asyncio.get_running_loop()
        self._farewell = loop.call_later(FAREWELL_S, self.reset)

    async def _opening(self) -> bytes | None:
        """The request, read ahead where upgrades are blocked; None if this was one."""
        begun = b""
        reader, writer = self._near
        while self._blocks_upgrades() and HEAD_END not in begun and may_be_request(begun):
            data = await reader.read(CHUNK_BYTES)
            if not data:
                break
            begun += data
        if self._blocks_upgrades() and is_upgrade(begun):
            writer.write(_BAD_GATEWAY)
            await writer.drain()
            return None
        return begun

    def _blocks_upgrades(self) -> bool:
        return any(isinstance(strain, BlockUpgrade) for strain, _ in self._strains.values())


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
