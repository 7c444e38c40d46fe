"""A TCP relay that a test can disconnect and reconnect like a cable."""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 65_536


class Cable:
    """Relays connections to a local port; ``pull`` resets them all, ``plug`` allows new ones."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._plugged = True
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pull()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def pull(self) -> None:
        """Reset all connections, and new ones until ``plug``."""
        with self._lock:
            self._plugged = False
            for one in self._sockets:
                _reset(one)
            self._sockets.clear()

    def plug(self) -> None:
        """Relay new connections again."""
        with self._lock:
            self._plugged = True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # the listener was closed
            with self._lock:
                if not self._plugged:
                    _reset(near)
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    _reset(near)
                    near.close()
                    continue
                self.connections += 1
                self._sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK_BYTES):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(sink)
        finally:
            with self._lock:
                self._sockets.discard(source)
            source.close()


def _reset(one: socket.socket) -> None:
    """Make close send RST instead of FIN, and wake threads that read the socket."""
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # already closed
