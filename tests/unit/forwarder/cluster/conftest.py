from __future__ import annotations

from collections.abc import Iterator

import pytest

from forwarder.cluster import postgres
from simulator.programs.postgres import PostgresServer
from tests.support.processes.gapless_processes import WAIT_MS, WAIT_S


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine a test may take longer to do what ends a statement that waits.
    monkeypatch.setattr(postgres, "ANSWER_MS", WAIT_MS)
    monkeypatch.setitem(postgres._CONNECTION, "connect_timeout", int(WAIT_S))


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A running server; each test uses log groups, or a database, of its own."""
    # Durability is not the subject here, and costs most of the time.
    server = PostgresServer("fsync = off")
    server.start()
    yield server
    server.remove()
