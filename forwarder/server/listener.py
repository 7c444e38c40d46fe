"""Sockets that count: every connection is known from ``accept`` to ``close``, TLS or not.

An event loop tells a protocol of a connection only after TLS has been agreed upon, and never of
one that did not get so far. What a stranger can hold open must be bounded before.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

from forwarder.server.admission import Guard, address_of


class CountedSocket(socket.socket):
    """A connection that says when it is closed."""

    on_close: Callable[[], None] | None = None
    """Called once."""

    def close(self) -> None:
        """Close it, as often as one likes."""
        told, self.on_close = self.on_close, None
        super().close()
        if told is not None:
            told()


class Listener(socket.socket):
    """A socket that a guard watches over; made by ``listeners``."""

    guard: Guard

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that the guard lets in.

        Raises:
            ConnectionAbortedError: it did not, and the connection is closed: an event loop takes
                that for one that was gone already.

        """
        connection, peer = super().accept()
        address = address_of(peer[0])
        if not self.guard.came(address):
            connection.close()
            raise ConnectionAbortedError
        counted = CountedSocket(
            connection.family, connection.type, connection.proto, fileno=connection.detach()
        )
        counted.on_close = lambda: self.guard.left(address)
        return counted, peer


def listeners(host: str, port: int, guard: Guard) -> list[Listener]:
    """Bound sockets for every address of a host, all on one port; they do not listen yet.

    Raises:
        OSError: an address can't be had.

    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[Listener] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                listener = Listener(family, kind, protocol)
            except OSError:  # a host name may have an address of a family that is turned off
                continue
            made.append(listener)
            listener.guard = guard
            listener.setblocking(False)  # noqa: FBT003 - the library's own
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            first = made[0].getsockname()[1] if len(made) > 1 else port
            listener.bind((address[0], first, *address[2:]))
    except OSError:
        for listener in made:
            listener.close()
        raise
    if not made:
        msg = f"no address of {host} can be listened on"
        raise OSError(msg)
    return made
