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

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536
CONNECTIONS_MAX: Final = 10_000
_RESET: Final = struct.pack("ii", 1, 0)


class _Pull(NamedTuple):
    """One reason why the cable is out: the share of the connections that it cuts."""

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
        self._open: set[_Connection] = set()
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
        connection = _Connection(reader, writer)
        self.connections += 1
        if self._drawn() or len(self._open) >= CONNECTIONS_MAX:
            connection.reset()
            return
        self._open.add(connection)
        try:
            await connection.run(self._target)
        except OSError:
            connection.reset()  # one end is gone; so is the other, then
        finally:
            self._open.discard(connection)
            connection.close()


class _Connection:
    """A viewer's connection: one to the proxy, one from it to the forwarder."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._near = (reader, writer)
        self._writers = [writer]
        self._was_reset = False

    async def run(self, target: int) -> None:
        """Pass bytes on both ways until both ends have said that they are done."""
        far = await asyncio.open_connection(HOST, target)
        self._writers.append(far[1])
        if self._was_reset:
            _reset(far[1])  # pulled in the meantime
            return
        await asyncio.gather(_pump(self._near[0], far[1]), _pump(far[0], self._near[1]))

    def reset(self) -> None:
        """Close at once: what is under way is lost, and both ends get a reset."""
        self._was_reset = True
        for writer in self._writers:
            _reset(writer)

    def close(self) -> None:
        """Close in order: what is under way still arrives."""
        for writer in self._writers:
            writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK_BYTES):
        sink.write(data)
        await sink.drain()
    sink.write_eof()


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
