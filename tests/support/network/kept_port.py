"""A port for servers that follow one another."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port() -> Iterator[int]:
    """Keep a free port of 127.0.0.1 for servers that are told to listen on it.

    Without one it refuses connections. The system gives it to nobody who asks for any free port,
    as it may give the port of a server that has just ended: with many tests at once it does.
    """
    with socket.socket() as keeper:
        # Servers have this option, too: so they may listen, as the keeper itself never does.
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        port: int = keeper.getsockname()[1]
        yield port
