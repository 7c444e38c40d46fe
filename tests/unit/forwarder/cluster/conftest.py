from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.programs.postgres import PostgresServer


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A running server; each test uses log groups, or a database, of its own."""
    # Durability is not the subject here, and costs most of the time.
    server = PostgresServer("fsync = off")
    server.start()
    yield server
    server.remove()
